"""The cohort table: one row an image, with laterality, patient and labels."""

from __future__ import annotations

import csv
import warnings
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pandas as pd

from napari_globalxai.errors import InputError

FILE_COLUMNS = ("filename", "file", "image_path", "path", "image", "file_name", "filepath")
LATERALITY_COLUMNS = ("lr", "laterality", "eye", "position", "side")
PATIENT_COLUMNS = ("id", "patient_id", "patient", "patientid", "subject", "subject_id")
CLASS_COLUMNS = ("class", "label", "diagnosis", "dr_level", "grade", "target")
# 0/1 columns that describe the person or the picture, not the disease.
COVARIATE_COLUMNS = ("sex", "gender", "age", "site", "mark", "camera", "image_id", "quality")

_LATERALITIES = {
    "l": "L",
    "left": "L",
    "left_eye": "L",
    "os": "L",
    "r": "R",
    "right": "R",
    "right_eye": "R",
    "od": "R",
}


# Not pandas' own list: it takes "None" as missing, which may well be a class.
_MISSING = ("", "NA", "N/A", "n/a", "NaN", "nan", "<NA>", "NULL", "null")


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

    def __len__(self) -> int:
        return len(self.files)

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
            return _one_hot(self.table[self.class_column], labels, self.source)
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
                values = pd.to_numeric(self.table[known[label.casefold()]], errors="coerce")
                truth[:, index] = values.to_numpy(dtype=float)
        return truth


def read_cohort(
    path: str | Path,
    *,
    image_root: str | Path | None = None,
    file_column: str | None = None,
    laterality_column: str | None = None,
    patient_column: str | None = None,
    label_columns: Sequence[str] | None = None,
    class_column: str | None = None,
) -> Cohort:
    """Read a cohort table (CSV or TSV) and work out what its columns mean.

    Parameters
    ----------
    path : str or pathlib.Path
        The table: one row an image, comma, semicolon or tab separated.
    image_root : str or pathlib.Path, optional
        Folder that relative file entries start from; the table's own folder by default.
    file_column, laterality_column, patient_column, class_column : str, optional
        Columns to use instead of the guessed ones.
    label_columns : sequence of str, optional
        The 0/1 columns to take as labels instead of every 0/1 column that is not a covariate.

    Returns
    -------
    Cohort

    Raises
    ------
    InputError
        When the table cannot be read, has no file column or no labels.
    """
    source = Path(path)
    table = _read_table(source)
    columns = {str(column).casefold(): str(column) for column in table.columns}

    def resolve(role: str, asked: str | None, candidates: Sequence[str]) -> str | None:
        if asked is not None:
            if asked.casefold() not in columns:
                raise InputError(
                    f"{source}: there is no column {asked!r} for the {role}; "
                    f"columns are {', '.join(columns.values())}."
                )
            return columns[asked.casefold()]
        return next((columns[name] for name in candidates if name in columns), None)

    file_name = resolve("file", file_column, FILE_COLUMNS)
    if file_name is None:
        raise InputError(
            f"{source}: no column with the image files was recognised "
            f"(columns: {', '.join(columns.values())}); name it with --file-column."
        )
    laterality_name = resolve("laterality", laterality_column, LATERALITY_COLUMNS)
    patient_name = resolve("patient", patient_column, PATIENT_COLUMNS)
    roles = {file_name, laterality_name, patient_name}
    class_name = resolve("class", class_column, ()) if class_column else None
    if class_name is not None:
        labels: tuple[str, ...] = ()
    elif label_columns is not None:
        labels = tuple(str(resolve("label", name, ())) for name in label_columns)
        for name in labels:
            if not _is_binary(table[name]):
                raise InputError(
                    f"{source}: the label column {name!r} holds values beside 0 and 1."
                )
    else:
        labels = tuple(
            name
            for name in columns.values()
            if name not in roles
            and name.casefold() not in COVARIATE_COLUMNS
            and _is_binary(table[name])
        )
        if not labels:
            class_name = resolve("class", None, CLASS_COLUMNS)
    if not labels and class_name is None:
        raise InputError(
            f"{source}: no label column was found: labels are columns of 0 and 1, or one class "
            "column named with --class-column."
        )

    names = tuple(_text(value) for value in table[file_name])
    root = source.parent if image_root is None else Path(image_root)
    laterality, warnings = _laterality(table, laterality_name, source)
    return Cohort(
        source=source,
        files=tuple(root / name.replace("\\", "/") for name in names),
        names=names,
        laterality=laterality,
        patients=_patients(table, patient_name),
        table=table,
        label_columns=labels,
        class_column=class_name,
        guesses={
            "file": file_name,
            "laterality": laterality_name or "none (no image is mirrored)",
            "patient": patient_name or "none (every image counts as a patient)",
            "labels": ", ".join(labels) if labels else f"classes of {class_name}",
        },
        warnings=warnings,
    )


