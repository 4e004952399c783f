"""A part of a cohort, as another process is given it: what reading images takes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from napari_globalxai.cohort.table import Cohort


def part_to_read(cohort: Cohort, rows: Sequence[int]) -> Cohort:
    """Return some rows of a cohort, without its table, with paths that hold anywhere."""
    return replace(
        cohort,
        files=tuple(cohort.files[row].absolute() for row in rows),
        names=tuple(cohort.names[row] for row in rows),
        laterality=tuple(cohort.laterality[row] for row in rows),
        laterality_source=tuple(cohort.laterality_source[row] for row in rows),
        patients=(),
        table=cohort.table.iloc[:0],
        warnings=[],
    )
