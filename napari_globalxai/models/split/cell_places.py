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
        The cells of the map: the rows and columns of all calls, and those on both sides of the
        edges of what a call sees. Between them maps go linearly, so that adding up there is adding
        up on the pixels of the image.
    weights : tuple of tuple of numpy.ndarray
        For each call and axis, (cell of the map, cell of the call); empty where the cells of all
        calls are those of the map, and each sees all of the image.
    """

    grid: CellGrid
    weights: tuple[tuple[npt.NDArray[np.float64], ...], ...] = ()

    @classmethod
    def of(cls, grids: Sequence[CellGrid], seen: Sequence[tuple[slice, ...]]) -> CellPlaces:
        """Return the places of calls.

        Parameters
        ----------
        grids : sequence of CellGrid
            Where the cells of each call lie.
        seen : sequence of tuple of slice
            What each call sees of the image, along each axis; its map is 0 beyond.
        """
        frame = grids[0].frame
        boxes = [
            tuple(map(_edges, grid.centres, box, frame))
            for grid, box in zip(grids, seen, strict=True)
        ]
        sees_all = all(np.isinf(box).all() for box in boxes)
        if sees_all and all(_is_same(grid, grids[0]) for grid in grids):
            return cls(grids[0])
        axes = range(len(frame))
        centres = tuple(
            _union(
                [grid.centres[axis] for grid in grids],
                [box[axis] for box in boxes],
                frame[axis],
            )
            for axis in axes
        )
        weights = tuple(
            tuple(_interpolation(centres[axis], grid.centres[axis], box[axis]) for axis in axes)
            for grid, box in zip(grids, boxes, strict=True)
        )
        return cls(CellGrid(centres, frame, all(grid.measured for grid in grids)), weights)

    def laid_out(self, values: Sequence[Tensor]) -> Tensor:
        """Return the channels of all calls, (image, channel, row, column), on the map's cells."""
        brought = self._brought(values)
        return brought[0] if len(brought) == 1 else torch.cat(brought, dim=1)

    def joined(self, maps: Sequence[Tensor]) -> Tensor:
        """Return the sum of the maps of all calls, (image, row, column), on the map's cells."""
        brought = self._brought(maps)
        return brought[0] if len(brought) == 1 else torch.stack(brought).sum(dim=0)

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


def _edges(centres: npt.NDArray[np.float64], seen: slice, length: int) -> tuple[float, float]:
    """Return where along an axis what a call sees begins and ends, if not with the frame.

    Steps of a convolution that do not come out even leave less than a cell unseen.
    """
    cell = float(np.median(np.diff(centres))) if len(centres) > 1 else float(length)
    start = seen.start if seen.start >= cell else -np.inf
    stop = seen.stop if length - seen.stop >= cell else np.inf
    return start, stop


def _union(
    centres: Sequence[npt.NDArray[np.float64]], edges: Sequence[tuple[float, float]], length: int
) -> npt.NDArray[np.float64]:
    """Return all centres and both sides of all edges once, or the pixels where those are fewer."""
    sides = [
        side
        for start, stop in edges
        for edge in (start, stop)
        if np.isfinite(edge)
        for side in (edge - 1, edge)
    ]
    ordered = np.sort(np.concatenate([*centres, sides]))
    levels = ordered[np.insert(np.diff(ordered) > _SAME, 0, True)]
    return levels if len(levels) <= length else np.arange(length, dtype=float)


def _interpolation(
    targets: npt.NDArray[np.float64], centres: npt.NDArray[np.float64], edges: tuple[float, float]
) -> npt.NDArray[np.float64]:
    """Return weights of linear interpolation; the outermost cells' value stays up to the edges."""
    weights = np.stack([np.interp(targets, centres, unit) for unit in np.eye(len(centres))], axis=1)
    weights[(targets < edges[0]) | (targets > edges[1] - 1)] = 0.0
    return weights
