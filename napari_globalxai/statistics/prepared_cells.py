"""The image-wise maps of many images as one matrix, image × cell, as statistics want them."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from napari_globalxai.errors import InputError
from napari_globalxai.maps.preparing import is_constant, prepare_maps
from napari_globalxai.maps.upsampling import cells_inside, upsample

if TYPE_CHECKING:
    from napari_globalxai.maps.cell_grid import CellGrid
    from napari_globalxai.maps.store import AttributionStore
    from napari_globalxai.settings.aggregation_settings import AggregationSettings

MOST_BYTES = 1 << 30
# Large enough that Python's part of the work is nothing, small enough for the processor's caches.
_PART_BYTES = 4 << 20
_ALL = slice(None)
# Of one label, so that what was read of it once is not read again.
_MOST_KEPT = 128 << 20


@dataclass(frozen=True)
class PreparedCells:
    """Maps of one label, part and scale taken as the settings say.

    Attributes
    ----------
    rows : numpy.ndarray
        Their images, in the order asked for by chunk of the store: ascending for ascending rows.
    values : numpy.ndarray
        float32 (image, cell inside).
    constant : numpy.ndarray
        bool (image,): which maps have one value only, over all their cells.
    n_constant : int
        How many had, with those that were left out.
    """

    rows: npt.NDArray[np.int64]
    values: npt.NDArray[np.float32]
    constant: npt.NDArray[np.bool_]
    n_constant: int


@dataclass(frozen=True)
class CellReader:
    """Reads the maps of a store as matrices image × cell.

    Scale and constancy are those of a whole map, also where only some of its cells are read.
    Constant maps are left out where the settings say so. Where a pixel-level method gave more cells
    than fit into memory, squares of them are averaged.

    Parameters
    ----------
    store : AttributionStore
        The image-wise maps.
    settings : AggregationSettings
        Part, scale, and what becomes of constant maps.
    valid : numpy.ndarray, optional
        Pixels inside the field of view, bool (*frame); by default all cells are read.
    side : int, optional
        Side of the squares of cells that are averaged into one; see `fitting`.
    only : numpy.ndarray, optional
        The cells to read, bool (*cells) of `grid`, in place of those inside `valid`.
    """

    store: AttributionStore
    settings: AggregationSettings
    valid: npt.NDArray[np.bool_] | None = None
    side: int = 1
    only: npt.NDArray[np.bool_] | None = None

    def counting_all(self) -> CellReader:
        """Return a reader that leaves no constant map out."""
        settings = self.settings.model_copy(update={"constant_maps": "counted"})
        return replace(self, settings=settings)

    def fitting(self, images: int, most_bytes: int = MOST_BYTES) -> CellReader:
        """Return a reader whose matrix of so many images takes at most so many bytes.

        It is this one where the cells fit as they are, else one that averages the smallest squares
        of cells that do.

        Raises
        ------
        InputError
            When not even one cell an image fits.
        """
        for side in range(self.side, max(self.store.grid.shape) + 1):
            shape = [math.ceil(cells / side) for cells in self.store.grid.shape]
            if 4 * images * math.prod(shape) <= most_bytes:
                return replace(self, side=side)
        raise InputError(f"{images} images do not fit into {most_bytes} bytes; choose fewer.")

    @cached_property
    def grid(self) -> CellGrid:
        """Where the cells lie in the frame, after averaging."""
        return self.store.grid if self.side == 1 else self.store.grid.pooled(self.side)

    @cached_property
    def inside(self) -> npt.NDArray[np.bool_]:
        """Which cells are read, bool (*cells) of `grid`."""
        if self.only is not None:
            return self.only
        if self.valid is None:
            return np.ones(self.grid.shape, dtype=bool)
        return cells_inside(self.valid, self.grid)

    def cells(self, label: str, rows: npt.NDArray[np.int64], block: slice = _ALL) -> PreparedCells:
        """Read the maps of one label at once; see `fitting` for what they take.

        Parameters
        ----------
        label : str
            Which label.
        rows : numpy.ndarray
            Images to read.
        block : slice, optional
            Some of the cells inside.
        """
        count = len(range(*block.indices(int(self.inside.sum()))))
        values = np.empty((len(rows), count), np.float32)
        parts, constant, n_constant, done = [rows[:0]], [np.zeros(0, bool)], 0, 0
        for part in self.chunks(label, rows):
            values[done : done + len(part.rows)] = part.values[:, block]
            done += len(part.rows)
            parts.append(part.rows)
            constant.append(part.constant)
            n_constant += part.n_constant
        return PreparedCells(
            np.concatenate(parts), values[:done], np.concatenate(constant), n_constant
        )

    def chunks(self, label: str, rows: npt.NDArray[np.int64]) -> Iterator[PreparedCells]:
        """Go through the maps of one label, some megabytes at a time."""
        all_inside = bool(self.inside.all())
        for part, raw in self.store.runs_of_chunks(
            rows, self.store.labels.index(label), _PART_BYTES
        ):
            maps = prepare_maps(raw, self.settings)
            constant = is_constant(maps)
            n_constant = int(constant.sum())
            if n_constant and self.settings.constant_maps == "left-out":
                part, maps, constant = part[~constant], maps[~constant], constant[~constant]
            if self.side > 1:
                maps = _pooled(maps, self.side)
            cells = maps.reshape(len(maps), -1) if all_inside else maps[:, self.inside]
            yield PreparedCells(part, cells.astype(np.float32), constant, n_constant)

    def spread(
        self, values: npt.NDArray[np.floating], fill: float = np.nan
    ) -> npt.NDArray[np.float64]:
        """Put values of the cells inside, (..., cell), where they lie, (..., *cells)."""
        full = np.full((*values.shape[:-1], *self.inside.shape), fill, dtype=np.float64)
        full[..., self.inside] = values
        return full

    def in_frame(self, values: npt.NDArray[np.floating]) -> npt.NDArray[np.float32]:
        """Bring values of the cells inside, (..., cell), to the frame, (..., *frame).

        A cell outside takes the value of the nearest one inside before it is interpolated, so that
        nothing leaks in from where there is nothing.
        """
        if self.inside.all():
            return upsample(self.spread(values), self.grid)
        from scipy.ndimage import distance_transform_edt

        nearest = distance_transform_edt(~self.inside, return_distances=False, return_indices=True)
        return upsample(self.spread(values, 0)[(..., *nearest)], self.grid)


class LabelCells:
    """The maps of one label, read once where they fit into memory, else each time.

    Parameters
    ----------
    reader : CellReader
        Where they are read from, and what of them.
    label : str
        Which label.
    rows : numpy.ndarray
        Their images.
    """

    def __init__(self, reader: CellReader, label: str, rows: npt.NDArray[np.int64]) -> None:
        self._reader, self.label, self._rows = reader, label, rows
        self._keeps = 4 * len(rows) * int(reader.inside.sum()) <= _MOST_KEPT
        self._kept: list[PreparedCells] = []

    def __iter__(self) -> Iterator[PreparedCells]:
        if self._kept:
            yield from self._kept
            return
        kept = []
        for part in self._reader.chunks(self.label, self._rows):
            if self._keeps:
                kept.append(part)
            yield part
        self._kept = kept

    @cached_property
    def _matrix(self) -> npt.NDArray[np.float32]:
        return np.concatenate([part.values for part in self])

    def columns(self, block: slice) -> npt.NDArray[np.float32]:
        """Return some of the cells inside of all images that enter, (image, cell)."""
        if self._keeps and len(self._rows):
            return self._matrix[:, block]
        return self._reader.cells(self.label, self._rows, block).values


def _pooled(maps: npt.NDArray[np.float64], side: int) -> npt.NDArray[np.float64]:
    """Average blocks of `side` cells along each axis; the last may be smaller."""
    for axis in range(1, maps.ndim):
        length = maps.shape[axis]
        starts = np.arange(0, length, side)
        sizes = np.diff(starts, append=length)
        shape = [1] * maps.ndim
        shape[axis] = len(starts)
        maps = np.add.reduceat(maps, starts, axis=axis) / sizes.reshape(shape)
    return maps
