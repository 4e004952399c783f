"""The main job in stages, from the plan on: aligned, attributed, aggregated, written.

Each stage is a small object that gives the next one, so that the command line, a panel, a test or a
scheduler can drive them one by one; `explain` drives them all.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from napari_globalxai.attribution.engine import attribute_stack
from napari_globalxai.attribution.precision import (
    HALF_SIZE,
    TRIED_MAPS,
    TRIED_PREDICTIONS,
    Precision,
    choose_batch_size,
    choose_precision,
)
from napari_globalxai.attribution.precision_check import (
    IMAGES_CHECKED,
    PrecisionCheck,
    check_precision,
)
from napari_globalxai.execution.dask_workers import Workers
from napari_globalxai.faithfulness.scores.auc_scores import log_odds
from napari_globalxai.frame.stack import AlignedStack
from napari_globalxai.maps.store import AttributionStore
from napari_globalxai.maps.upsampling import cells_inside
from napari_globalxai.models.classifier import Classifier
from napari_globalxai.progress import Progress, ProgressCallback, ignore_progress
from napari_globalxai.runs.clock import now
from napari_globalxai.runs.folder import MAPS_FOLDER, STORE_FOLDER
from napari_globalxai.runs.opened.run_warnings import run_warnings
from napari_globalxai.runs.performance import (
    measure_performance,
    write_performance,
)
from napari_globalxai.runs.record import RunCounts, RunRecord, write_record
from napari_globalxai.runs.results import Predictions, write_explained_images
from napari_globalxai.runs.run import Run
from napari_globalxai.runs.turns import writing
from napari_globalxai.runs.write_maps import write_maps, write_tiff
from napari_globalxai.statistics.global_map import Averaging, GlobalMap
from napari_globalxai.statistics.selection import select_rows
from napari_globalxai.statistics.similarity import spearman_to_global
from napari_globalxai.statistics.streaming import FullResolutionMaps
from napari_globalxai.storage import hash_value

if TYPE_CHECKING:
    from napari_globalxai.runs.plan import Plan

# Rough shares of the time of a run, for the remaining time; the pace of each stage mends them.
EFFORTS = {
    "Aligning images": 1.0,
    "Explaining images": 4.0,
    "Averaging maps": 0.1,
    "Comparing images": 0.1,
}
_CHOOSING = "Choosing number format and batch size"
_AVERAGING = "Averaging maps"
_CHECKED = "; held against float32, "
_COMPARING = "Comparing images with their global maps"


@dataclass(frozen=True)
class Aligned:
    """The images are in the frame.

    Attributes
    ----------
    plan : Plan
        What is to be done.
    record : RunRecord
        What is known so far.
    stack : AlignedStack
        The images.
    rows : tuple of int
        Those that could be read.
    before : RunRecord or None
        The record of the run that is gone on with.
    """

    plan: Plan
    record: RunRecord
    stack: AlignedStack
    rows: tuple[int, ...]
    before: RunRecord | None

    def attribute(
        self, progress: ProgressCallback = ignore_progress, workers: Workers | None = None
    ) -> Attributed:
        """Explain the images into the store.

        Parameters
        ----------
        progress : callable, optional
            May raise `Cancelled`, after which the run can be resumed.
        workers : Workers, optional
            Processes that share the work; by default this one does it.
        """
        plan = self.plan
        progress(Progress(_CHOOSING, 0, 1))
        worker, record = self._choose_arithmetic()
        write_record(plan.folder, record)
        progress(Progress(_CHOOSING, 1, 1))
        full = None
        if plan.settings.pooling > 1:
            truth = plan.truth[:, plan.label_indices]
            full = FullResolutionMaps(plan.labels, plan.grid.shape, truth, plan.aggregation)
        store, logits = attribute_stack(
            self.stack,
            self.rows,
            worker,
            plan.method,
            plan.labels,
            plan.folder / STORE_FOLDER,
            record.fingerprint,
            pooling=plan.settings.pooling,
            observer=full,
            workers=workers,
            progress=progress,
        )
        check = self._check_precision(record, logits)
        if check is not None:
            reason = f"{record.precision_reason}{_CHECKED}{check.sentence}"
            record = record.model_copy(update={"precision_reason": reason})
        return Attributed(replace(self, record=record), store, logits, full, check)

    def _check_precision(
        self, record: RunRecord, logits: npt.NDArray[np.float32]
    ) -> PrecisionCheck | None:
        """Hold predictions against those in float32 where the run has chosen another format."""
        rows = self._trial_rows(TRIED_PREDICTIONS + IMAGES_CHECKED)[TRIED_PREDICTIONS:]
        chosen = self.plan.model.precision == "auto" and record.precision in HALF_SIZE
        if not chosen or not rows:
            return None
        images = (self.stack.read([row]) for row in rows)
        return check_precision(self.plan.model, images, logits[rows])

    def _choose_arithmetic(self) -> tuple[Classifier, RunRecord]:
        """Return the model at the precision and batch size to explain with, and note them.

        A run that is gone on with keeps what it began with, so that it ends with the same bits.
        """
        plan, model, batch_size = self.plan, self.plan.model, self.plan.settings.batch_size
        earlier = self.before if self.before is not None and self.before.precision else None
        if model.precision != "auto":
            precision = Precision(model.precision, "as asked")
        elif earlier is not None:
            # What was found of the images before is found again, of all.
            precision = Precision(
                earlier.precision, earlier.precision_reason.partition(_CHECKED)[0]
            )
        else:
            precision = choose_precision(
                model,
                plan.method,
                self.stack.read(self._trial_rows(TRIED_MAPS)),
                plan.label_indices,
                len(self.rows),
                more=(self.stack.read([row]) for row in self._trial_rows(TRIED_PREDICTIONS)),
            )
        worker = model.working_with(precision=precision.name)
        if batch_size is None:
            found = None if earlier is None else earlier.settings.batch_size
            batch_size = choose_batch_size(worker) if found is None else found
        settings = self.record.settings.model_copy(update={"batch_size": batch_size})
        noted = {
            "precision": precision.name,
            "precision_reason": precision.reason,
            "settings": settings,
        }
        worker = worker.working_with(images_a_forward=batch_size)
        return worker, self.record.model_copy(update=noted)

    def _trial_rows(self, count: int) -> list[int]:
        """Return rows to try a number format on: the same images in whatever order they come."""
        contents = self.stack.contents()
        return sorted(self.rows, key=lambda row: hash_value(contents.get(row, "")))[:count]


@dataclass(frozen=True)
class Attributed:
    """Every image has its maps in the store.

    Attributes
    ----------
    aligned : Aligned
        The stage before.
    store : AttributionStore
        The image-wise maps.
    logits : numpy.ndarray
        float32 (image, all labels of the model); NaN where an image was not explained.
    full_resolution : FullResolutionMaps or None
        Moments of the maps before they were pooled.
    precision_check : PrecisionCheck or None
        What the chosen number format has done to predictions; None in float32.
    """

    aligned: Aligned
    store: AttributionStore
    logits: npt.NDArray[np.float32]
    full_resolution: FullResolutionMaps | None
    precision_check: PrecisionCheck | None = None

    @property
    def probability(self) -> npt.NDArray[np.float64]:
        """Probabilities, (image, all labels of the model)."""
        return self.aligned.plan.model.probabilities(self.logits)

    @property
    def members(self) -> dict[str, npt.NDArray[np.int64]]:
        """Rows that enter each label's map."""
        plan, truth, probability = self.aligned.plan, self.aligned.plan.truth, self.probability
        return {
            label: select_rows(truth[:, index], probability[:, index], plan.aggregation)
            for label, index in zip(plan.labels, plan.label_indices, strict=True)
        }

    def aggregate(self, progress: ProgressCallback = ignore_progress) -> Aggregated:
        """Average the maps, and compare each image with them.

        Parameters
        ----------
        progress : callable, optional
            May raise `Cancelled`, after which the run can be resumed.
        """
        plan, members = self.aligned.plan, self.members
        moments = None if self.full_resolution is None else self.full_resolution.moments(members)
        coverage = self.aligned.stack.coverage(self.aligned.rows)
        valid = coverage >= plan.settings.valid_share
        averaging = Averaging(
            self.store, plan.cohort.patients, plan.aggregation, plan.settings.seed, valid
        )
        maps = []
        for number, (label, chosen) in enumerate(members.items()):
            progress(Progress(_AVERAGING, number, len(members)))
            own = None if moments is None else moments[label]
            maps.append(averaging.label_map(label, chosen, own))
        overall = averaging.overall_map(maps)
        progress(Progress(_AVERAGING, len(members), len(members)))
        inside = cells_inside(valid, self.store.grid)
        rows, similarity = np.asarray(self.aligned.rows), {}
        for number, label in enumerate(plan.labels):
            progress(Progress(_COMPARING, number, len(plan.labels)))
            values = np.full(len(plan.cohort), np.nan)
            values[rows] = spearman_to_global(
                self.store, label, rows, members[label], inside, plan.aggregation
            )
            similarity[label] = values
        progress(Progress(_COMPARING, len(plan.labels), len(plan.labels)))
        pooled = self.full_resolution is not None and moments is None
        return Aggregated(self, overall, tuple(maps), coverage, similarity, pooled)


