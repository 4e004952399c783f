"""Chapters of the report that are made from the files which other commands left in the run."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from numbers import Integral
from pathlib import Path
from typing import TYPE_CHECKING, Any

from napari_globalxai.cohort.wording import form, named
from napari_globalxai.plain_text import numeral
from napari_globalxai.report.style import DASH, number, percent
from napari_globalxai.storage import read_json, read_table
from napari_globalxai.unusable import made_again

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True)
class ChapterTable:
    """A table: its columns' headings, and the texts of its rows.

    Attributes
    ----------
    columns : list of str
        Headings; the first column names the row.
    rows : list of list of str
        Texts.
    title : str
        Over the table; may be empty.
    """

    columns: list[str]
    rows: list[list[str]]
    title: str = ""


@dataclass(frozen=True)
class Chapter:
    """A chapter of the report.

    Attributes
    ----------
    anchor, title : str
        Its identifier on the page, and its heading.
    text : list of str
        Paragraphs.
    points : list of str
        What is found, a sentence each.
    warnings : list of str
        What to keep in mind, a sentence each.
    tables : list of ChapterTable
        Tables.
    figures : list of str
        Names of figures; those that were not drawn are left out.
    is_answered : bool
        Whether anybody asked; if not, the text says so.
    """

    anchor: str
    title: str
    text: list[str] = field(default_factory=list)
    points: list[str] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    tables: list[ChapterTable] = field(default_factory=list)
    figures: list[str] = field(default_factory=list)
    is_answered: bool = True


@dataclass(frozen=True)
class Damaged:
    """A file that cannot be used, or is missing among others that were written with it."""

    path: Path

    @property
    def sentence(self) -> str:
        """What the report says of it."""
        return damaged_sentence([self.path])


def damaged_sentence(paths: Sequence[Path]) -> str:
    """Return what the report says of files that were written together and are damaged alike."""
    missing = f"{form(len(paths), 'is', 'are')} missing"
    what = "cannot be read" if paths[0].exists() else missing
    return f"{named((path.name for path in paths), 3)} {what}; {made_again(paths[0])}."


def mapping_in(path: Path) -> Mapping[str, Any] | Damaged | None:
    """Read a JSON object; None where there is neither the file nor what is written with it."""
    if not path.is_file():
        return _lost(path, ".csv", ".tif")
    try:
        content = read_json(path)
    except (OSError, ValueError, RecursionError):
        return Damaged(path)
    return content if isinstance(content, dict) else Damaged(path)


def table_in(
    path: Path, columns: Iterable[str], numbers: Iterable[str] = ()
) -> pd.DataFrame | Damaged | None:
    """Read a table that has these columns, and `numbers` in some; None as for `mapping_in`."""
    if not path.is_file():
        return _lost(path, ".json")
    try:
        table = read_table(path, dtype={"label": str})
    except (OSError, ValueError):
        return Damaged(path)
    if not {*columns, *numbers} <= set(table.columns):
        return Damaged(path)
    are_numbers = all(table[name].dtype.kind in "iuf" for name in numbers)
    return table if are_numbers or not len(table) else Damaged(path)


def _lost(path: Path, *beside: str) -> Damaged | None:
    """Return a file that is missing where files of these kinds, written with it, are not."""
    if not path.parent.is_dir():
        return None
    is_lost = any(each.suffix in beside for each in path.parent.iterdir())
    return Damaged(path) if is_lost else None


def entries(value: Any) -> list[Mapping[str, Any]]:
    """Return a list of JSON objects; what is no object is left out."""
    return [each for each in value if isinstance(each, dict)] if isinstance(value, list) else []


def named_entries(value: Any) -> dict[str, Mapping[str, Any]]:
    """Return a JSON object of objects by name; what is no object is left out."""
    items = value.items() if isinstance(value, dict) else ()
    return {str(name): each for name, each in items if isinstance(each, dict)}


def texts(value: Any) -> list[str]:
    """Return a list of JSON values as texts."""
    return [str(each) for each in value] if isinstance(value, list) else []


def figure_text(value: Any, digits: int = 3) -> str:
    """Return a number of a file as text, a dash where there is none, and text as it is."""
    if isinstance(value, bool) or not isinstance(value, Integral | float):
        return DASH if value is None else str(value)
    if isinstance(value, Integral):
        return numeral(int(value), "d")
    return number(float(value), digits)


def p_text(value: Any) -> str:
    """Return a p-value as text."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return figure_text(value)
    return number(float(value), 3) if value >= 0.001 else numeral(float(value), ".1g")


def share_text(value: Any) -> str:
    """Return a share as percent."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return figure_text(value)
    return percent(float(value), 1)


def interval_text(value: Any, low: Any, high: Any, digits: int = 2) -> str:
    """Return a number with its interval."""
    middle, *ends = (
        figure_text(
            each if isinstance(each, bool) or not isinstance(each, Integral) else float(each),
            digits,
        )
        for each in (value, low, high)
    )
    if DASH in ends:
        return middle
    # In one piece, so that narrow columns do not part it.
    return f"{middle} ({ends[0]} to {ends[1]})".replace(" ", "\N{NO-BREAK SPACE}")
