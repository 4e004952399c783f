"""The image-wise maps of many images as one matrix, image × cell, as statistics want them."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from napari_globalxai.errors import InputError
from napari_globalxai.maps.preparing import is_constant, part_of, prepare_maps
from napari_globalxai.maps.upsampling import cells_inside, upsample

if TYPE_CHECKING:
    from napari_globalxai.maps.cell_grid import CellGrid
    from napari_globalxai.maps.store import AttributionStore
    from napari_globalxai.settings.aggregation_settings import AggregationSettings

MOST_BYTES = 1 << 30
# Large enough that Python's part of the work is nothing, small enough for the processor's caches.
_PART_BYTES = 1 << 20
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

    def keeping(self, rows: npt.NDArray[np.int64]) -> CellReader:
        """Return a reader that reads these images of a label once, where they fit into memory.

        For questions that go through the same images several times; it knows no others.
        """
        if 4 * len(rows) * int(self.inside.sum()) > _MOST_KEPT:
            return self
        return KeptReader(
            self.store, self.settings, self.valid, self.side, self.only, np.unique(rows)
        )

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
        # In float64 only what is rounded on the way.
        exact = self.settings.scale == "none" and self.side == 1
        for part, raw in self.store.runs_of_chunks(
            rows, self.store.labels.index(label), _PART_BYTES
        ):
            maps = part_of(raw, self.settings) if exact else prepare_maps(raw, self.settings)
            constant = is_constant(maps)
            n_constant = int(constant.sum())
            if n_constant and self.settings.constant_maps == "left-out":
                part, maps, constant = part[~constant], maps[~constant], constant[~constant]
            if self.side > 1:
                maps = pooled(maps, self.side)
            cells = maps.reshape(len(maps), -1) if all_inside else maps[:, self.inside]
            yield PreparedCells(part, cells.astype(np.float32, copy=False), constant, n_constant)

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


@dataclass(frozen=True)
class KeptReader(CellReader):
    """A reader that remembers the maps of the label that was asked for last; see `keeping`.

    Parameters
    ----------
    rows : numpy.ndarray
        The images that it knows, ascending.
    """

    rows: npt.NDArray[np.int64] = field(default_factory=lambda: np.zeros(0, np.int64))
    # Shared with what `counting_all` returns.
    _kept: dict[str, PreparedCells] = field(default_factory=dict, repr=False)

    def chunks(self, label: str, rows: npt.NDArray[np.int64]) -> Iterator[PreparedCells]:
        """Go through the maps of one label, some megabytes at a time."""
        kept = self._of(label)
        places = np.searchsorted(kept.rows, rows)
        at_once = max(1, _PART_BYTES // (4 * max(1, kept.values.shape[1])))
        for start in range(0, len(places), at_once):
            some = places[start : start + at_once]
            constant = kept.constant[some]
            n_constant = int(constant.sum())
            if n_constant and self.settings.constant_maps == "left-out":
                some, constant = some[~constant], constant[~constant]
            yield PreparedCells(kept.rows[some], kept.values[some], constant, n_constant)

    def _of(self, label: str) -> PreparedCells:
        if label not in self._kept:
            self._kept.clear()
            settings = self.settings.model_copy(update={"constant_maps": "counted"})
            plain = CellReader(self.store, settings, self.valid, self.side, self.only)
            self._kept[label] = plain.cells(label, self.rows)
        return self._kept[label]


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

    Attributes
    ----------
    keeps : bool
        Whether they fit.
    """

    def __init__(self, reader: CellReader, label: str, rows: npt.NDArray[np.int64]) -> None:
        self._reader, self.label, self._rows = reader, label, rows
        self.keeps = 4 * len(rows) * int(reader.inside.sum()) <= _MOST_KEPT
        self._kept: list[PreparedCells] = []

    def __iter__(self) -> Iterator[PreparedCells]:
        if self._kept:
            yield from self._kept
            return
        kept = []
        for part in self._reader.chunks(self.label, self._rows):
            if self.keeps:
                kept.append(part)
            yield part
        self._kept = kept

    @cached_property
    def _matrix(self) -> npt.NDArray[np.float32]:
        return np.concatenate([part.values for part in self])

    def columns(self, block: slice) -> npt.NDArray[np.float32]:
        """Return some of the cells inside of all images that enter, (image, cell)."""
        if self.keeps and len(self._rows):
            return self._matrix[:, block]
        return self._reader.cells(self.label, self._rows, block).values


def pooled(maps: npt.NDArray[np.floating], side: int) -> npt.NDArray[np.float64]:
    """Average blocks of `side` cells along each axis of maps (image, *cells).

    The last block along an axis may be smaller.
    """
    means = maps.astype(np.float64)
    for axis in range(1, maps.ndim):
        length = maps.shape[axis]
        starts = np.arange(0, length, side)
        sizes = np.diff(starts, append=length)
        shape = [1] * maps.ndim
        shape[axis] = len(starts)
        means = np.add.reduceat(means, starts, axis=axis) / sizes.reshape(shape)
    return means
