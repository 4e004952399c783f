"""The columns of our tables: named once, and apart from those of the user's cohort table."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from napari_globalxai.resaved_csv import with_points
from napari_globalxai.storage import hash_value, read_table, write_table
from napari_globalxai.unusable import changed, damaged

# Takes half a second to import, and panels open by the names below alone.
if TYPE_CHECKING:
    import pandas as pd

ROW = "row"
FILE = "file"
PATH = "path"
PATIENT = "patient"
LATERALITY = "laterality"
LATERALITY_SOURCE = "laterality_source"
LATERALITY_CONFIDENCE = "laterality_confidence"
LATERALITY_SUSPECTED = "laterality_suspected"
NATIVE_HEIGHT = "native_height"
NATIVE_WIDTH = "native_width"
REGISTERED = "registered"
REGISTRATION_NOTE = "registration_note"
LIKENESS_BEFORE = "likeness_before"
LIKENESS_AFTER = "likeness_after"
OUTLIER_REASONS = "outlier_reasons"
OUTLIER_SCORE = "outlier_score"
STATUS = "status"
ERROR = "error"
OK, FAILED = "ok", "failed"

# Text whatever it looks like: a patient "007" is not the number 7.
_TEXT = (
    *(FILE, PATH, PATIENT, LATERALITY, LATERALITY_SOURCE),
    *(REGISTRATION_NOTE, OUTLIER_REASONS, STATUS, ERROR),
)
_OURS = frozenset(
    (
        *(ROW, *_TEXT, LATERALITY_CONFIDENCE, LATERALITY_SUSPECTED, NATIVE_HEIGHT, NATIVE_WIDTH),
        *(REGISTERED, LIKENESS_BEFORE, LIKENESS_AFTER, OUTLIER_SCORE),
    )
)
# Which a table of a run's images has, whatever it was made of.
NEEDED = (FILE, PATH, PATIENT, LATERALITY, STATUS, ERROR)
_FAMILIES = ("probability_", "logit_", "similarity_", "percentile_")
_OF_THE_TABLE = "table:"
_TRUTH = "truth:"


def truth_column(label: str) -> str:
    """Return the column of a label's truth: the label, or ``truth:LABEL`` if that name is taken."""
    taken = label in _OURS or label.startswith((*_FAMILIES, _OF_THE_TABLE, _TRUTH))
    return f"{_TRUTH}{label}" if taken else label


def probability_column(label: str) -> str:
    """Return the column of a label's predicted probability."""
    return f"probability_{label}"


def logit_column(label: str) -> str:
    """Return the column of a label's logit."""
    return f"logit_{label}"


def similarity_column(label: str) -> str:
    """Return the column of the similarity of an image's map to a label's global map."""
    return f"similarity_{label}"


def percentile_column(label: str) -> str:
    """Return the column of that similarity's percentile among the images that make the map."""
    return f"percentile_{label}"


def with_table_columns(ours: Mapping[str, Any], table: pd.DataFrame) -> dict[str, Any]:
    """Add the columns of the cohort table to columns of ours.

    A column of the table whose name is one of ours is called ``table:NAME``, and left out where it
    says the very same.

    Parameters
    ----------
    ours : mapping of str to column
        Our columns, in their order.
    table : pandas.DataFrame
        The cohort table as it was read, text, the same rows.
    """
    columns = dict(ours)
    for name in table.columns:
        text = table[name].fillna("").astype(str).tolist()
        if name not in columns and name not in _OURS:
            columns[name] = text
        elif name not in ours or _as_text(ours[name]) != text:
            columns[_free(f"{_OF_THE_TABLE}{name}", columns)] = text
    return columns


def _free(name: str, taken: Mapping[str, Any]) -> str:
    while name in taken:
        name = f"{_OF_THE_TABLE}{name}"
    return name


def _as_text(column: Any) -> list[str]:
    """Return a column's values as the table would write them."""
    import pandas as pd

    # Not by fillna, which in older releases guesses another type afterwards, with a warning.
    values = pd.Series(column).astype(object)
    return values.where(values.notna(), "").astype(str).tolist()


def write_images(path: Path, columns: Mapping[str, Any]) -> None:
    """Write a table with a row an image, atomically."""
    import pandas as pd

    write_table(path, pd.DataFrame(columns), index_label=ROW)


