"""What is to be done in a run: everything is checked here, nothing computed."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from napari_globalxai.attribution.method import Method
from napari_globalxai.cohort.table import Cohort
from napari_globalxai.errors import InputError
from napari_globalxai.execution.dask_workers import Workers
from napari_globalxai.frame.alignment import align
from napari_globalxai.frame.modality import Modality, modality_of
from napari_globalxai.frame.reuse import open_reusable
from napari_globalxai.maps.cell_grid import CellGrid
from napari_globalxai.models.classifier import Classifier
from napari_globalxai.progress import ProgressCallback, ignore_progress
from napari_globalxai.runs import provenance
from napari_globalxai.runs.claim import claim_folder
from napari_globalxai.runs.clock import now
from napari_globalxai.runs.folder import STACK_FOLDER
from napari_globalxai.runs.inputs.refusals import check_names, labels_to_explain, method_for
from napari_globalxai.runs.record import RunRecord, RunSettings, write_record
from napari_globalxai.runs.stages import Aligned
from napari_globalxai.settings.aggregation_settings import AggregationSettings
from napari_globalxai.settings.explain_settings import ExplainSettings
from napari_globalxai.settings.frame_settings import FrameSettings


@dataclass(frozen=True)
class Plan:
    """What is to be done: everything was checked, nothing computed.

    Attributes
    ----------
    cohort : Cohort
        The images.
    model : Classifier
        The model, at the number format asked for.
    folder : pathlib.Path
        The run folder.
    settings : ExplainSettings
        What was chosen.
    method : Method
        The attribution method.
    labels : tuple of str
        Labels to explain.
    frame : FrameSettings
        The frame.
    aggregation : AggregationSettings
        How maps are averaged.
    grid : CellGrid
        Where the cells of the method's maps lie.
    reuse : pathlib.Path or None
        A stack to take aligned images from.
    """

    cohort: Cohort
    model: Classifier
    folder: Path
    settings: ExplainSettings
    method: Method
    labels: tuple[str, ...]
    frame: FrameSettings
    aggregation: AggregationSettings
    grid: CellGrid
    reuse: Path | None

    @property
    def label_indices(self) -> list[int]:
        """Where the labels stand among the model's."""
        return [self.model.labels.index(label) for label in self.labels]

    @property
    def truth(self) -> npt.NDArray[np.float64]:
        """True labels of all images, (image, all labels of the model): 1, 0 or NaN."""
        return self.cohort.truth(self.model.labels)

    @property
    def modality(self) -> Modality:
        """What the images show, in words."""
        return modality_of(self.model.card.modality, self.cohort.guesses["laterality"])

    def record(self) -> RunRecord:
        """Return the record of the run as it stands before anything was computed."""
        chosen = {name: getattr(self.settings, name) for name in ExplainSettings.model_fields}
        in_force: dict[str, Any] = {
            "method_settings": self.method.settings.model_dump(),
            "labels": self.labels,
            "precision": self.model.precision,
            "device": str(self.model.device),
            "alignment": self.frame.key,
        }
        if self.settings.template is not None:
            # Whoever goes on with it may do so from elsewhere.
            in_force["template"] = self.settings.template.absolute()
        return RunRecord(
            started=now(),
            cohort=provenance.describe_cohort(self.cohort),
            model=provenance.describe_model(
                self.model, self.model.split.layer if self.method.needs_split else None
            ),
            frame=provenance.describe_frame(self.frame),
            settings=RunSettings(**{**chosen, **self.aggregation.model_dump(), **in_force}),
            **provenance.environment(self.model),
        )

    def align(
        self,
        *,
        resume: bool = False,
        progress: ProgressCallback = ignore_progress,
        workers: Workers | None = None,
    ) -> Aligned:
        """Take the folder, and bring the images into the frame.

        Parameters
        ----------
        resume : bool, optional
            Go on with a run that is there.
        progress : callable, optional
            May raise `Cancelled`.
        workers : Workers, optional
            Processes that share the work; by default this one does it.
        """
        record = self.record()
        before = claim_folder(self.folder, record, self.cohort, self.frame, resume)
        if before is not None:
            # The store is known by the name that the model had when it was begun.
            record = record.model_copy(update={"model": record.model.named(before.model.card.name)})
        write_record(self.folder, record)
        stack = align(
            self.cohort,
            self.frame,
            self.folder / STACK_FOLDER,
            progress,
            reuse=self.reuse,
            workers=workers,
        )
        errors = stack.status()
        rows = tuple(row for row in range(len(self.cohort)) if not errors.get(row))
        if not rows:
            raise InputError(
                f"{self.cohort.source}: none of the {len(self.cohort)} images could be read; the "
                f"first: {errors[0]}"
            )
        return Aligned(self, record, stack, rows, before)


def plan_run(
    cohort: Cohort,
    model: Classifier,
    folder: Path,
    settings: ExplainSettings,
    aligned: Path | None = None,
) -> Plan:
    """Check everything that can be checked before work starts.

    Parameters
    ----------
    cohort : Cohort
        The images.
    model : Classifier
        The model.
    folder : pathlib.Path
        The run folder to make.
    settings : ExplainSettings
        What is chosen; device, number format and CAM layer are those of `model`.
    aligned : pathlib.Path, optional
        Folder of an alignment, a quality control or another run, whose aligned images are taken.

    Raises
    ------
    InputError
        When something does not fit.
    """
    if settings.batch_size is not None:
        model = model.working_with(images_a_forward=settings.batch_size)
    check_names(cohort, model)
    labels = labels_to_explain(cohort, model, settings)
    method, grid = method_for(model, settings)
    frame = settings.frame_of(model.card.input.frame)
    reuse = None if aligned is None else aligned / STACK_FOLDER
    if reuse is not None:
        open_reusable(reuse, frame)
    aggregation = settings.aggregation_of(method.default_part)
    return Plan(cohort, model, folder, settings, method, labels, frame, aggregation, grid, reuse)
