"""Which labels are explained, and whether a run folder can hold their names."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from napari_globalxai.cohort.naming import name_key
from napari_globalxai.cohort.table import Cohort
from napari_globalxai.errors import InputError
from napari_globalxai.runs.folder import file_stem
from napari_globalxai.statistics.global_map import OVERALL


def choose_labels(
    cohort: Cohort, of_model: Sequence[str], asked: Sequence[str] | None
) -> tuple[str, ...]:
    """Return the labels to explain.

    Parameters
    ----------
    cohort : Cohort
        The cohort, whose labels are taken where none are asked for.
    of_model : sequence of str
        The model's labels.
    asked : sequence of str or None
        The labels asked for; case, blanks and underscores do not count.

    Raises
    ------
    InputError
        When the model has no such label, none is left, or two of them would take one file.
    """
    if asked is None:
        truth = cohort.truth(of_model)
        chosen = [
            label for index, label in enumerate(of_model) if np.isfinite(truth[:, index]).any()
        ]
    else:
        by_name = {name_key(label): label for label in of_model}
        unknown = [label for label in asked if name_key(label) not in by_name]
        if unknown:
            raise InputError(
                f"The model has no label {unknown[0]!r}; its labels are {', '.join(of_model)}."
            )
        chosen = [by_name[name_key(label)] for label in asked]
    if not chosen:
        raise InputError("No label was chosen.")
    chosen = list(dict.fromkeys(chosen))
    _check_files(chosen)
    return tuple(chosen)


def _check_files(labels: Sequence[str]) -> None:
    """Refuse labels whose files would take each other's place."""
    taken = {OVERALL, "maps"}
    for label in labels:
        # Each label has a map and an SD; some file systems do not tell upper from lower case.
        files = {f"{file_stem(label)}{kind}".casefold() for kind in ("", ".sd")}
        if files & taken:
            raise InputError(
                f"The label name {label!r} is taken by a file of the run folder; give the label "
                "another name in the model's card and in the table."
            )
        taken |= files
