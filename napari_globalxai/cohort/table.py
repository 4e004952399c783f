"""The cohort table: one row an image, with laterality, patient and labels."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from napari_globalxai.addresses import local_path, name_store, place
from napari_globalxai.cohort.class_folders import read_class_folders
from napari_globalxai.cohort.classes import ClassReading, read_class_values, read_classes
from napari_globalxai.cohort.columns import Roles, class_like, find_roles
from napari_globalxai.cohort.eyes import find_eye_rows
from napari_globalxai.cohort.files import find_files
from napari_globalxai.cohort.labels import read_binary, read_label_values
from napari_globalxai.cohort.laterality import (
    find_sides,
    read_coding,
    read_pattern,
    turns_guess_off,
)
from napari_globalxai.cohort.naming import name_key, same_names
from napari_globalxai.cohort.patients import FROM_FOLDER, FROM_TABLE, is_nobody, patients_of_folders
from napari_globalxai.cohort.problems import find_problems, unknown_labels
from napari_globalxai.cohort.reading import read_raw_table
from napari_globalxai.cohort.unused import settings_without_use, values_without_use
from napari_globalxai.errors import InputError
from napari_globalxai.own_tables import is_copy_of_images, own_table
from napari_globalxai.settings.cohort_settings import CohortSettings
from napari_globalxai.storage import hash_value


@dataclass(frozen=True)
class Cohort:
    """A table of images as the rest of the package reads it.

    Attributes
    ----------
    source : pathlib.Path
        The table's file, or the folder with a folder for each class.
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
    patient_source : str
        What tells the patients: ``"table"``, ``"folder"`` names of the files, or ``""``.
    label_values : dict of str to float
        What values of the label columns mean before what they would mean without it.
    class_values : dict of str to str
        The labels of values of the class column, likewise.
    sides_are_guessed : bool
        Whether nobody said where the sides of images are told.
    reading : CohortSettings
        How the user had the table read, as it was asked for.
    sha256 : str
        Hash of the table's content as it was read, for the file may be another one since; of names
        and classes where there is only a folder.
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
    patient_source: str = ""
    label_values: Mapping[str, float] = field(default_factory=dict)
    class_values: Mapping[str, str] = field(default_factory=dict)
    sides_are_guessed: bool = False
    sha256: str = ""
    reading: CohortSettings = field(default_factory=CohortSettings)

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
            When the table knows none of the labels, or it is not certain which are meant.
        """
        if self.class_column is not None:
            reading = self._read_classes(labels)
            if reading.refusal:
                raise InputError(
                    f"{self.source}: the values of the class column {self.class_column!r} "
                    f"{reading.refusal}."
                )
            return reading.truth(self.table[self.class_column], len(labels))
        if twins := same_names(labels):
            raise InputError(
                f"{self.source}: cannot be compared with labels that are one name but for its "
                f"spelling: {twins[0]}, {twins[1]}."
            )
        known = {name_key(column): column for column in self.label_columns}
        if not any(name_key(label) in known for label in labels):
            have = ", ".join(self.label_columns) or "none"
            classes = class_like([str(name) for name in self.table.columns])
            hint = "".join(
                f"; --class-column takes {name!r} in their place" for name in classes[:1]
            )
            raise InputError(
                f"{self.source}: no column for any of the model's labels ({', '.join(labels)}); "
                f"0/1 label columns found: {have}{hint}."
            )
        truth = np.full((len(self), len(labels)), np.nan)
        for index, label in enumerate(labels):
            if name_key(label) in known:
                truth[:, index] = self.values_of(known[name_key(label)])
        return truth

    def values_of(self, label_column: str) -> npt.NDArray[np.float64]:
        """Return what a label column says of each image: 1, 0, or NaN."""
        return read_binary(self.table[label_column], self.label_values).values

    def unknown_classes(self, labels: Sequence[str]) -> dict[str, int]:
        """Return values of the class column that are no label, and their number of images.

        Parameters
        ----------
        labels : sequence of str
            The model's labels.
        """
        return {} if self.class_column is None else dict(self._read_classes(labels).unknown)

    def assumptions(self, labels: Sequence[str]) -> list[str]:
        """Return what was assumed of labels, and which are not known, a sentence each.

        Parameters
        ----------
        labels : sequence of str
            The model's labels.
        """
        if self.class_column is None:
            return unknown_labels(self, labels)
        return [
            f"{self.source}: the values of the class column {self.class_column!r} {note}."
            for note in self._read_classes(labels).notes
        ]

    def _read_classes(self, labels: Sequence[str]) -> ClassReading:
        return read_classes(self.table[self.class_column], labels, self.class_values)


def read_cohort(
    path: str | Path, settings: CohortSettings | None = None, **keywords: Any
) -> Cohort:
    r"""Read a cohort table (CSV or TSV) and work out what its columns mean.

    Parameters
    ----------
    path : str or pathlib.Path
        The table: one row an image, comma, semicolon or tab separated. Or a folder that holds a
        folder of images for each class.
    settings : CohortSettings, optional
        The columns to use in place of the guessed ones, and what values mean.
    **keywords
        Fields of `settings` that differ: `image_root`, `file_column`, `laterality_column`,
        `laterality_values`, `laterality_pattern`, `patient_column`, `label_columns`,
        `label_values`, `exclude_labels`, `class_column`, `class_values`. Values may be given as
        text, ``"-1=unknown"``, or as a mapping; columns as a list.

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
    settings = asked = CohortSettings.of(settings, keywords)
    source = place(path)
    if source.is_dir():
        source = local_path(source, "a folder of a folder for each class")
    _refuse_own(source)
    raw = read_class_folders(source) if source.is_dir() else read_raw_table(source)
    wrong: list[str] = []
    raw, settings = find_eye_rows(source, raw, settings, wrong)
    label_values = read_label_values(settings.label_values, wrong)
    class_values = read_class_values(settings.class_values, wrong)
    roles = find_roles(source, raw, settings, label_values)
    wrong = [*roles.wrong, *wrong]
    coding = read_coding(settings.laterality_values, wrong)
    pattern = read_pattern(settings.laterality_pattern, wrong)
    wrong += settings_without_use(source, settings, roles)
    if wrong:
        raise InputError(
            f"{source}: {'; '.join(wrong)}; its columns are {', '.join(raw.table.columns)}."
        )
    table = raw.table
    names = tuple("" if pd.isna(value) else str(value) for value in table[roles.file])
    warnings = [*raw.warnings, *_of_a_copy(source, table), *roles.warnings]
    warnings += [*values_without_use(source, settings, roles, table)]
    folder = source if source.is_dir() else source.parent
    root = place(settings.image_root or folder)
    name_store(root)
    files = find_files(source, names, root, warnings)
    sides = find_sides(
        source,
        names,
        None if roles.laterality is None else table[roles.laterality],
        coding,
        pattern,
        guess_names=not turns_guess_off(settings.laterality_pattern),
    )
    patients, patient_source = _patients(table, roles.patient, names)
    return Cohort(
        source=source,
        files=files,
        names=names,
        laterality=sides.sides,
        patients=patients,
        table=table,
        label_columns=roles.labels,
        class_column=roles.class_column,
        guesses=_guesses(roles, settings, sides.guess, patient_source),
        warnings=[*warnings, *sides.warnings],
        laterality_source=sides.sources,
        patient_column=roles.patient,
        patient_source=patient_source,
        label_values=label_values,
        class_values=class_values,
        sides_are_guessed=settings.laterality_column is None
        and settings.laterality_pattern is None,
        sha256=raw.sha256 or hash_value(table.astype(str).to_numpy().tolist()),
        reading=asked,
    )


