"""Image-wise maps of some images of a run, its own and those of the model with random weights."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from math import ceil
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from napari_globalxai.attribution.batches import Batches
from napari_globalxai.maps.cell_grid import CellGrid
from napari_globalxai.maps.preparing import is_constant, prepare_maps
from napari_globalxai.maps.upsampling import cells_inside
from napari_globalxai.statistics.prepared_cells import pooled

if TYPE_CHECKING:
    from napari_globalxai.attribution.method import Method
    from napari_globalxai.models.classifier import Classifier
    from napari_globalxai.runs.run import Run

# Rank correlations of finer maps than this, along a side, take long and say the same.
_MOST_CELLS = 96

FloatArray = npt.NDArray[np.float64]
# A label, rows of some images, and their maps.
_Batch = tuple[str, npt.NDArray[np.int64], npt.NDArray[np.float32]]


@dataclass(frozen=True)
class LabelMaps:
    """The maps of one label of some images by one model.

    Attributes
    ----------
    maps : numpy.ndarray
        float32 (image, *cells), as they enter the global map.
    keep : numpy.ndarray
        bool (image,): which of them enter.
    signed, absolute : numpy.ndarray
        Mean of the signed maps, and of their sizes, (*cells).
    """

    maps: npt.NDArray[np.float32]
    keep: npt.NDArray[np.bool_]
    signed: FloatArray
    absolute: FloatArray

    @property
    def mean(self) -> FloatArray:
        """The global map, (*cells)."""
        chosen = self.maps[self.keep]
        return np.asarray(
            chosen.mean(axis=0, dtype=np.float64) if len(chosen) else np.zeros(self.maps.shape[1:])
        )


class RunMaps:
    """Reads the maps of chosen images out of a run, and makes those of other models alike.

    Parameters
    ----------
    run : Run
        The run.
    rows : mapping of str to numpy.ndarray
        By label, the images behind its map.
    """

    def __init__(self, run: Run, rows: Mapping[str, npt.NDArray[np.int64]]) -> None:
        self._run = run
        self.rows = dict(rows)
        self._side = ceil(max(run.store.grid.shape) / _MOST_CELLS)
        grid: CellGrid = run.store.grid.pooled(self._side)
        self.grid = grid
        self.valid = cells_inside(run.valid, grid)
        self.every_row: list[int] = np.unique(np.concatenate(list(rows.values()))).tolist()

    def trained(self) -> dict[str, LabelMaps]:
        """Return the maps of the run itself."""
        store = self._run.store
        return self._gather(
            (label, part, raw)
            for label, rows in self.rows.items()
            for part, raw in store.chunks(rows, store.labels.index(label))
        )

    def of_model(
        self, classifier: Classifier, method: Method, tick: Callable[[int], None]
    ) -> dict[str, LabelMaps]:
        """Return the maps of a model, by the same method of the same images."""
        return self._gather(self._explained(classifier, method, tick))

    def _explained(
        self, classifier: Classifier, method: Method, tick: Callable[[int], None]
    ) -> Iterator[_Batch]:
        stack, pooling = self._run.stack, self._run.store.pooling
        indices = [classifier.labels.index(label) for label in self.rows]
        done = 0
        for part, result in Batches(classifier, method, indices).explain(
            self.every_row, lambda each: classifier.to_input(stack.read(each))
        ):
            native = result.maps.cpu().numpy()
            if pooling > 1:
                few = pooled(native.reshape(-1, *native.shape[2:]), pooling)
                native = few.reshape(*native.shape[:2], *few.shape[1:]).astype(np.float32)
            for index, (label, rows) in enumerate(self.rows.items()):
                inside = np.isin(part, rows)
                yield label, np.asarray(part)[inside], native[inside, index]
            done += len(part)
            tick(done)

    def _gather(self, batches: Iterator[_Batch]) -> dict[str, LabelMaps]:
        shape, own = self.grid.shape, self._run.aggregation
        maps = {name: np.zeros((len(rows), *shape), np.float32) for name, rows in self.rows.items()}
        keep = {name: np.ones(len(rows), dtype=bool) for name, rows in self.rows.items()}
        sums = {name: np.zeros((2, *shape)) for name in self.rows}
        for label, part, raw in batches:
            if not len(part):
                continue
            at = np.searchsorted(self.rows[label], part)
            maps[label][at] = self._coarse(prepare_maps(raw, own))
            if own.constant_maps == "left-out":
                keep[label][at] = ~is_constant(raw)
            for place, kind in enumerate(("signed", "absolute")):
                settings = own.model_copy(update={"part": kind})
                sums[label][place] += self._coarse(prepare_maps(raw, settings)).sum(axis=0)
        return {
            label: LabelMaps(
                maps[label], keep[label], *(sums[label] / max(len(self.rows[label]), 1))
            )
            for label in self.rows
        }

    def _coarse(self, maps: FloatArray) -> FloatArray:
        """Average squares of cells where there are very many."""
        return maps if self._side == 1 else pooled(maps, self._side)


def choose_rows(
    rows: npt.NDArray[np.int64], patients: Sequence[str], most: int, seed: int
) -> npt.NDArray[np.int64]:
    """Return the images of randomly chosen whole patients, at most so many, but of one patient."""
    if len(rows) <= most:
        return rows
    owners = np.asarray([patients[row] for row in rows], dtype=str)
    names = np.unique(owners)
    chosen: list[npt.NDArray[np.int64]] = []
    for name in np.random.default_rng(seed).permutation(names):
        own = rows[owners == name]
        if chosen and sum(map(len, chosen)) + len(own) > most:
            break
        chosen.append(own)
    return np.sort(np.concatenate(chosen))
