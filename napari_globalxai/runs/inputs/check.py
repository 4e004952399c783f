"""Look at the inputs of a run before it is started."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from napari_globalxai.attribution.base import split_of
from napari_globalxai.attribution.method import make_method
from napari_globalxai.cohort.problems import side_note
from napari_globalxai.cohort.table import Cohort
from napari_globalxai.errors import InputError
from napari_globalxai.execution.dask_workers import open_workers
from napari_globalxai.faithfulness.scores.auc_scores import log_odds
from napari_globalxai.frame.alignment import absence
from napari_globalxai.frame.plausibility import (
    implausibilities,
    reading_notes,
)
from napari_globalxai.frame.stack import AlignedImage
from napari_globalxai.models.classifier import Classifier
from napari_globalxai.models.loaders import load_model
from napari_globalxai.progress import JobProgress, ProgressCallback, ignore_progress
from napari_globalxai.runs.image_reading import ImageReading
from napari_globalxai.runs.inputs.input_problems import input_problems
from napari_globalxai.runs.inputs.refusals import refusals
from napari_globalxai.runs.opened.run_warnings import expected_input
from napari_globalxai.runs.performance import (
    LabelPerformance,
    measure_performance,
    performance_warnings,
)
from napari_globalxai.settings.execution_settings import WorkerSettings
from napari_globalxai.settings.explain_settings import ExplainSettings


@dataclass(frozen=True)
class CheckResult:
    """What a check found.

    Attributes
    ----------
    facts : sequence of str
        What was understood, a line each.
    problems : sequence of str
        What would go wrong, a sentence each; first what `explain` would refuse.
    performance : sequence of LabelPerformance
        How well the model tells each label apart; empty without a model.
    refused : int
        How many of the problems keep `explain` from starting.
    """

    facts: Sequence[str]
    problems: Sequence[str]
    performance: Sequence[LabelPerformance] = ()
    refused: int = 0

    @property
    def refusals(self) -> Sequence[str]:
        """The problems that keep `explain` from starting."""
        return self.problems[: self.refused]

    @property
    def others(self) -> Sequence[str]:
        """The problems that it starts with."""
        return self.problems[self.refused :]


def check_inputs(
    cohort: Cohort,
    model: Classifier | str | Path | None = None,
    settings: ExplainSettings | None = None,
    *,
    device: str = "auto",
    trust: bool = False,
    read_images: bool = True,
    stored_bits: int | None = None,
    workers: WorkerSettings | int | None = None,
    progress: ProgressCallback = ignore_progress,
) -> CheckResult:
    """Read the cohort's files and the model, and list every problem at once.

    Parameters
    ----------
    cohort : Cohort
        The cohort.
    model : Classifier, str or pathlib.Path, optional
        The model, its card or its weights; without one, the cohort alone is looked at.
    settings : ExplainSettings, optional
        What would be explained, and how: what `explain` would refuse of it is listed as well.
    device : str, optional
        Where the model would run.
    trust : bool, optional
        As for `load_model`.
    read_images : bool, optional
        Whether to decode every image where no model asks for them; `check_quality` does so itself.
    stored_bits : int, optional
        As in `AlignmentSettings`.
    workers : WorkerSettings or int, optional
        Processes that share the reading and predicting, or how many; by default this one does it.
    progress : callable, optional
        May raise `Cancelled`.

    Raises
    ------
    InputError
        When the model cannot be used at all.
    """
    settings = settings or ExplainSettings()
    if isinstance(model, str | Path):
        model = load_model(model, device=device, trust=trust, cam_layer=settings.cam_layer)
    facts: list[str] = []
    if (note := side_note(cohort)) and (model is None or not model.card.modality):
        facts.append(note)
    if model is None and not read_images:
        return CheckResult(facts, cohort.problems)
    told = JobProgress(progress)
    with open_workers(workers, told) as processes:
        reading = ImageReading(cohort, stored_bits)
        if model is None:
            return CheckResult(facts, cohort.problems + reading.unreadable(told, processes))
        problems = _check_model(cohort, model, settings, facts)
        found = reading.predict(model, told, processes)
    image = next((each.image for each in found.seen.values()), None)
    refused = list(dict.fromkeys(refusals(cohort, model, settings, image)))
    truth, activation = cohort.truth(model.labels), model.activation
    performance = measure_performance(
        model.labels, truth, log_odds(found.logits, activation), cohort.patients
    )
    facts += [str(each) for each in performance]
    problems += [
        *performance_warnings(performance, truth, found.logits, activation),
        *_unlikely(cohort, model, found.seen),
        *reading_notes(found.facts, cohort.names),
    ]
    if read_images:
        # The cohort itself lists files that are not there.
        problems += [why for row, why in found.errors.items() if not absence(cohort, row)]
    # What the model tells of the method is refused as well.
    problems = list(dict.fromkeys([*refused, *problems]))
    return CheckResult(facts, problems, performance, len(refused))


def _check_model(
    cohort: Cohort, classifier: Classifier, settings: ExplainSettings, facts: list[str]
) -> list[str]:
    """Add what a model tells, and return what is wrong with it and the cohort."""
    truth = cohort.truth(classifier.labels)
    told = describe_model(classifier, settings)
    facts += told.facts
    for index, label in enumerate(classifier.labels):
        with_label = int((truth[:, index] == 1).sum())
        without = int((truth[:, index] == 0).sum())
        facts.append(f"{label}: {with_label} images with it, {without} without")
    if np.isnan(truth).any():
        facts.append(f"{int(np.isnan(truth).any(axis=1).sum())} images have a label missing")
    return [*input_problems(cohort, classifier), *told.problems]


def describe_model(classifier: Classifier, settings: ExplainSettings) -> CheckResult:
    """Return what a model tells without any image, and what is odd about it for a method."""
    facts = [
        f"model: {', '.join(classifier.labels)}; input "
        f"{'+'.join(classifier.card.input.channels)}, {classifier.card.input.height} × "
        f"{classifier.card.input.width}; {classifier.device}"
    ]
    problems = []
    try:
        if make_method(settings.method, **settings.method_settings).needs_split:
            facts.append(f"Grad-CAM layer: {split_of(classifier).layer}")
    except InputError as why:
        problems.append(str(why))
    # After the split, which may have something to say.
    return CheckResult(facts, [*problems, *classifier.warnings])


def _unlikely(cohort: Cohort, model: Classifier, seen: Mapping[int, AlignedImage]) -> list[str]:
    if not seen:
        return []
    return implausibilities(
        np.stack([made.image for made in seen.values()]),
        np.stack([made.field for made in seen.values()]),
        expected_input(model.card.input),
        [cohort.names[row] for row in seen],
    )
