"""Look at the inputs of a run before it is started."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from napari_globalxai.attribution.base import split_of
from napari_globalxai.cohort.table import Cohort
from napari_globalxai.cohort.wording import counted, named
from napari_globalxai.errors import InputError
from napari_globalxai.frame.alignment import absence
from napari_globalxai.images.image_file import UnreadableImageError
from napari_globalxai.models.classifier import Classifier
from napari_globalxai.models.loaders import load_model
from napari_globalxai.progress import Progress, ProgressCallback, ignore_progress


@dataclass(frozen=True)
class CheckResult:
    """What a check found.

    Attributes
    ----------
    facts : sequence of str
        What was understood, a line each.
    problems : sequence of str
        What would go wrong, a sentence each.
    """

    facts: Sequence[str]
    problems: Sequence[str]


def check_inputs(
    cohort: Cohort,
    model: Classifier | str | Path | None = None,
    *,
    device: str = "auto",
    trust: bool = False,
    read_images: bool = True,
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
        Whether to decode every image; `check_quality` does so itself.
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
    if model is not None:
        _check_model(cohort, model, facts, problems)
    if read_images:
        problems += _unreadable(cohort, progress)
    return CheckResult(facts, problems)


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
    problems += classifier.warnings
    try:
        facts.append(f"Grad-CAM layer: {split_of(classifier).layer}")
    except InputError as why:
        problems.append(str(why))
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


def _unreadable(cohort: Cohort, progress: ProgressCallback) -> list[str]:
    """Decode every image that is there once, at reduced scale where the format allows it."""
    from napari_globalxai.images.readers import FundusReader

    reader = FundusReader(at_least=(1, 1))

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
