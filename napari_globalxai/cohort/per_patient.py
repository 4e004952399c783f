"""Whether labels are the patient's, not the image's."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

import numpy as np

from napari_globalxai.cohort.labels import text_of
from napari_globalxai.cohort.naming import name_key

if TYPE_CHECKING:
    from napari_globalxai.cohort.table import Cohort

# Fewer patients agree by chance; so do many whose labels are nearly all the same.
_FEWEST_PATIENTS, _FEWEST_OTHERS = 10, 3


def labels_that_are_patients(cohort: Cohort) -> list[str]:
    """Return a sentence where all images of every patient agree in every label."""
    rows_of: dict[str, list[int]] = {}
    for row, patient in enumerate(cohort.patients):
        rows_of.setdefault(patient, []).append(row)
    said = _labels(cohort)
    kinds: Counter[str] = Counter()
    for rows in rows_of.values():
        if len({cohort.names[row] for row in rows}) < 2:
            continue
        # Images of one eye agree, whosoever the labels are.
        if {cohort.laterality[row] for row in rows} in ({"L"}, {"R"}):
            continue
        different = {said[row] for row in rows}
        if len(different) > 1:
            return []
        kinds.update(different)
    others = kinds.total() - max(kinds.values(), default=0)
    if kinds.total() < _FEWEST_PATIENTS or others < _FEWEST_OTHERS:
        return []
    return [
        f"{cohort.source}: all images of each of the {kinds.total()} patients with several images "
        "have the same labels, so that these may be the patient's, not the image's: an image may "
        "carry a label without showing it."
    ]


def _labels(cohort: Cohort) -> list[str]:
    """Return what the table says of each image, as one text."""
    if cohort.class_column is not None:
        return [name_key(text_of(value)) for value in cohort.table[cohort.class_column]]
    columns = [cohort.values_of(name) for name in cohort.label_columns]
    return [str(row) for row in np.column_stack(columns).tolist()]
