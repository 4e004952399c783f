"""Where the mass of a map lies, for what is drawn over it and said of it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from napari_globalxai.faithfulness.verdict.outside_share import outside_share
from napari_globalxai.widgets.words.table_words import share_in_percent

# From the innermost line to the outermost.
CONTOUR_SHARES = (0.5, 0.8)
# What a map may have beyond the field of view before somebody should be told.
_MOST_OUTSIDE = 0.05


class Side(NamedTuple):
    """A map, or one of the two that a difference is made of.

    Attributes
    ----------
    name : str
        Of which images or run it is.
    outside : float
        The share of its mass that lies outside the field of view.
    """

    name: str
    outside: float


def mass_zones(
    image: npt.NDArray[np.floating], shares: tuple[float, ...] = CONTOUR_SHARES
) -> npt.NDArray[np.uint8]:
    """Return the smallest areas that hold shares of a map's mass.

    Parameters
    ----------
    image : numpy.ndarray
        The map; what is not finite counts as nothing.
    shares : tuple of float, optional
        Ascending shares.

    Returns
    -------
    numpy.ndarray
        1 in the area of the first share, 2 in that of the second outside of the first, 0 beyond.
    """
    mass = np.abs(np.nan_to_num(image.astype(np.float64))).ravel()
    zones = np.zeros(mass.size, np.uint8)
    if mass.sum() > 0:
        order = np.argsort(mass, kind="stable")[::-1]
        held = np.cumsum(mass[order]) / mass.sum()
        for number, share in reversed(list(enumerate(shares, start=1))):
            # The pixel that reaches the share belongs to the area.
            zones[order[: int(np.searchsorted(held, share)) + 1]] = number
    return zones.reshape(image.shape)


def mass_outside(image: npt.NDArray[np.floating], field: npt.NDArray[np.bool_]) -> float:
    """Return the share of a map's mass that lies outside the field of view, 0 without mass."""
    share = outside_share(image, field)
    return share if np.isfinite(share) else 0.0


def outside_warning(name: str, sides: Sequence[Side]) -> str:
    """Return a sentence where much of a map lies outside the field of view, else nothing.

    Of a difference, that is asked of both of its sides. A mark that both hold goes out of their
    difference, and what differs by chance lies everywhere, outside as well.

    Parameters
    ----------
    name : str
        The map.
    sides : sequence of Side
        The map itself; of a difference, both maps that it is made of.
    """
    if all(side.outside < _MOST_OUTSIDE for side in sides):
        return ""
    if len(sides) == 1:
        share = share_in_percent(sides[0].outside)
        said = f"{share} of the mass of {name} lies outside the field of view"
    else:
        shares = " and ".join(f"{share_in_percent(side.outside)} in {side.name}" for side in sides)
        said = f"Of the mass of {name}, {shares} lie outside the field of view"
    return f"{said}: the model may look at a mark or a frame, not at what the images show."
