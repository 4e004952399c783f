"""What a bundle does to images before its network: read into its card, or held against it.

Images are read, mirrored and normalised here by the card. What the bundle's own chain of MONAI
transforms tells fills the card's gaps. Where the chain does something else than the card, the
network was fed otherwise than here: that is said, and refused where nobody has said better.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from napari_globalxai.models.card.input_card import InputCard, PerImageCard
from napari_globalxai.models.files.bundle_chain import (
    LOAD,
    find_chain,
    is_swap,
    is_turned,
    name_of,
    target_of,
)
from napari_globalxai.models.files.bundle_fit import (
    GEOMETRY,
    fit_of,
    is_resized_later,
    is_resized_to,
)
from napari_globalxai.models.files.transform_chain import (
    HARMLESS,
    TURNS,
    VALUES,
    arguments_of,
    is_float,
    is_known,
)
from napari_globalxai.settings.fit import STRETCH

_SCALES = frozenset(("NormalizeIntensity", "ScaleIntensity", "ScaleIntensityRange"))
# White of files of 8 to 16 bit; images are in 0-255 here, whatever their file has.
_WHITES = tuple(2**bits - 1 for bits in range(8, 17))


def preprocessing_facts(
    configs: Iterable[Mapping[str, Any]],
    shape: Sequence[int] = (),
    trust: bool = False,
) -> dict[str, Any]:
    """Return what a bundle's chain tells of the network's input, in the form of a card's input.

    Parameters
    ----------
    configs : iterable of mapping
        The bundle's configurations, those that tell of inference first.
    shape : sequence of int, optional
        Height and width that the network takes, by the bundle's metadata.
    trust : bool, optional
        Whether transforms that are not known here may run, and are named for it.
    """
    chain = find_chain(configs)
    if chain is None or not chain.steps:
        return {}
    steps = chain.steps
    listed = _listed(steps, trust)
    facts: dict[str, Any] = {"transposed": True} if _turns(steps, listed) else {}
    facts |= {"transforms": listed} if listed else _scale_facts(steps)
    if shape and (fit := fit_of(steps, shape)) not in (None, STRETCH):
        facts["fit"] = fit
    return facts


def _scale_facts(steps: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Return range, mean, SD and each image's own scale, where a card has them in that order."""
    facts: dict[str, Any] = {}
    scales = [step for step in steps if name_of(step) in VALUES]
    if not all(name_of(step) in _SCALES for step in scales) or not _scales_in_order(steps):
        return facts
    for step in scales:
        name = name_of(step)
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
        elif name == "ScaleIntensityRange" and _is_from_black_to_white(step):
            facts["range"] = [step.get("b_min"), step.get("b_max")]
    # A z-score undoes every scale before it.
    if facts.get("per_image", {}).get("scaling") == "z-score":
        facts = {"per_image": facts["per_image"]}
    elif all(map(_is_plain, facts.values())):
        # What no step scales, comes as the file has it.
        facts.setdefault("range", [0, 255])
    return {key: value for key, value in facts.items() if _is_plain(value)}


def _is_from_black_to_white(step: Mapping[str, Any]) -> bool:
    return step.get("a_min") == 0 and step.get("a_max") in _WHITES


def _listed(steps: Sequence[Mapping[str, Any]], trust: bool) -> list[dict[str, Any]]:
    """Return the transforms that a card must name one by one; none where its other words do."""
    acting = [
        step for step in steps if name_of(step) not in GEOMETRY | {LOAD} and not _is_harmless(step)
    ]
    if not all("_target_" in step and (trust or is_known(step)) for step in acting):
        return []
    if any(name_of(step) == "ScaleIntensityRange" and not _fits_8_bit(step) for step in acting):
        return []
    others = [step for step in acting if name_of(step) not in _SCALES]
    swaps = all(name_of(step) == "Transpose" and is_swap(step) for step in others)
    if swaps and _scales_in_order(steps) and all(_is_said(step) for step in acting):
        return []
    if not {"Flip", "Rotate90"} & {name_of(step) for step in acting}:
        # Whether columns come first is said in another word.
        acting = [step for step in acting if not (name_of(step) == "Transpose" and is_swap(step))]
    return [
        {"_target_": name_of(step), **arguments_of(step)} if is_known(step) else dict(step)
        for step in acting
    ]


def _fits_8_bit(step: Mapping[str, Any]) -> bool:
    white = step.get("a_max")
    return isinstance(white, int | float) and white <= 255


def _is_said(step: Mapping[str, Any]) -> bool:
    """Return whether a scale is one that a card says without naming a transform."""
    name = name_of(step)
    if name == "NormalizeIntensity":
        given = [step.get("subtrahend"), step.get("divisor")]
        return given == [None, None] or (None not in given and not step.get("nonzero"))
    if name == "ScaleIntensity":
        return step.get("factor") is None
    return name != "ScaleIntensityRange" or _is_from_black_to_white(step)


def _is_harmless(step: Mapping[str, Any]) -> bool:
    name = name_of(step)
    return name in HARMLESS and is_float(step.get("dtype"))


def _scales_in_order(steps: Sequence[Mapping[str, Any]]) -> bool:
    """Return whether scales come as a card has them: to a range, by image, then mean and SD."""
    places = []
    for step in steps:
        name = name_of(step)
        if name == "NormalizeIntensity":
            places.append(1 if step.get("subtrahend") is step.get("divisor") is None else 2)
        elif name in ("ScaleIntensity", "ScaleIntensityRange"):
            places.append(("ScaleIntensityRange", "ScaleIntensity").index(name))
    return places == sorted(set(places))


