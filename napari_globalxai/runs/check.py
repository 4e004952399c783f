"""Look at the inputs of a run before it is started."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from napari_globalxai.attribution.base import split_of
from napari_globalxai.cohort.table import Cohort
from napari_globalxai.cohort.wording import counted, named
from napari_globalxai.errors import InputError
from napari_globalxai.faithfulness.scores import log_odds
from napari_globalxai.frame.alignment import DECODING_THREADS, Aligner, absence
from napari_globalxai.frame.plausibility import (
    IMAGES_LOOKED_AT,
    implausibilities,
    reading_notes,
)
from napari_globalxai.frame.stack import AlignedImage, batches
from napari_globalxai.images.image_file import UnreadableImageError
from napari_globalxai.models.classifier import Classifier
from napari_globalxai.models.loaders import load_model
from napari_globalxai.progress import JobProgress, Progress, ProgressCallback, ignore_progress
from napari_globalxai.runs.mirrored import mirrored_by_guess
from napari_globalxai.runs.performance import (
    LabelPerformance,
    measure_performance,
    performance_warnings,
)
from napari_globalxai.runs.run_warnings import expected_input
from napari_globalxai.settings.frame_settings import FrameSettings

_IMAGES_AT_ONCE = 16


@dataclass(frozen=True)
class CheckResult:
    """What a check found.

    Attributes
    ----------
    facts : sequence of str
        What was understood, a line each.
    problems : sequence of str
        What would go wrong, a sentence each.
    performance : sequence of LabelPerformance
        How well the model tells each label apart; empty without a model.
    """

    facts: Sequence[str]
    problems: Sequence[str]
    performance: Sequence[LabelPerformance] = ()


def check_inputs(
    cohort: Cohort,
    model: Classifier | str | Path | None = None,
    *,
    device: str = "auto",
    trust: bool = False,
    read_images: bool = True,
    stored_bits: int | None = None,
    progress: ProgressCallback = ignore_progress,
) -> CheckResult:
    """Read the cohort's files and the model, and list every problem at once.

    Parameters
    ----------
    cohort : Cohort
        The cohort.
    model : Classifier, str or pathlib.Path, optional
        The model, its card or its weights; without one, the cohort alone is looked at.
    device : str, optional
        Where the model would run.
    trust : bool, optional
        As for `load_model`.
    read_images : bool, optional
        Whether to decode every image where no model asks for them; `check_quality` does so itself.
    stored_bits : int, optional
        As in `AlignmentSettings`.
    progress : callable, optional
        May raise `Cancelled`.

    Raises
    ------
    InputError
        When the model cannot be used at all.
    """
    if isinstance(model, str | Path):
        model = load_model(model, device=device, trust=trust)
    facts: list[str] = []
    problems = list(cohort.problems)
    if model is None:
        if read_images:
            problems += _unreadable(cohort, stored_bits, progress)
        return CheckResult(facts, problems)
    _check_model(cohort, model, facts, problems)
    logits, unreadable, unlikely = _predict(cohort, model, stored_bits, JobProgress(progress))
    truth, activation = cohort.truth(model.labels), model.activation
    performance = measure_performance(
        model.labels, truth, log_odds(logits, activation), cohort.patients
    )
    facts += [str(each) for each in performance]
    problems += [*performance_warnings(performance, truth, logits, activation), *unlikely]
    if read_images:
        problems += unreadable
    return CheckResult(facts, problems, performance)


def _check_model(
    cohort: Cohort, classifier: Classifier, facts: list[str], problems: list[str]
) -> None:
    """Add what a model tells, and what it and the cohort disagree on."""
    truth = cohort.truth(classifier.labels)
    facts.append(
        f"model: {', '.join(classifier.labels)}; input "
        f"{'+'.join(classifier.card.input.channels)}, {classifier.card.input.height} × "
        f"{classifier.card.input.width}; {classifier.device}"
    )
    problems += cohort.assumptions(classifier.labels)
    problems += mirrored_by_guess(cohort, classifier.card.modality)
    try:
        facts.append(f"Grad-CAM layer: {split_of(classifier).layer}")
    except InputError as why:
        problems.append(str(why))
    # After the split, which may have something to say.
    problems += classifier.warnings
    for index, label in enumerate(classifier.labels):
        with_label = int((truth[:, index] == 1).sum())
        without = int((truth[:, index] == 0).sum())
        facts.append(f"{label}: {with_label} images with it, {without} without")
        if not with_label or not without:
            problems.append(f"{label}: PEPPR needs images with and without it.")
    if unknown := cohort.unknown_classes(classifier.labels):
        problems.append(
            f"{cohort.source}: the class column {cohort.class_column!r} holds "
            f"{named(map(repr, unknown))}, in {counted(sum(unknown.values()), 'row')}, which "
            "the model has no label for."
        )
    if np.isnan(truth).any():
        facts.append(f"{int(np.isnan(truth).any(axis=1).sum())} images have a label missing")


def _predict(
    cohort: Cohort, model: Classifier, stored_bits: int | None, progress: ProgressCallback
) -> tuple[npt.NDArray[np.float32], list[str], list[str]]:
    """Predict every image as `explain` would feed it.

    Returns
    -------
    numpy.ndarray
        Logits (image, label), NaN where there is no image.
    list of str
        Which images could not be read.
    list of str
        What looks wrong with those that could.
    """
    frame = FrameSettings(**model.card.input.frame, stored_bits=stored_bits)
    aligner = Aligner(cohort, frame)
    logits = np.full((len(cohort), len(model.labels)), np.nan, np.float32)
    errors: dict[int, str] = {}
    facts: dict[int, dict[str, Any]] = {}
    seen: dict[int, AlignedImage] = {}
    step = max(1, len(cohort) // IMAGES_LOOKED_AT)
    done = 0
    with ThreadPoolExecutor(DECODING_THREADS) as pool:
        for rows in batches(range(len(cohort)), _IMAGES_AT_ONCE):
            read = dict(zip(rows, pool.map(aligner, rows), strict=True))
            images = {row: made for row, made in read.items() if not isinstance(made, str)}
            errors |= {row: made for row, made in read.items() if isinstance(made, str)}
            if images:
                pixels = np.stack([made.image for made in images.values()])
                logits[list(images)] = model.predict(pixels)
            facts |= {row: made.facts for row, made in images.items()}
            seen |= {row: made for row, made in images.items() if row % step == 0}
            done += len(rows)
            progress(Progress("Predicting images", done, len(cohort)))
    # The cohort itself lists files that are not there.
    unreadable = [why for row, why in errors.items() if not absence(cohort, row)]
    return (
        logits,
        unreadable,
        [*_unlikely(cohort, model, seen), *reading_notes(facts, cohort.names)],
    )


def _unlikely(cohort: Cohort, model: Classifier, seen: Mapping[int, AlignedImage]) -> list[str]:
    if not seen:
        return []
    return implausibilities(
        np.stack([made.image for made in seen.values()]),
        np.stack([made.field for made in seen.values()]),
        expected_input(model.card.input),
        [cohort.names[row] for row in seen],
    )


def _unreadable(cohort: Cohort, stored_bits: int | None, progress: ProgressCallback) -> list[str]:
    """Decode every image that is there once, at reduced scale where the format allows it."""
    from napari_globalxai.images.readers import FundusReader

    reader = FundusReader(at_least=(1, 1), stored_bits=stored_bits)

    def look(row: int) -> str:
        # The cohort itself lists files that are not there.
        if absence(cohort, row):
            return ""
        try:
            reader.read(cohort.files[row])
        except UnreadableImageError as why:
            return str(UnreadableImageError(cohort.names[row], why.reason))
        return ""

    problems = []
    with ThreadPoolExecutor(4) as pool:
        for number, message in enumerate(pool.map(look, range(len(cohort)))):
            if message:
                problems.append(message)
            progress(Progress("Reading images", number + 1, len(cohort)))
    return problems
