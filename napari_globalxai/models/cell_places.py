"""Bring the maps of several calls of a CAM layer to cells that they share."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from napari_globalxai.maps.cell_grid import CellGrid

# Centres in pixels that are nearer than this are the same.
_SAME = 0.01


@dataclass(frozen=True)
class CellPlaces:
    """Where the cells of each call lie, and the cells of the map that they make up together.

    Attributes
    ----------
    grid : CellGrid
        The cells of the map: the rows and columns of all calls. Between them maps go linearly, so
        that adding up there is adding up on the pixels of the image.
    weights : tuple of tuple of numpy.ndarray
        For each call and axis, (cell of the map, cell of the call); empty where the cells of all
        calls are those of the map.
    """

    grid: CellGrid
    weights: tuple[tuple[npt.NDArray[np.float64], ...], ...] = ()

    @classmethod
    def of(cls, grids: Sequence[CellGrid]) -> CellPlaces:
        """Return the places of calls whose cells lie on these grids."""
        axes = range(len(grids[0].frame))
        if len(grids) == 1 or all(_is_same(grid, grids[0]) for grid in grids):
            return cls(grids[0])
        centres = tuple(
            _union([grid.centres[axis] for grid in grids], grids[0].frame[axis]) for axis in axes
        )
        measured = all(grid.measured for grid in grids)
        weights = tuple(
            tuple(_interpolation(centres[axis], grid.centres[axis]) for axis in axes)
            for grid in grids
        )
        return cls(CellGrid(centres, grids[0].frame, measured), weights)

    def laid_out(self, values: Sequence[Tensor]) -> Tensor:
        """Return the channels of all calls, (image, channel, row, column), on the map's cells."""
        return values[0] if len(values) == 1 else torch.cat(self._brought(values), dim=1)

    def joined(self, maps: Sequence[Tensor]) -> Tensor:
        """Return the sum of the maps of all calls, (image, row, column), on the map's cells."""
        return maps[0] if len(maps) == 1 else torch.stack(self._brought(maps)).sum(dim=0)

    def _brought(self, maps: Sequence[Tensor]) -> list[Tensor]:
        if not self.weights:
            return list(maps)
        brought = []
        for values, (rows, columns) in zip(maps, self.weights, strict=True):
            left, right = (torch.as_tensor(each).to(values) for each in (rows, columns))
            brought.append(left @ values @ right.T)
        return brought


def _is_same(one: CellGrid, two: CellGrid) -> bool:
    return one.shape == two.shape and all(
        np.allclose(mine, theirs, atol=_SAME)
        for mine, theirs in zip(one.centres, two.centres, strict=True)
    )


def _union(centres: Sequence[npt.NDArray[np.float64]], length: int) -> npt.NDArray[np.float64]:
    """Return all centres once, or the pixels where those are fewer."""
    ordered = np.sort(np.concatenate(centres))
    levels = ordered[np.insert(np.diff(ordered) > _SAME, 0, True)]
    return levels if len(levels) <= length else np.arange(length, dtype=float)


def _interpolation(
    targets: npt.NDArray[np.float64], centres: npt.NDArray[np.float64]
) -> npt.NDArray[np.float64]:
    """Return weights of linear interpolation; beyond the outermost cells their value stays."""
    return np.stack([np.interp(targets, centres, unit) for unit in np.eye(len(centres))], axis=1)
