"""Texts in our CSV files that no spreadsheet takes for a formula.

A cell that begins with ``=``, ``+``, ``-``, ``@`` or a tab is run by spreadsheets, and most of our
cells come from somebody's table. So such a text gets an apostrophe before it, which spreadsheets
know as the mark of a text; so does a text that has one already, so that it is got back. Numbers
stay as they are, in columns of text as well.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from itertools import chain
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pandas as pd

# With the full-width forms, which are taken for the plain ones.
_FORMULA = re.compile(r"'*[=+\-@\t\r\n\uff1d\uff0b\uff0d\uff20]")
_MARKED = re.compile(r"'+[=+\-@\t\r\n\uff1d\uff0b\uff0d\uff20]")
# Signs alone do nothing, and often stand for what is missing.
_HARMLESS = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?|[+-]|[+-]?(inf|nan)", re.IGNORECASE)


def marked(value: Any) -> Any:
    """Return a cell so that no spreadsheet runs it."""
    if isinstance(value, str) and _FORMULA.match(value) and not _HARMLESS.fullmatch(value):
        return f"'{value}"
    return value


def unmarked(value: Any) -> Any:
    """Return what a cell was before it was marked."""
    return value[1:] if isinstance(value, str) and _MARKED.match(value) else value


def with_texts(table: pd.DataFrame, change: Callable[[Any], Any]) -> pd.DataFrame:
    """Return a table whose texts, and names of columns, are changed.

    Parameters
    ----------
    table : pandas.DataFrame
        It stays as it is.
    change : callable
        `marked` or `unmarked`.
    """
    changed = table.copy(deep=False)
    for place in _places_of_texts(table):
        column = table.iloc[:, place]
        values = column.to_numpy(dtype=object)
        new = [change(value) for value in values]
        if any(one is not other for one, other in zip(values, new, strict=True)):
            changed.isetitem(place, type(column)(new, dtype=column.dtype).array)
    changed.columns = [change(name) for name in table.columns]
    return changed


def has_returns(table: pd.DataFrame) -> bool:
    """Return whether a text of a table, or a name of a column, holds a carriage return."""
    texts = (table.iloc[:, place].to_numpy(dtype=object) for place in _places_of_texts(table))
    return any(isinstance(value, str) and "\r" in value for value in chain(table.columns, *texts))


def _places_of_texts(table: pd.DataFrame) -> list[int]:
    return [place for place, kind in enumerate(table.dtypes) if kind.kind == "O"]