def _refuse_own(source: Path) -> None:
    """Refuse a table of results: its rows have been explained already, or are no images."""
    if (own := own_table(source)) is None:
        return
    again = f"; to explain its images anew, give {own.made_of}" if own.made_of else ""
    raise InputError(
        f"{source}: is a table of results of {own.folder}, not a cohort table; open that folder to "
        f"see them{again}, or a copy of this one that lies elsewhere."
    )


def _of_a_copy(source: Path, table: pd.DataFrame) -> list[str]:
    if not is_copy_of_images([str(name) for name in table.columns]):
        return []
    return [
        f"{source}: has the columns of a run's images.csv and is read as a cohort table of its "
        "own; what a model predicted there is kept as columns of the table, and not used."
    ]


def _guesses(
    roles: Roles, settings: CohortSettings, laterality: str, patient_source: str
) -> dict[str, str]:
    """Say what was understood. A run goes on only where this is the same: it counts no rows."""
    labels = ", ".join(roles.labels) if roles.labels else f"classes of {roles.class_column}"
    if told := settings.label_values if roles.labels else settings.class_values:
        labels += f" with {told}"
    patients = {FROM_TABLE: roles.patient, FROM_FOLDER: "folders named as patients are"}
    return {
        "file": roles.file,
        "laterality": laterality,
        "patient": patients.get(patient_source) or "none (every image counts as a patient)",
        "labels": labels,
    }


def _patients(
    table: pd.DataFrame, column: str | None, names: Sequence[str]
) -> tuple[tuple[str, ...], str]:
    """Return the patient of each image, and what tells it."""
    if column is not None:
        nobody = is_nobody(table[column])
        return tuple(
            f"image-{row}" if nobody[row] else str(value) for row, value in enumerate(table[column])
        ), FROM_TABLE
    if folders := patients_of_folders(names):
        return tuple(folders), FROM_FOLDER
    return tuple(f"image-{row}" for row in range(len(table))), ""