def _is_plain(value: Any) -> bool:
    """Return whether a value is made of numbers, not of expressions or references."""
    if isinstance(value, Mapping):
        return all(_is_plain(item) or item in ("z-score", "min-max") for item in value.values())
    if isinstance(value, list):
        return all(_is_plain(item) for item in value)
    return isinstance(value, int | float)


def _turns(steps: Sequence[Mapping[str, Any]], listed: Sequence[Mapping[str, Any]] = ()) -> bool:
    """Return whether a chain gives columns before rows, as `LoadImage` does.

    Turns among the transforms that a card names one by one do not count.
    """
    loads = [step for step in steps if name_of(step) == LOAD]
    turned = [step for step in steps if name_of(step) == "Transpose" and is_swap(step)]
    turned = [] if any(name_of(step) == "Transpose" for step in listed) else turned
    reversed_already = [step for step in loads if step.get("reverse_indexing") is False]
    return (len(loads) - len(reversed_already) + len(turned)) % 2 == 1


def preprocessing_differences(configs: Iterable[Mapping[str, Any]], card: InputCard) -> list[str]:
    """Return what a bundle does to images that the card does not say, a few words each.

    Parameters
    ----------
    configs : iterable of mapping
        The bundle's configurations, those that tell of inference first.
    card : InputCard
        What is done here.
    """
    chain = find_chain(configs)
    if chain is None:
        return []
    unlike = [] if chain.is_whole else ["expressions"]
    if not chain.steps:
        return unlike
    due = [card.height, card.width]
    due = due[::-1] if is_turned(card.transposed, card.transforms) else due
    if fit_of(chain.steps, due) != card.fit:
        cuts = [step for step in chain.steps if name_of(step) in GEOMETRY]
        wrong = [step for step in cuts if not is_resized_to(step, due)]
        unlike += [target_of(step) for step in wrong or cuts]
    if card.transforms:
        unlike += _unlisted(chain.steps, card)
        return unlike + _other_turn(_turns(chain.steps, card.transforms), card)
    unlike += [text for step in chain.steps if (text := _unlike(step, card))]
    scales = [step for step in chain.steps if name_of(step) in _SCALES]
    # Where a scale is named itself, that says enough.
    if not _scales_in_order(chain.steps) and not any(_unlike(step, card) for step in scales):
        unlike.append("the order of its scales")
    return unlike + _other_turn(_turns(chain.steps), card)


def _other_turn(turns: bool, card: InputCard) -> list[str]:
    if turns == card.transposed:
        return []
    return [
        "its order of rows and columns (MONAI's LoadImage gives columns first, so that a "
        "network sees images transposed unless they are turned)"
    ]


def _unlisted(steps: Sequence[Mapping[str, Any]], card: InputCard) -> list[str]:
    """Return the transforms of a chain that are not those that the card names."""
    listed = _listed(steps, trust=True)
    same = [dict(step) for step in card.transforms] == listed
    acting = [step for step in steps if name_of(step) in VALUES | TURNS]
    return [] if same else [target_of(step) for step in acting]


def preprocessing_notes(configs: Iterable[Mapping[str, Any]], card: InputCard) -> list[str]:
    """Return what a bundle does to images that the card does not say, a sentence or none.

    Parameters
    ----------
    configs : iterable of mapping
        The bundle's configurations, those that tell of inference first.
    card : InputCard
        What is done here.
    """
    known = list(configs)
    notes = []
    if unlike := preprocessing_differences(known, card):
        notes.append(
            "The bundle's own preprocessing is not run here, images are read as the card says; "
            f"not the same: {'; '.join(unlike)}. See whether the ROC AUC is that of the bundle."
        )
    chain = find_chain(known)
    steps = () if chain is None else chain.steps
    roughly = (
        [f"{name} runs before images are resized"] if (name := is_resized_later(steps)) else []
    )
    roughly += [
        f"{target_of(step)} interpolates by {step['mode']}"
        for step in steps
        if name_of(step) == "Resize" and step.get("mode", "area") != "area"
    ]
    if roughly:
        notes.append(
            f"The bundle's own preprocessing is followed but for roundings: {'; '.join(roughly)}; "
            "here images are resized first, by averages over areas."
        )
    return notes


def _unlike(step: Mapping[str, Any], card: InputCard) -> str:
    """Return what a transform does that the card does not say, or an empty text."""
    name, target = name_of(step), target_of(step)
    if name == LOAD or name in GEOMETRY or _is_harmless(step):
        return ""
    if name == "RepeatChannel":
        # Grey files are read in as many channels as the network takes.
        return "" if step.get("repeats") == len(card.channels) else target
    if name == "Transpose" and is_swap(step):
        return ""
    if name == "ScaleIntensityRange":
        told = [step.get(each) for each in ("a_min", "a_max", "b_min", "b_max")]
        # A scale of each image's own undoes it.
        same = card.per_image is not None or (
            _is_from_black_to_white(step) and _equal(told[2:], card.range)
        )
        return "" if same else f"{target} ({told})"
    if name == "NormalizeIntensity" and step.get("subtrahend") is not None:
        same = _equal(step.get("subtrahend"), card.mean) and _equal(step.get("divisor"), card.std)
        return "" if same and not step.get("nonzero") else target
    if name in ("NormalizeIntensity", "ScaleIntensity"):
        facts = _scale_facts([step])
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
