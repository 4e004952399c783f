"""The global maps of a run that is still being computed, from what its store holds so far."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
from scipy.special import expit, softmax

from napari_globalxai.attribution.explained_rows import logits_so_far
from napari_globalxai.faithfulness.scores.auc_scores import roc_auc
from napari_globalxai.maps.moments import Moments
from napari_globalxai.maps.store import AttributionStore
from napari_globalxai.maps.upsampling import smooth, upsample
from napari_globalxai.runs.folder import STORE_FOLDER
from napari_globalxai.runs.record import RunRecord, read_record_of
from napari_globalxai.settings.aggregation_settings import AggregationSettings
from napari_globalxai.statistics.global_map import OVERALL, overall_map
from napari_globalxai.statistics.prepared_cells import CellReader, LabelCells
from napari_globalxai.statistics.selection import select_rows

if TYPE_CHECKING:
    from napari_globalxai.cohort.table import Cohort

_BY_TRUTH = ("positives", "negatives", "all")


@dataclass(frozen=True)
class Grown:
    """The maps at one moment.

    Attributes
    ----------
    maps : dict of str to numpy.ndarray
        ``overall`` and one a label, float32 (*frame); a label without an image yet is left out.
    counts : dict of str to int
        By label: images in its map so far.
    rows : tuple of int
        The images that are explained.
    total : int
        Images of the cohort.
    signed : bool
        Whether the maps have values below zero.
    roc_auc : dict of str to float
        By label: how well the images that are explained are told apart; NaN with one class only.
    """

    maps: dict[str, npt.NDArray[np.float32]]
    counts: dict[str, int]
    rows: tuple[int, ...]
    total: int
    signed: bool
    roc_auc: dict[str, float] = field(default_factory=dict)


class GrowingMaps:
    """Follows a run while it is computed, here or by another process; reads only what is new.

    When the last image is there, the maps are the run's own, but for those of pooled maps, which
    the run averages before they are pooled.

    Parameters
    ----------
    folder : pathlib.Path
        The run folder.
    cohort : Cohort
        The cohort, which tells the true labels.
    """

    def __init__(self, folder: Path, cohort: Cohort) -> None:
        self._folder, self._cohort = folder, cohort
        self._moments: dict[str, Moments] = {}
        self._counted: dict[str, set[int]] = {}
        self._fingerprint = ""

    def update(self) -> Grown | None:
        """Take in what came since the last call; None while there is nothing to show."""
        path = self._folder / STORE_FOLDER
        if not (path / "zarr.json").is_file():
            return None
        record = read_record_of(self._folder, RunRecord)
        store, labels = AttributionStore(path), record.settings.labels or ()
        if store.fingerprint != self._fingerprint:
            # Another run took the folder.
            self._fingerprint = store.fingerprint
            self._moments = {label: Moments(store.grid.shape) for label in labels}
            self._counted = {label: set() for label in labels}
        known = logits_so_far(path)
        rows = sorted(known)
        if not rows:
            return None
        settings = AggregationSettings.model_validate(
            {name: getattr(record.settings, name) for name in AggregationSettings.model_fields}
        )
        activation = record.model.card.activation
        if activation == "none" and settings.selection not in _BY_TRUTH:
            # Only the loaded network tells which of its outputs are predictions.
            return None
        every = tuple(record.model.card.labels)
        truth = self._cohort.truth(every)
        probability = np.full(truth.shape, np.nan)
        logits = np.asarray([known[row] for row in rows], float)
        probability[rows] = softmax(logits, axis=1) if activation == "softmax" else expit(logits)
        reader = CellReader(store, settings)
        for label in labels:
            at = every.index(label)
            members = select_rows(truth[:, at], probability[:, at], settings)
            self._take_in(reader, label, members)
        told_apart = {
            label: _roc_auc(truth[rows, at], probability[rows, at])
            for at, label in enumerate(every)
        }
        return self._grown(store, settings, tuple(rows), told_apart)

    def _take_in(self, reader: CellReader, label: str, members: npt.NDArray[np.int64]) -> None:
        """Average the maps of images that were not there before."""
        counted, moments = self._counted[label], self._moments[label]
        new = np.asarray([row for row in members if row not in counted], np.int64)
        for part in LabelCells(reader, label, new):
            moments.add(part.values.astype(np.float64).reshape(-1, *moments.mean.shape))
        counted.update(new.tolist())

    def _grown(
        self,
        store: AttributionStore,
        settings: AggregationSettings,
        rows: tuple[int, ...],
        told_apart: dict[str, float],
    ) -> Grown:
        maps = {
            label: smooth(upsample(moments.mean, store.grid), settings.smoothing)
            for label, moments in self._moments.items()
            if moments.n
        }
        counts = {label: moments.n for label, moments in self._moments.items()}
        overall = {OVERALL: overall_map(maps)} if maps else {}
        return Grown(
            {**overall, **maps},
            counts,
            rows,
            len(self._cohort),
            settings.part == "signed",
            told_apart,
        )


def _roc_auc(truth: npt.NDArray[np.floating], ranking: npt.NDArray[np.floating]) -> float:
    known = np.isfinite(truth) & np.isfinite(ranking)
    carries = truth[known] == 1
    return roc_auc(carries, ranking[known]) if carries.any() and not carries.all() else np.nan
