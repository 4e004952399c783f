"""What a bundle does to images before its network, held against what its card says.

Images are read, mirrored and normalised here by the card. Where the bundle's own chain of MONAI
transforms does something else, the network was fed otherwise than here, and that is said.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from napari_globalxai.models.card import InputCard

# These change neither values nor places.
_HARMLESS = frozenset(
    (
        *("EnsureChannelFirst", "AsChannelFirst", "EnsureType", "ToTensor", "CastToType"),
        *("Identity", "SelectItems", "ToDevice", "CopyItems", "DeleteItems"),
    )
)
_SWAPPED = ([0, 2, 1], [0, -1, -2])


def preprocessing_notes(configs: Iterable[Mapping[str, Any]], card: InputCard) -> list[str]:
    """Return what a bundle does to images that the card does not say, a sentence or none.

    Parameters
    ----------
    configs : iterable of mapping
        The bundle's configurations, those that tell of inference first.
    card : InputCard
        What is done here.
    """
    chain = next((found for config in configs for found in _chains(config)), None)
    if chain is None:
        return []
    steps = [step for step in chain if isinstance(step, Mapping)]
    unlike = [] if len(steps) == len(chain) else ["expressions"]
    unlike += [text for step in steps if (text := _unlike(step, steps, card))]
    if not unlike:
        return []
    return [
        "The bundle's own preprocessing is not run here, images are read as the card says; not the "
        f"same: {'; '.join(unlike)}. See whether the ROC AUC is that of the bundle."
    ]


def _chains(value: Any) -> Iterator[Sequence[Any]]:
    """Give the chains of transforms in a configuration that begin by loading images."""
    if isinstance(value, Mapping):
        steps = value.get("transforms")
        if isinstance(steps, list) and any(_name(step) == "LoadImage" for step in steps):
            yield steps
        for item in value.values():
            yield from _chains(item)
    elif isinstance(value, list):
        for item in value:
            yield from _chains(item)


def _name(step: Any) -> str:
    """Return a transform's name without the module and without MONAI's mark of dictionaries."""
    target = step.get("_target_") if isinstance(step, Mapping) else None
    name = str(target or "").rpartition(".")[2]
    return name[:-1] if name.endswith(("d", "D")) and name[:-1] else name


def _unlike(step: Mapping[str, Any], steps: Sequence[Mapping[str, Any]], card: InputCard) -> str:
    """Return what a transform does that the card does not say, or an empty text."""
    name, target = _name(step), str(step.get("_target_", "a step without _target_"))
    if name in _HARMLESS or step.get("_disabled_") is True:
        return ""
    if name == "LoadImage":
        turned = any(
            _name(each) == "Transpose" and each.get("indices") in _SWAPPED for each in steps
        )
        text = "gives width before height, so that the network saw images transposed"
        return "" if turned else f"{target} {text}"
    if name == "Transpose" and step.get("indices") in _SWAPPED:
        return ""
    if name == "Resize":
        return "" if step.get("spatial_size") == [card.height, card.width] else target
    if name == "ScaleIntensityRange":
        told = [step.get(each) for each in ("a_min", "a_max", "b_min", "b_max")]
        return "" if _equal(told, (0, 255, *card.range)) else f"{target} ({told})"
    if name == "NormalizeIntensity" and _equal(step.get("subtrahend"), card.mean):
        return "" if _equal(step.get("divisor"), card.std) else target
    return target


def _equal(told: Any, known: Sequence[float]) -> bool:
    """Return whether numbers are those of the card; one number stands for all channels."""
    try:
        values = np.broadcast_to(np.asarray(told, float), len(known))
    except (TypeError, ValueError):
        return False
    return bool(np.allclose(values, known, rtol=1e-3, atol=1e-6))
