"""What a bundle does to images before its network: read into its card, or held against it.

Images are read, mirrored and normalised here by the card. What the bundle's own chain of MONAI
transforms tells fills the card's gaps. Where the chain does something else than the card, the
network was fed otherwise than here, and that is said.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from napari_globalxai.models.card import InputCard, PerImageCard

# These change neither values nor places.
_HARMLESS = frozenset(
    (
        *("EnsureChannelFirst", "AsChannelFirst", "EnsureType", "ToTensor", "CastToType"),
        *("Identity", "SelectItems", "ToDevice", "CopyItems", "DeleteItems"),
    )
)
_SCALES = frozenset(("NormalizeIntensity", "ScaleIntensity", "ScaleIntensityRange"))
_LOAD = {"_target_": "LoadImage"}
_SWAPPED = ([0, 2, 1], [0, -1, -2])


def preprocessing_facts(configs: Iterable[Mapping[str, Any]]) -> dict[str, Any]:
    """Return what a bundle's chain tells of the network's input, in the form of a card's input.

    Parameters
    ----------
    configs : iterable of mapping
        The bundle's configurations, those that tell of inference first.
    """
    chain = next((found for config in configs for found in _chains(config)), ())
    steps = [step for step in chain if isinstance(step, Mapping) and not _is_off(step)]
    facts: dict[str, Any] = {"transposed": True} if _turns(steps) else {}
    if not _scales_in_order(steps):
        return facts
    for step in steps:
        name = _name(step)
        if name == "NormalizeIntensity" and step.get("subtrahend") is step.get("divisor") is None:
            facts["per_image"] = {
                "scaling": "z-score",
                "channel_wise": step.get("channel_wise", False),
                "nonzero": step.get("nonzero", False),
            }
        elif name == "NormalizeIntensity" and not step.get("nonzero"):
            facts["mean"], facts["std"] = step.get("subtrahend"), step.get("divisor")
        elif name == "ScaleIntensity" and step.get("factor") is None:
            facts["per_image"] = {
                "scaling": "min-max",
                "channel_wise": step.get("channel_wise", False),
            }
            facts["range"] = [step.get("minv", 0.0), step.get("maxv", 1.0)]
        elif name == "ScaleIntensityRange" and [step.get("a_min"), step.get("a_max")] == [0, 255]:
            facts["range"] = [step.get("b_min"), step.get("b_max")]
    # A z-score undoes every scale before it.
    if facts.get("per_image", {}).get("scaling") == "z-score":
        facts = {key: facts[key] for key in ("transposed", "per_image") if key in facts}
    return {key: value for key, value in facts.items() if _is_plain(value)}


def _scales_in_order(steps: Sequence[Mapping[str, Any]]) -> bool:
    """Return whether scales come as a card has them: to a range, by image, then mean and SD."""
    places = []
    for step in steps:
        name = _name(step)
        if name == "NormalizeIntensity":
            places.append(1 if step.get("subtrahend") is step.get("divisor") is None else 2)
        elif name in ("ScaleIntensity", "ScaleIntensityRange"):
            places.append(("ScaleIntensityRange", "ScaleIntensity").index(name))
    return places == sorted(set(places))


def _is_off(step: Mapping[str, Any]) -> bool:
    return step.get("_disabled_") is True


def _is_plain(value: Any) -> bool:
    """Return whether a value is made of numbers, not of expressions or references."""
    if isinstance(value, Mapping):
        return all(_is_plain(item) or item in ("z-score", "min-max") for item in value.values())
    if isinstance(value, list):
        return all(_is_plain(item) for item in value)
    return isinstance(value, int | float)


def _turns(steps: Sequence[Mapping[str, Any]]) -> bool:
    """Return whether a chain gives columns before rows, as `LoadImage` does."""
    loads = [step for step in steps if _name(step) == "LoadImage"]
    turned = [
        step for step in steps if _name(step) == "Transpose" and step.get("indices") in _SWAPPED
    ]
    reversed_already = [step for step in loads if step.get("reverse_indexing") is False]
    return (len(loads) - len(reversed_already) + len(turned)) % 2 == 1


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
    given = [step for step in chain if isinstance(step, Mapping)]
    unlike = [] if len(given) == len(chain) else ["expressions"]
    steps = [step for step in given if not _is_off(step)]
    unlike += [text for step in steps if (text := _unlike(step, card))]
    scales = [step for step in steps if _name(step) in _SCALES]
    # Where a scale is named itself, that says enough.
    if not _scales_in_order(steps) and not any(_unlike(step, card) for step in scales):
        unlike.append("the order of its scales")
    if _turns(steps) != card.transposed:
        unlike.append(
            "its order of rows and columns (MONAI's LoadImage gives columns first, so that a "
            "network sees images transposed unless they are turned)"
        )
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


def _unlike(step: Mapping[str, Any], card: InputCard) -> str:
    """Return what a transform does that the card does not say, or an empty text."""
    name, target = _name(step), str(step.get("_target_", "a step without _target_"))
    if name in _HARMLESS or name == "LoadImage":
        return ""
    if name == "Transpose" and step.get("indices") in _SWAPPED:
        return ""
    shape = [card.height, card.width]
    if name == "Resize":
        due = shape[::-1] if card.transposed else shape
        return "" if step.get("spatial_size") == due else target
    if name == "ScaleIntensityRange":
        told = [step.get(each) for each in ("a_min", "a_max", "b_min", "b_max")]
        # A scale of each image's own undoes it.
        same = card.per_image is not None or _equal(told, (0, 255, *card.range))
        return "" if same else f"{target} ({told})"
    if name == "NormalizeIntensity" and step.get("subtrahend") is not None:
        same = _equal(step.get("subtrahend"), card.mean) and _equal(step.get("divisor"), card.std)
        return "" if same and not step.get("nonzero") else target
    if name in ("NormalizeIntensity", "ScaleIntensity"):
        facts = preprocessing_facts([{"transforms": [_LOAD, step]}])
        how = facts.get("per_image")
        same = how is not None and PerImageCard(**how) == card.per_image
        return "" if same and _equal(facts.get("range", card.range), card.range) else target
    return target


def _equal(told: Any, known: Sequence[float]) -> bool:
    """Return whether numbers are those of the card; one number stands for all channels."""
    try:
        values = np.broadcast_to(np.asarray(told, float), len(known))
    except (TypeError, ValueError):
        return False
    return bool(np.allclose(values, known, rtol=1e-3, atol=1e-6))
