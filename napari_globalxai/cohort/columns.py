"""Which column of a cohort table plays which role: asked for, or guessed by name and content."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from napari_globalxai.cohort.labels import BinaryColumn, read_binary
from napari_globalxai.cohort.laterality import names_sides
from napari_globalxai.cohort.reading import RawTable
from napari_globalxai.cohort.wording import counted, named

# Earlier names go before later ones; compared without case, blanks and hyphens as underscores.
FILE_COLUMNS = (
    *("filename", "file", "image_path", "path", "image", "file_name", "filepath", "file_path"),
    *("image_file", "image_name", "imagename", "imagepath", "img_path", "img", "fname"),
    *("image_id", "id_code"),
)
LATERALITY_COLUMNS = (
    *("lr", "l/r", "laterality", "eye", "position", "side", "eye_side", "eye_laterality"),
    *("image_laterality", "left_right", "od_os", "od/os", "os/od"),
)
PATIENT_COLUMNS = (
    *("patient_id", "patientid", "patient", "subject_id", "subject", "participant_id"),
    *("case_id", "person_id", "id"),
)
CLASS_COLUMNS = (
    *("class", "label", "diagnosis", "dr_level", "dr_grade", "grade", "target", "level"),
    *("category", "disease", "stage", "severity", "retinopathy_grade"),
)
# 0/1 columns that describe the person or the picture, not the disease.
COVARIATE_COLUMNS = (
    *("sex", "gender", "age", "site", "mark", "camera", "image_id", "quality", "split", "fold"),
    *("train", "test", "validation", "index"),
)


@dataclass(frozen=True)
class ColumnChoices:
    """The columns that the user names, as in `read_cohort`; None is left to a guess."""

    file: str | None = None
    laterality: str | None = None
    patient: str | None = None
    labels: Sequence[str] | None = None
    no_labels: Sequence[str] = ()
    class_column: str | None = None


@dataclass(frozen=True)
class Roles:
    """The columns that were found; `labels` is empty where there is a class column.

    Where `wrong` is not, the table cannot be used; else `file` names a column.
    """

    file: str
    laterality: str | None
    patient: str | None
    labels: tuple[str, ...]
    class_column: str | None
    warnings: list[str]
    wrong: list[str]


def find_roles(source: Path, raw: RawTable, choices: ColumnChoices) -> Roles:
    """Find the role of each column; what is wrong is collected, a clause each, not raised."""
    finder = _Finder(raw)
    file = finder.one("file", choices.file, FILE_COLUMNS)
    if file is None and choices.file is None:
        finder.wrong.append(
            "no column with the image files was recognised, so name it with --file-column"
        )
    laterality = finder.one("laterality", choices.laterality, ())
    if choices.laterality is None:
        # A column "position" may tell where on the retina; a column of sides goes first.
        fitting = finder.guesses(LATERALITY_COLUMNS)
        sides = [name for name in fitting if names_sides(raw.table[name])]
        laterality = next(iter(sides or fitting), None)
    patient = finder.one("patient", choices.patient, PATIENT_COLUMNS)
    labels, class_column = _find_labels(
        source, finder, choices, {file, laterality, patient} - {None}
    )
    return Roles(
        file or "", laterality, patient, labels, class_column, finder.warnings, finder.wrong
    )


class _Finder:
    """Looks columns up by name and notes what is not there."""

    def __init__(self, raw: RawTable) -> None:
        self.table: pd.DataFrame = raw.table
        self.names = [str(name) for name in raw.table.columns]
        self.guessable = [name for name in self.names if name not in raw.spare]
        self.warnings: list[str] = []
        self.wrong: list[str] = []

    def one(self, role: str, asked: str | None, candidates: Sequence[str]) -> str | None:
        """Return the column asked for, else the first guess."""
        if asked is None:
            return next(iter(self.guesses(candidates)), None)
        for same in (str, str.casefold, _key):
            for name in self.names:
                if same(name) == same(asked.strip()):
                    return name
        self.wrong.append(f"there is no column {asked!r} for the {role}")
        return None

    def several(self, role: str, asked: Sequence[str]) -> list[str]:
        """Return the columns asked for that are there, each once."""
        found = [self.one(role, name, ()) for name in asked]
        return list(dict.fromkeys(name for name in found if name is not None))

    def guesses(self, candidates: Sequence[str]) -> list[str]:
        """Return the columns with a candidate's name, in the candidates' order."""
        by_key = {_key(name): name for name in reversed(self.guessable)}
        return [by_key[name] for name in candidates if name in by_key]


def _find_labels(
    source: Path, finder: _Finder, choices: ColumnChoices, taken: set[str | None]
) -> tuple[tuple[str, ...], str | None]:
    before = len(finder.wrong)
    left_out = finder.several("label to leave out", choices.no_labels)
    if choices.class_column is not None and choices.labels is not None:
        finder.wrong.append("a table has label columns or one class column, not both")
    if choices.class_column is not None:
        return (), finder.one("class", choices.class_column, ())
    if choices.labels is not None:
        asked = finder.several("label", choices.labels)
        binary = {name: read_binary(finder.table[name]) for name in asked if name not in left_out}
        for name, column in binary.items():
            if not column.usable:
                finder.wrong.append(
                    f"the label column {name!r} holds values beside 0 and 1 "
                    f"({named(map(repr, column.odd))})" if column.odd
                    else f"the label column {name!r} is empty"
                )  # fmt: skip
    else:
        binary = _guess_labels(source, finder, taken.union(left_out))
    _tell_odd_values(source, finder, binary)
    class_column = None
    if not binary and choices.labels is None:
        fitting = [name for name in finder.guesses(CLASS_COLUMNS) if name not in left_out]
        class_column = next(iter(fitting), None)
    if not binary and class_column is None and len(finder.wrong) == before:
        finder.wrong.append(
            "no label column was found: labels are columns of 0 and 1, named with "
            "--label-columns, or one class column, named with --class-column"
        )
    return tuple(binary), class_column


def _guess_labels(
    source: Path, finder: _Finder, skipped: set[str | None]
) -> dict[str, BinaryColumn]:
    """Return the columns of 0 and 1, or of another pair, that no role or covariate has."""
    others = {*FILE_COLUMNS, *LATERALITY_COLUMNS, *PATIENT_COLUMNS, *COVARIATE_COLUMNS}
    labels, mixed = {}, []
    for name in finder.guessable:
        if name in skipped or _key(name) in others:
            continue
        column = read_binary(finder.table[name])
        if not column.plausible:
            continue
        if column.mixed:
            mixed.append(name)
        # A grade that is rarely above 1 is no label; neither are its high values slips.
        elif _key(name) not in CLASS_COLUMNS or not column.odd:
            labels[name] = column
    if mixed:
        finder.warnings.append(
            f"{source}: {named(map(repr, mixed))} spell yes and no in several ways and are not "
            "taken as labels unless named with --label-columns."
        )
    # One class column of 0 and 1 is a class column.
    if all(_key(name) in CLASS_COLUMNS for name in labels):
        return {}
    return labels


def _tell_odd_values(source: Path, finder: _Finder, labels: dict[str, BinaryColumn]) -> None:
    for name, column in labels.items():
        if column.odd and column.usable:
            values = named(
                f"{text!r} in {counted(count, 'row')}" for text, count in column.odd.items()
            )
            finder.warnings.append(
                f"{source}: the label column {name!r} holds {values} beside 0 and 1, taken as "
                "missing."
            )


def _key(name: str) -> str:
    return re.sub(r"[\s_-]+", "_", name.strip().casefold())