@dataclass(frozen=True)
class Aggregated:
    """The global maps are made.

    Attributes
    ----------
    attributed : Attributed
        The stage before.
    overall : GlobalMap
        The overall map.
    maps : tuple of GlobalMap
        The label-wise maps.
    coverage : numpy.ndarray
        Share of images whose field of view holds each pixel, (height, width).
    similarity : dict of str to numpy.ndarray
        By label: similarity of each image's map to the global map, NaN where there is none.
    pooled : bool
        Whether the maps had to be made from stored maps that were pooled.
    """

    attributed: Attributed
    overall: GlobalMap
    maps: tuple[GlobalMap, ...]
    coverage: npt.NDArray[np.float32]
    similarity: Mapping[str, npt.NDArray[np.float64]]
    pooled: bool

    def write(self) -> Run:
        """Write maps, tables and the finished record."""
        with writing(self.attributed.aligned.plan.folder):
            return self._write()

    def _write(self) -> Run:
        aligned = self.attributed.aligned
        plan, record = aligned.plan, aligned.record
        write_tiff(plan.folder / "coverage.tif", self.coverage)
        write_maps(plan.folder / MAPS_FOLDER, self.overall, self.maps, plan.aggregation)
        predictions = Predictions(
            plan.model.labels,
            plan.truth,
            self.attributed.probability,
            self.attributed.logits,
            self.similarity,
            self.attributed.members,
        )
        write_explained_images(plan.folder, plan.cohort, aligned.stack, predictions)
        activation = plan.model.activation
        performance = measure_performance(
            predictions.labels,
            predictions.truth,
            log_odds(predictions.logits, activation),
            plan.cohort.patients,
        )
        write_performance(plan.folder, performance)
        finished = {
            "counts": RunCounts(
                images=len(plan.cohort),
                explained=len(aligned.rows),
                failed=len(plan.cohort) - len(aligned.rows),
                constant_maps={image.label: image.n_constant for image in self.maps},
            ),
            "warnings": run_warnings(self, performance),
            "status": "finished",
            "finished": now(),
        }
        write_record(plan.folder, record.model_copy(update=finished))
        return Run(plan.folder, plan.model)
