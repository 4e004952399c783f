"""Maps of one cell grid as maps of another, so that two methods or models can be compared."""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

from napari_globalxai.maps.cell_grid import CellGrid
from napari_globalxai.maps.upsampling import interpolation_weights


def coarser(first: CellGrid, second: CellGrid) -> CellGrid:
    """Return the one with fewer cells."""
    return first if math.prod(first.shape) <= math.prod(second.shape) else second


def on_cells(
    maps: npt.NDArray[np.floating], source: CellGrid, target: CellGrid
) -> npt.NDArray[np.float64]:
    """Bring maps (..., *cells) to other cells of the same frame.

    Each new cell is the mean of the map, interpolated linearly, over the pixels nearest to it.
    """
    values = np.asarray(maps, np.float64)
    axes = len(source.frame)
    for axis in range(axes):
        length = source.frame[axis]
        weights = _shares(target.centres[axis], length) @ interpolation_weights(
            source.centres[axis], length
        )
        place = axis - axes
        values = np.moveaxis(np.moveaxis(values, place, -1) @ weights.T, -1, place)
    return values


def same_cells(first: CellGrid, second: CellGrid) -> bool:
    """Return whether the cells of two grids lie on the same places."""
    return first.shape == second.shape and all(
        np.allclose(one, other) for one, other in zip(first.centres, second.centres, strict=True)
    )


def _shares(centres: npt.NDArray[np.float64], length: int) -> npt.NDArray[np.float64]:
    """Return weights (cell, pixel) of the mean over the pixels that lie nearest to each cell."""
    nearest = np.abs(np.arange(length)[:, None] - centres[None]).argmin(axis=1)
    chosen = (nearest[None] == np.arange(len(centres))[:, None]).astype(np.float64)
    # Cells closer than pixels share the nearest one.
    empty = chosen.sum(axis=1) == 0
    at = np.clip(np.rint(centres).astype(int), 0, length - 1)
    chosen[empty, at[empty]] = 1
    return np.asarray(chosen / chosen.sum(axis=1, keepdims=True))