def read_images(path: Path) -> pd.DataFrame:
    """Read a table with a row an image; columns of ours that are text stay text.

    One that was sorted meanwhile, as spreadsheets do, is brought to the order of the images again.

    Raises
    ------
    InputError
        When rows were left out, added or numbered otherwise: maps are found by their number.
    """
    table = read_table(path, (FILE,), dtype=dict.fromkeys(_TEXT, str), low_memory=False)
    if any(table[name].dtype.kind == "O" for name in table if str(name).startswith(_FAMILIES)):
        # Where the fields are parted by commas, too, nothing else tells of it.
        table = with_points(table, _TEXT)
    if ROW in table:
        if sorted(table[ROW]) != list(range(len(table))):
            raise changed(
                path,
                "rows were left out, added or numbered otherwise, so that nothing tells which map "
                "is of which image",
            )
        table = table.sort_values(ROW, ignore_index=True).astype({ROW: int})
    text = [name for name in _TEXT if name in table]
    return table.fillna(dict.fromkeys(text, ""))


def read_explained(
    path: Path, labels: Sequence[str], count: int, names_sha256: str = ""
) -> pd.DataFrame:
    """Read the table of the images of a run, and look whether its numbers can be.

    Parameters
    ----------
    path : pathlib.Path
        The table.
    labels : sequence of str
        Labels that were explained.
    count : int
        Number of images of the run.
    names_sha256 : str, optional
        Hash of the images' names in their order, as `hash_value` gives it; empty where unknown.

    Raises
    ------
    InputError
        When columns, rows or numbers are not as we write them, as in a table changed by hand.
    """
    table = read_images(path)
    _check_rows(path, table, count, names_sha256)
    predicted = [probability_column(label) for label in labels]
    known = [name for name in map(truth_column, labels) if name in table]
    if any(name not in table for name in (*NEEDED, *predicted)):
        raise damaged(path)
    for name in (*predicted, *known):
        if table[name].dtype.kind not in "biuf":
            raise changed(path, f"its column {name!r} holds something else than numbers")
    probability, truth = table[predicted].to_numpy(float), table[known].to_numpy(float)
    # NaN is neither below nor above anything.
    odd = (truth < 0) | (truth > 1) | ((truth > 0) & (truth < 1))
    unlikely = (probability < 0) | (probability > 1)
    for kind, names, values, wrong in (
        ("truth", known, truth, odd),
        ("probability", predicted, probability, unlikely),
    ):
        if wrong.any():
            row, column = (int(place[0]) for place in wrong.nonzero())
            value = f"{names[column]!r} holds {values[row, column]:g}"
            raise changed(path, f"its column {value}, which is no {kind}")
    return table


def _check_rows(path: Path, table: pd.DataFrame, count: int, names_sha256: str) -> None:
    """Refuse a table whose rows are not those of the run's images, one by one."""
    if len(table) != count:
        raise changed(path, f"it has {len(table)} rows, but the run has {count} images")
    if names_sha256 and hash_value(table[FILE].tolist()) != names_sha256:
        raise changed(
            path,
            "its rows name other images than the run explained, as after a column was sorted "
            "without the others, or names were changed",
        )
    if not names_sha256 and ROW not in table:
        raise changed(path, f"its column {ROW!r} is gone, which tells whose map is whose")


def covariate_columns(table: pd.DataFrame, labels: Sequence[str]) -> list[str]:
    """Return the columns that describe images or people: neither truth, nor prediction, nor ours.

    Columns that say the same as the patient or the file are left out; the side is not.
    """
    known = {*_OURS, *map(truth_column, labels)} - {LATERALITY}
    names = [
        name
        for name in map(str, table.columns)
        if name not in known and not name.startswith(_FAMILIES)
    ]
    identities = [table[name] for name in (PATIENT, FILE) if name in table]
    return [
        name for name in names if not any(_says_the_same(table[name], own) for own in identities)
    ]


def _says_the_same(column: pd.Series, identity: pd.Series) -> bool:
    """Return whether a column names what another names, as text or as numbers: 7 for "007"."""
    if _as_text(column) == _as_text(identity):
        return True
    # Takes half a second to import.
    import pandas as pd

    numbers = pd.to_numeric(identity, errors="coerce")
    return bool(
        pd.api.types.is_numeric_dtype(column)
        and numbers.notna().all()
        and (column == numbers).all()
    )
