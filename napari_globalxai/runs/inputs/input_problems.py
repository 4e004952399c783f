"""What is wrong with a table by itself and beside a model: told before a run, and kept with it."""

from __future__ import annotations

from napari_globalxai.cohort.problems import find_problems
from napari_globalxai.cohort.table import Cohort
from napari_globalxai.cohort.wording import counted, named
from napari_globalxai.models.classifier import Classifier
from napari_globalxai.runs.inputs.mirrored import eyes_without_sides, mirrored_by_guess


def input_problems(
    cohort: Cohort, model: Classifier, *, estimates_sides: bool = False
) -> list[str]:
    """Return what is wrong with a cohort, and what it and a model disagree on, a sentence each.

    Parameters
    ----------
    cohort : Cohort
        The cohort. Its files are looked for, not read.
    model : Classifier
        The model.
    estimates_sides : bool, optional
        As in `find_problems`.
    """
    return [
        *find_problems(cohort, estimates_sides=estimates_sides),
        *cohort.assumptions(model.labels),
        *mirrored_by_guess(cohort, model.card.modality),
        *([] if estimates_sides else eyes_without_sides(cohort, model.card.modality)),
        *_labels_of_one_kind(cohort, model),
        *_classes_without_label(cohort, model),
    ]


def _labels_of_one_kind(cohort: Cohort, model: Classifier) -> list[str]:
    truth = cohort.truth(model.labels)
    return [
        f"{label}: PEPPR needs images with and without it."
        for index, label in enumerate(model.labels)
        if not (truth[:, index] == 1).any() or not (truth[:, index] == 0).any()
    ]


def _classes_without_label(cohort: Cohort, model: Classifier) -> list[str]:
    unknown = cohort.unknown_classes(model.labels)
    if not unknown:
        return []
    return [
        f"{cohort.source}: the class column {cohort.class_column!r} holds "
        f"{named(map(repr, unknown))}, in {counted(sum(unknown.values()), 'row')}, which "
        "the model has no label for."
    ]