def _read_table(source: Path) -> pd.DataFrame:
    if not source.is_file():
        raise InputError(f"{source}: the cohort table does not exist.")
    try:
        with source.open(encoding="utf-8-sig") as stream:
            header = stream.readline()
        # Values stay text: a patient "007" must not become 7. Without index_col a separator at the
        # end of each row would shift all columns by one.
        with warnings.catch_warnings():
            warnings.simplefilter("error", pd.errors.ParserWarning)
            table = pd.read_csv(
                source,
                sep=_separator(header),
                dtype=str,
                encoding="utf-8-sig",
                index_col=False,
                keep_default_na=False,
                na_values=_MISSING,
            )
    except (ValueError, pd.errors.ParserWarning) as why:
        reason = " ".join(str(why).split())
        raise InputError(f"{source}: cannot be read as a CSV or TSV table ({reason}).") from why
    if table.empty:
        raise InputError(f"{source}: the cohort table has no rows.")
    return table.rename(columns=lambda name: str(name).strip())


def _separator(header: str) -> str:
    """Return what splits the header best; csv's sniffer takes letters where there is one column."""
    return max(",;\t", key=lambda separator: len(next(csv.reader([header], delimiter=separator))))


def _text(value: object) -> str:
    return "" if pd.isna(value) else str(value).strip()  # type: ignore[call-overload]


def _is_binary(column: pd.Series) -> bool:
    numbers = pd.to_numeric(column, errors="coerce")
    filled = column.notna() & (column.str.casefold() != "none")
    return bool(filled.any() and numbers[filled].isin((0, 1)).all())


def _laterality(
    table: pd.DataFrame, column: str | None, source: Path
) -> tuple[tuple[str, ...], list[str]]:
    if column is None:
        return ("",) * len(table), []
    texts = [_text(value).casefold() for value in table[column]]
    unknown = sorted({text for text in texts if text and text not in _LATERALITIES})
    warnings = []
    if unknown:
        count = sum(text in unknown for text in texts)
        warnings.append(
            f"{source}: {count} images have a laterality that is not understood "
            f"({', '.join(map(repr, unknown[:5]))}) and are not mirrored."
        )
    return tuple(_LATERALITIES.get(text, "") for text in texts), warnings


def _patients(table: pd.DataFrame, column: str | None) -> tuple[str, ...]:
    if column is None:
        return tuple(f"image-{row}" for row in range(len(table)))
    return tuple(_text(value) or f"image-{row}" for row, value in enumerate(table[column]))


def _one_hot(column: pd.Series, labels: Sequence[str], source: Path) -> npt.NDArray[np.float64]:
    """Classes by name, or by number as the index of the model's output."""
    truth = np.full((len(column), len(labels)), np.nan)
    by_name = {label.casefold(): index for index, label in enumerate(labels)}
    texts = [_text(value).casefold() for value in column]
    named = any(text in by_name for text in texts)
    for row, text in enumerate(texts):
        index = by_name.get(text)
        if index is None and not named and text.removesuffix(".0").isdigit():
            number = int(text.removesuffix(".0"))
            index = number if number < len(labels) else None
        if index is not None:
            truth[row] = 0
            truth[row, index] = 1
    if np.isnan(truth).all():
        raise InputError(
            f"{source}: the values of the class column {column.name!r} match none of the model's "
            f"labels ({', '.join(labels)})."
        )
    return truth
