"""The cohort table: one row an image, with laterality, patient and labels."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from napari_globalxai.cohort.columns import ColumnChoices, Roles, find_roles
from napari_globalxai.cohort.files import find_files
from napari_globalxai.cohort.labels import read_binary, read_classes
from napari_globalxai.cohort.laterality import (
    find_sides,
    read_coding,
    read_pattern,
    turns_guess_off,
)
from napari_globalxai.cohort.problems import find_problems
from napari_globalxai.cohort.reading import read_raw_table
from napari_globalxai.errors import InputError
from napari_globalxai.settings.cohort_settings import CohortSettings


@dataclass(frozen=True)
class Cohort:
    """A table of images as the rest of the package reads it.

    Attributes
    ----------
    source : pathlib.Path
        The table's file.
    files : tuple of pathlib.Path
        One path an image; it may not exist.
    names : tuple of str
        The file entries as the table writes them, for messages and results.
    laterality : tuple of str
        ``"L"``, ``"R"`` or ``""`` where unknown.
    patients : tuple of str
        Patient of each image; images without one count as a patient each.
    table : pandas.DataFrame
        The table as it was read, same rows.
    label_columns : tuple of str
        The 0/1 columns taken as labels; empty where there is one class column.
    class_column : str or None
        The column of a multi-class table.
    guesses : dict
        What each role was resolved to, in words, to be shown to the user.
    warnings : list of str
        What could not be resolved, a sentence each.
    laterality_source : tuple of str
        What tells the side of each image: ``"table"``, ``"file name"``, or ``""`` where it is
        unknown.
    patient_column : str or None
        The column of the patients.
    """

    source: Path
    files: tuple[Path, ...]
    names: tuple[str, ...]
    laterality: tuple[str, ...]
    patients: tuple[str, ...]
    table: pd.DataFrame
    label_columns: tuple[str, ...]
    class_column: str | None
    guesses: dict[str, str]
    warnings: list[str] = field(default_factory=list)
    laterality_source: tuple[str, ...] = ()
    patient_column: str | None = None

    def __len__(self) -> int:
        return len(self.files)

    @property
    def problems(self) -> list[str]:
        """All that could not be resolved or contradicts itself, a sentence each.

        The warnings, rows without a file, files that do not exist, repeated rows, files named
        twice, contradictory labels and sides, unknown sides and patients. Looks for the files anew
        each time.
        """
        return find_problems(self)

    def truth(self, labels: Sequence[str]) -> npt.NDArray[np.float64]:
        """Return the true labels in the order of `labels`.

        Parameters
        ----------
        labels : sequence of str
            The model's labels.

        Returns
        -------
        numpy.ndarray
            Shape (images, labels): 1, 0, or NaN where the table does not say.

        Raises
        ------
        InputError
            When the table knows none of the labels.
        """
        if self.class_column is not None:
            truth, _ = read_classes(self.table[self.class_column], labels)
            if np.isnan(truth).all():
                raise InputError(
                    f"{self.source}: the values of the class column {self.class_column!r} match "
                    f"none of the model's labels ({', '.join(labels)})."
                )
            return truth
        known = {column.casefold(): column for column in self.label_columns}
        if not any(label.casefold() in known for label in labels):
            have = ", ".join(self.label_columns) or "none"
            raise InputError(
                f"{self.source}: no column for any of the model's labels ({', '.join(labels)}); "
                f"0/1 label columns found: {have}."
            )
        truth = np.full((len(self), len(labels)), np.nan)
        for index, label in enumerate(labels):
            if label.casefold() in known:
                truth[:, index] = read_binary(self.table[known[label.casefold()]]).values
        return truth

    def unknown_classes(self, labels: Sequence[str]) -> dict[str, int]:
        """Return values of the class column that are no label, and their number of images.

        Parameters
        ----------
        labels : sequence of str
            The model's labels.
        """
        if self.class_column is None:
            return {}
        return read_classes(self.table[self.class_column], labels)[1]


def read_cohort(
    path: str | Path, settings: CohortSettings | None = None, **keywords: Any
) -> Cohort:
    """Read a cohort table (CSV or TSV) and work out what its columns mean.

    Parameters
    ----------
    path : str or pathlib.Path
        The table: one row an image, comma, semicolon or tab separated.
    settings : CohortSettings, optional
        What a guess does not do for.
    **keywords
        Fields of `CohortSettings`, in place of those of `settings`.

    Returns
    -------
    Cohort
        Rows in the order of the table. What could not be resolved is in its `problems`.

    Raises
    ------
    InputError
        When the table cannot be read, has no file column or no labels, or when something is asked
        for that is not there: all of it in one message.
    """
    source = Path(path)
    raw = read_raw_table(source)
    chosen = CohortSettings.of(settings, keywords)
    choices = ColumnChoices(
        chosen.file_column,
        chosen.laterality_column,
        chosen.patient_column,
        chosen.label_columns,
        chosen.exclude_labels or (),
        chosen.class_column,
    )
    roles = find_roles(source, raw, choices)
    wrong = [*roles.wrong]
    coding = read_coding(chosen.laterality_values, wrong)
    pattern = read_pattern(chosen.laterality_pattern, wrong)
    if coding and roles.laterality is None and chosen.laterality_column is None:
        wrong.append("--laterality-values needs a laterality column, see --laterality-column")
    if wrong:
        raise InputError(
            f"{source}: {'; '.join(wrong)}; its columns are {', '.join(raw.table.columns)}."
        )
    table = raw.table
    names = tuple("" if pd.isna(value) else str(value) for value in table[roles.file])
    warnings = [*raw.warnings, *roles.warnings]
    root = source.parent if chosen.image_root is None else chosen.image_root
    files = find_files(source, names, root, warnings)
    sides = find_sides(
        source,
        names,
        None if roles.laterality is None else table[roles.laterality],
        coding,
        pattern,
        guess_names=not turns_guess_off(chosen.laterality_pattern),
    )
    return Cohort(
        source=source,
        files=files,
        names=names,
        laterality=sides.sides,
        patients=_patients(table, roles.patient),
        table=table,
        label_columns=roles.labels,
        class_column=roles.class_column,
        guesses=_guesses(roles, sides.guess),
        warnings=[*warnings, *sides.warnings],
        laterality_source=sides.sources,
        patient_column=roles.patient,
    )


def _guesses(roles: Roles, laterality: str) -> dict[str, str]:
    """Say what was understood. A run goes on only where this is the same: it counts no rows."""
    labels = ", ".join(roles.labels) if roles.labels else f"classes of {roles.class_column}"
    return {
        "file": roles.file,
        "laterality": laterality,
        "patient": roles.patient or "none (every image counts as a patient)",
        "labels": labels,
    }


def _patients(table: pd.DataFrame, column: str | None) -> tuple[str, ...]:
    if column is None:
        return tuple(f"image-{row}" for row in range(len(table)))
    return tuple(
        f"image-{row}" if pd.isna(value) else str(value) for row, value in enumerate(table[column])
    )
