"""What an audit says: findings, each with its numbers and the images that show it best."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from napari_globalxai.audit.places import OUTSIDE
from napari_globalxai.plain_text import numeral

# Searches that share the level: places beyond the picture, subgroups, clusters.
SEARCHES = 3
_LIKE_OURS = re.compile("[a-z]+(-[a-z]+)*")


@dataclass(frozen=True)
class ShownImage:
    """An image that shows a finding.

    Attributes
    ----------
    row, file
        Which.
    share : float
        Share of its map's mass at the place.
    """

    row: int
    file: str
    share: float


@dataclass(frozen=True)
class Finding:
    """Something that a reviewer should look at.

    Attributes
    ----------
    label : str
        Whose map.
    kind : str
        ``outside-field`` or ``region`` for a place beyond the picture that holds too much of the
        label's map; ``subgroup`` where the maps of some images hold much more of a place than those
        of others; ``cluster`` where images of one strategy share a column's value.
    where : str
        The region; a tile of the frame is told with where it lies.
    beyond : bool
        Whether nothing is to be seen there: outside of the field of view, or in a corner.
    covariate, value
        The column that goes with it and its value; None where none does.
    query : str
        The same for `maps --where`; empty where there is no column.
    effect, ci_low, ci_high : float
        How many times its share of area the place holds, among the images that are meant, with the
        95 % interval over patients.
    p : float
        Corrected over all that was searched.
    rest : float or None
        The same ratio among the other images.
    images, patients : int
        How many are meant.
    same_columns : tuple of str
        Columns that part the images in the same way as `covariate` does.
    also : tuple of str
        Other queries of which the same was found.
    also_where : tuple of str
        Other regions of which the same holds.
    shown : tuple of ShownImage
        Images that show it best.
    pictured : bool
        Whether `beyond` is a guess: a corner of a picture that fills the frame.
    sentence : str
        All of it in words.
    """

    label: str
    kind: str
    where: str
    beyond: bool
    covariate: str | None
    value: Any
    query: str
    effect: float
    ci_low: float
    ci_high: float
    p: float
    rest: float | None
    images: int
    patients: int
    same_columns: tuple[str, ...] = ()
    also: tuple[str, ...] = ()
    also_where: tuple[str, ...] = ()
    shown: tuple[ShownImage, ...] = field(default=())
    pictured: bool = False
    sentence: str = ""

    def to_dict(self) -> dict[str, Any]:
        """Return it as ``audit.json`` has it."""
        return asdict(self)


def ranked(findings: Sequence[Finding]) -> tuple[Finding, ...]:
    """Return findings, the surest first, and of equally sure ones the largest."""
    return tuple(sorted(findings, key=lambda each: (each.p, -each.effect, each.label)))


def place_in_words(where: str) -> str:
    """Return a place as it stands in a sentence."""
    if where == OUTSIDE:
        return "what lies outside the field of view"
    region, _, tile = where.partition(" (")
    if region.startswith("corner-"):
        words = f"the {' '.join(region.split('-')[1:])} corner of the frame"
        return f"a part of {words}" if tile else words
    if region.startswith("corners-"):
        return f"the two {region.removeprefix('corners-')} corners of the frame"
    return f"a part of {region}" if tile else f"the region {where}"


def holds_in_words(where: str) -> str:
    """Return a place as the beginning of what it holds."""
    words = place_in_words(where)
    return f"{words} hold" if words.startswith("the two ") else f"{words} holds"


def place_title(where: str) -> str:
    """Return a place as it stands in a list: ``corner-top-left`` as Top left corner."""
    region, _, tile = where.partition(" (")
    if region == OUTSIDE:
        words = "outside the field of view"
    elif region.startswith("corner-"):
        words = f"{' '.join(region.split('-')[1:])} corner"
    elif region.startswith("corners-"):
        words = f"both {region.removeprefix('corners-')} corners"
    else:
        # As the zones of an eye are called; what looks otherwise is somebody's own name.
        words = region.replace("-", " ") if _LIKE_OURS.fullmatch(region) else region
    return f"Part of: {words}" if tile else words[:1].upper() + words[1:]


def numbers_in_words(effect: float, low: float, high: float, p: float) -> str:
    """Return an effect with its interval and p as it stands in a sentence."""
    return (
        f"{effect:.1f} times as much of the map as of the area (95 % interval {low:.1f} to "
        f"{high:.1f}; p = {numeral(p, '.2g')}, corrected for the whole search)"
    )
