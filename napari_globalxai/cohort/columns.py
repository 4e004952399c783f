"""Which column of a cohort table plays which role: asked for, or guessed by name and content."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from napari_globalxai.cohort.files import looks_like_image
from napari_globalxai.cohort.labels import BLANK, BinaryColumn, plain_text, read_binary
from napari_globalxai.cohort.laterality import names_sides
from napari_globalxai.cohort.naming import name_key, same_names
from napari_globalxai.cohort.reading import RawTable
from napari_globalxai.cohort.several import find_several
from napari_globalxai.cohort.wording import counted, form, named
from napari_globalxai.settings.cohort_settings import CohortSettings
from napari_globalxai.settings.lists import join_pairs

# Earlier names go before later ones; compared as by `name_key`.
FILE_COLUMNS = (
    *("filename", "file", "image_path", "path", "image", "file_name", "filepath", "file_path"),
    *("image_file", "image_name", "imagename", "imagepath", "img_path", "img", "fname"),
    *("image_index", "img_name", "x_ray_image_name", "image_id", "id_code"),
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
    *("category", "disease", "stage", "severity", "retinopathy_grade", "class_name"),
    *("class_label", "class_id", "dx", "finding_labels", "finding", "findings", "labels"),
    *("diagnoses", "diseases", "adjudicated_dr_grade"),
)
# 0/1 columns that describe the person or the picture, not the disease.
COVARIATE_COLUMNS = (
    *("sex", "gender", "age", "site", "mark", "camera", "image_id", "quality", "split", "fold"),
    *("train", "test", "validation", "index", "follow_up_#", "follow_up", "gradable"),
    *("adjudicated_gradable", "view_position"),
)


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


def find_roles(
    source: Path, raw: RawTable, settings: CohortSettings, coding: Mapping[str, float]
) -> Roles:
    """Find the role of each column; what is wrong is collected, a clause each, not raised.

    Parameters
    ----------
    source : pathlib.Path
        The table's file, for messages.
    raw : RawTable
        What was read.
    settings : CohortSettings
        The columns that the user names; others are guessed.
    coding : mapping of str to float
        What values of label columns mean, see `labels.read_label_values`.
    """
    finder = _Finder(raw)
    file = finder.one("file", settings.file_column, FILE_COLUMNS)
    if file is None and settings.file_column is None:
        file = _file_by_content(finder)
    asked = settings.laterality_column
    if asked is not None and asked.casefold() == "none" and not finder.has(asked):
        laterality = None
    else:
        laterality = finder.one("laterality", asked, ())
    if asked is None:
        # A column "position" may tell where on the retina; a column of sides goes first.
        fitting = finder.guesses(LATERALITY_COLUMNS)
        sides = [name for name in fitting if names_sides(raw.table[name])]
        laterality = next(iter(sides or fitting), None)
    patient = finder.one("patient", settings.patient_column, PATIENT_COLUMNS)
    labels, class_column = _find_labels(
        source, finder, settings, coding, {file, laterality, patient} - {None}
    )
    return Roles(
        file or "", laterality, patient, labels, class_column, finder.warnings, finder.wrong
    )


def named_file_column(raw: RawTable) -> str | None:
    """Return the column that is the file column by its name."""
    return next(iter(_Finder(raw).guesses(FILE_COLUMNS)), None)


def holds_images(column: pd.Series) -> bool:
    """Return whether every value of a column is called as image files are."""
    values = column.dropna().unique()
    return len(values) > 0 and all(looks_like_image(str(value)) for value in values)


def class_like(names: Sequence[str]) -> list[str]:
    """Return the columns that are called as class columns are."""
    return [name for name in names if name_key(name) in CLASS_COLUMNS]


def _file_by_content(finder: _Finder) -> str | None:
    """Return the only column whose every value is called as image files are."""
    fitting = [name for name in finder.guessable if holds_images(finder.table[name])]
    if len(fitting) == 1:
        return fitting[0]
    finder.wrong.append(
        "no column with the image files was recognised, so name it with --file-column"
        + (f" ({named(fitting)} name images)" if fitting else "")
    )
    return None


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
        for same in (str, str.casefold, name_key):
            fitting = [name for name in self.names if same(name) == same(asked.strip())]
            if len(fitting) == 1:
                return fitting[0]
        why = f"more than one column {asked!r}" if fitting else f"no column {asked!r}"
        self.wrong.append(f"there is {why} for the {role}")
        return None

    def has(self, name: str) -> bool:
        """Return whether there is a column of a name."""
        return name_key(name) in map(name_key, self.names)

    def several(self, role: str, asked: Sequence[str]) -> list[str]:
        """Return the columns asked for that are there, each once."""
        found = [self.one(role, name, ()) for name in asked]
        return list(dict.fromkeys(name for name in found if name is not None))

    def guesses(self, candidates: Sequence[str]) -> list[str]:
        """Return the columns with a candidate's name, in the candidates' order."""
        by_key = {name_key(name): name for name in reversed(self.guessable)}
        return [by_key[name] for name in candidates if name in by_key]


def _find_labels(
    source: Path,
    finder: _Finder,
    settings: CohortSettings,
    coding: Mapping[str, float],
    taken: set[str | None],
) -> tuple[tuple[str, ...], str | None]:
    before = len(finder.wrong)
    left_out = finder.several("label to leave out", settings.exclude_labels or ())
    if settings.class_column is not None and settings.label_columns is not None:
        finder.wrong.append("a table has label columns or one class column, not both")
    if settings.class_column is not None:
        class_column = finder.one("class", settings.class_column, ())
        _tell_several(source, finder, class_column)
        return (), class_column
    if settings.label_columns is not None:
        asked = finder.several("label", settings.label_columns)
        binary = {
            name: read_binary(finder.table[name], coding) for name in asked if name not in left_out
        }
        finder.wrong += [
            _why_no_label(name, column)
            for name, column in binary.items()
            if not column.usable or column.one_sided
        ]
    else:
        binary = _guess_labels(source, finder, coding, taken.union(left_out))
    if twins := same_names(binary):
        finder.wrong.append(
            f"the label columns {twins[0]!r} and {twins[1]!r} have one name but for its spelling, "
            "so leave one out with --exclude-labels"
        )
    _tell_odd_values(source, finder, binary)
    _tell_blanks(source, finder, binary, coding)
    class_column = None
    if not binary and settings.label_columns is None:
        class_column = _guess_class(source, finder, left_out)
    if not binary and class_column is None and len(finder.wrong) == before:
        finder.wrong.append(
            "no label column was found: labels are columns of 0 and 1, named with "
            "--label-columns, or one class column, named with --class-column"
        )
    return tuple(binary), class_column


def _why_no_label(name: str, column: BinaryColumn) -> str:
    if not column.odd:
        return f"the label column {name!r} is empty"
    values = join_pairs(dict.fromkeys(map(plain_text, list(column.odd)[:2]), "unknown"))
    return (
        f"the label column {name!r} holds values beside 0 and 1 ({named(map(repr, column.odd))}), "
        f'so say what they mean, such as --label-values "{values}" (or U-Ones, U-Zeros or U-Ignore '
        "for what is uncertain)"
    )


def _guess_labels(
    source: Path, finder: _Finder, coding: Mapping[str, float], skipped: set[str | None]
) -> dict[str, BinaryColumn]:
    """Return the columns of 0 and 1, or of another pair, that no role or covariate has."""
    others = {*FILE_COLUMNS, *LATERALITY_COLUMNS, *PATIENT_COLUMNS, *COVARIATE_COLUMNS}
    labels, mixed, uncertain = {}, [], []
    for name in finder.guessable:
        key = name_key(name)
        if name in skipped or key in others or key.removeprefix("patient_") in others:
            continue
        column = read_binary(finder.table[name], coding)
        if column.mostly_uncertain:
            uncertain.append(name)
        if not column.plausible:
            continue
        if column.mixed:
            mixed.append(name)
        # A grade that is rarely above 1 is no label; neither are its high values slips.
        elif key not in CLASS_COLUMNS or not column.odd:
            labels[name] = column
    if mixed:
        finder.warnings.append(
            f"{source}: {named(map(repr, mixed))} {form(len(mixed), 'spells', 'spell')} yes and no "
            f"in several ways and {form(len(mixed), 'is', 'are')} not taken as "
            f"{form(len(mixed), 'a label', 'labels')} unless named with --label-columns."
        )
    if uncertain:
        finder.warnings.append(
            f"{source}: {named(map(repr, uncertain))} "
            f"{form(len(uncertain), 'is', 'are')} more often uncertain than 0 or 1 and not taken "
            f"{form(len(uncertain), 'as a label', 'as labels')} unless --label-values, such as "
            '"-1=unknown", U-Ones or U-Zeros, says what that means.'
        )
    # One class column of 0 and 1 is a class column.
    if all(name_key(name) in CLASS_COLUMNS for name in labels):
        return {}
    return labels


def _tell_blanks(
    source: Path, finder: _Finder, labels: dict[str, BinaryColumn], coding: Mapping[str, float]
) -> None:
    """Name labels that are 1 or empty: without a 0, no image is known to be without them."""
    names = [
        name
        for name, column in labels.items()
        if finder.table[name].isna().any() and set(column.values[column.values >= 0]) == {1.0}
    ]
    if names and BLANK not in coding:
        finder.warnings.append(
            f"{source}: {form(len(names), 'the label column', 'the label columns')} "
            f"{named(map(repr, names))} {form(len(names), 'holds', 'hold')} 1 or nothing, and "
            'what is empty is unknown; --label-values "blank=0" takes it as 0.'
        )


def _guess_class(source: Path, finder: _Finder, left_out: Sequence[str]) -> str | None:
    """Return the first column that is called as class columns are."""
    fitting = [name for name in finder.guesses(CLASS_COLUMNS) if name not in left_out]
    if len(fitting) > 1:
        finder.warnings.append(
            f"{source}: {named(map(repr, fitting))} are all called as class columns are; the "
            "first is taken, and --class-column takes another."
        )
    class_column = next(iter(fitting), None)
    _tell_several(source, finder, class_column)
    return class_column


def _tell_several(source: Path, finder: _Finder, class_column: str | None) -> None:
    if class_column is None:
        return
    if form := find_several(map(str, finder.table[class_column].dropna().unique())):
        finder.warnings.append(
            f"{source}: fields of {class_column!r} hold several labels, {form.how}; each is read "
            "as one, and what a field does not name is taken as absent."
        )


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
