"""Which labels are explained, and whether a run folder can hold their names."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from napari_globalxai.cohort.naming import name_key
from napari_globalxai.cohort.table import Cohort
from napari_globalxai.errors import InputError
from napari_globalxai.runs.folder import file_stem
from napari_globalxai.statistics.global_map import OVERALL

# Of tables that stand among those of the labels, in maps/ and in peppr/.
_NAMES_OF_OURS = ("maps", "verdicts", "compared", "regions")
# What is written of a label in one folder: its map, SD and standard error, its nearest images.
_KINDS_OF_FILES = ("", ".sd", ".se", ".nearest")


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
    for clash in _clashes(chosen):
        raise InputError(clash)
    return tuple(chosen)


def _clashes(labels: Sequence[str]) -> Iterator[str]:
    """Say which labels have files that would take the place of others."""
    taken = {OVERALL, *_NAMES_OF_OURS}
    for label in labels:
        # Some file systems do not tell upper from lower case.
        files = {f"{file_stem(label)}{kind}".casefold() for kind in _KINDS_OF_FILES}
        if files & taken:
            yield (
                f"The label name {label!r} is taken by a file of the run folder; give the label "
                "another name in the model's card and in the table."
            )
        taken |= files
