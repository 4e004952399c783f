"""How a bundle's chain resizes, cuts and fills images: read into the word of a card's fit."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from napari_globalxai.models.files.bundle_chain import LOAD, is_turned, name_of
from napari_globalxai.models.files.transform_chain import VALUES
from napari_globalxai.settings.fit import STRETCH

GEOMETRY = frozenset(("Resize", "ResizeWithPadOrCrop", "CenterSpatialCrop", "SpatialPad"))
_SIZES = {
    "ResizeWithPadOrCrop": "spatial_size",
    "CenterSpatialCrop": "roi_size",
    "SpatialPad": "spatial_size",
}
# What fills or cuts images to a size whatever theirs is.
_CUTS = (
    ["CenterSpatialCrop"],
    ["ResizeWithPadOrCrop"],
    ["SpatialPad", "CenterSpatialCrop"],
    ["CenterSpatialCrop", "SpatialPad"],
)
_POINTWISE = ("ScaleIntensityRange", "NormalizeIntensity")


def fit_of(steps: Sequence[Mapping[str, Any]], due: Sequence[int]) -> str | None:
    """Return the fit that a chain amounts to.

    Parameters
    ----------
    steps : sequence of mapping
        The chain.
    due : sequence of int
        The size of what the network takes, as the chain has it: columns first where it has them so.

    Returns
    -------
    str or None
        None where it is none that a card can say.
    """
    geometry = [step for step in steps if name_of(step) in GEOMETRY]
    names = [name_of(step) for step in geometry]
    if not geometry:
        return STRETCH
    first, after = (_place(steps, step) for step in (geometry[0], geometry[-1]))
    if is_turned(False, steps[first:after]):
        return None
    due = list(due)[::-1] if is_turned(False, steps[after:]) else list(due)
    levels = [_level(step) for step in geometry]
    if None in levels or not _comes_in_time(steps, geometry[-1]):
        return None
    level = next((each for each in levels if each), 0)
    more = f":{level:g}" if level else ""
    if names[0] != "Resize":
        fills = names in _CUTS and _size(geometry[-1]) == due
        return f"native{more}" if fills else None
    loads = [step for step in steps if name_of(step) == LOAD]
    turned = sum(step.get("reverse_indexing") is not False for step in loads) % 2 == 1
    return _resized(geometry, due, (level, more), is_turned(turned, steps[:first]))


def _resized(
    geometry: Sequence[Mapping[str, Any]],
    due: list[int],
    levels: tuple[float, str],
    columns_first: bool,
) -> str | None:
    """Return the fit of images that are resized first."""
    level, more = levels
    names, before = [name_of(step) for step in geometry[1:]], _size(geometry[0])
    mode = geometry[0].get("size_mode", "all")
    if mode == "longest":
        square = due[0] == due[1] == geometry[0].get("spatial_size")
        fills = names in (["SpatialPad"], ["ResizeWithPadOrCrop"])
        return f"letterbox{more}" if square and fills and _size(geometry[-1]) == due else None
    if not names:
        return STRETCH if before == due else None
    # What is larger than the frame is cut, which no level is needed for.
    cuts = "Resize" not in names and _size(geometry[-1]) == due and not level
    if not cuts or before is None or mode != "all":
        return None
    height, width = before[::-1] if columns_first else before
    return f"crop:{height}x{width}"


def is_resized_to(step: Mapping[str, Any], due: Sequence[int]) -> bool:
    """Return whether a transform resizes images to a size."""
    return name_of(step) == "Resize" and _size(step) == list(due)


def is_resized_later(steps: Sequence[Mapping[str, Any]]) -> str:
    """Return the transform that takes its numbers from images before they are resized, if any."""
    places = [at for at, step in enumerate(steps) if name_of(step) == "Resize"]
    before = steps[: places[0]] if places else ()
    return next((str(step["_target_"]) for step in before if _is_of_image(step)), "")


def _is_of_image(step: Mapping[str, Any]) -> bool:
    """Return whether a transform's numbers come from the image, or from neighbours."""
    by_numbers = name_of(step) in _POINTWISE and (
        step.get("subtrahend") is not None or name_of(step) == "ScaleIntensityRange"
    )
    return name_of(step) in VALUES and not by_numbers


def _comes_in_time(steps: Sequence[Mapping[str, Any]], last: Mapping[str, Any]) -> bool:
    """Return whether cuts and fills come before what they would change the result of."""
    at = _place(steps, last)
    if name_of(last) == "Resize":
        return True
    before = [step for step in steps[:at] if name_of(step) in VALUES]
    if name_of(last) == "CenterSpatialCrop":
        return not any(map(_is_of_image, before))
    # Filled up with 0, which is black only where nothing has moved it.
    return all(name_of(step) == "ScaleIntensityRange" and step.get("b_min") == 0 for step in before)


def _place(steps: Sequence[Mapping[str, Any]], step: Mapping[str, Any]) -> int:
    return next(number for number, each in enumerate(steps) if each is step)


def _size(step: Mapping[str, Any]) -> list[int] | None:
    size = step.get(_SIZES.get(name_of(step), "spatial_size"))
    return list(size) if isinstance(size, list | tuple) and len(size) == 2 else None


def _level(step: Mapping[str, Any]) -> float | None:
    """Return the level of what is filled up; None where it is filled up otherwise."""
    if name_of(step) in ("Resize", "CenterSpatialCrop"):
        return 0.0
    plain = (
        step.get("mode", "constant") == "constant"
        and step.get("method", "symmetric") == "symmetric"
    )
    value = step.get("value", step.get("constant_values", 0))
    number = isinstance(value, int | float) and 0 <= value <= 255
    return float(value) if plain and number else None
