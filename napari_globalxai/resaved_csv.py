"""Tables of ours that a spreadsheet program saved again, read as what they were.

Such programs write semicolons or tabs between fields, commas in numbers, marks of byte order, and
columns and rows without content. Where all of that can be told, nothing is lost.
"""

from __future__ import annotations

import codecs
import re
from collections.abc import Collection
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pandas as pd

_WITH_COMMA = re.compile(r"[+-]?(\d+(,\d*)?|,\d+)([eE][+-]?\d+)?")
_NAMELESS = re.compile(r"Unnamed: \d+")


def options_of(content: bytes) -> dict[str, Any]:
    """Return how `pandas.read_csv` reads a table, from its first line; empty where as we write it.

    Parameters
    ----------
    content : bytes
        How the file begins.
    """
    options: dict[str, Any] = {}
    if content.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        options["encoding"] = "utf-16"
    text = content.decode(options.get("encoding", "utf-8"), errors="replace")
    first = re.sub(r'"[^"]*"', "", text.partition("\n")[0])
    separator = max(",;\t", key=first.count)
    if separator != ",":
        options["sep"] = separator
    return options


def without_empty(table: pd.DataFrame) -> pd.DataFrame:
    """Return a table without rows that hold nothing, and such columns without a name."""
    empty = [
        name
        for name in table.columns
        if _NAMELESS.fullmatch(str(name)) and table[name].isna().all()
    ]
    table = table.drop(columns=empty)
    return table.dropna(how="all", ignore_index=True) if table.isna().all(axis=1).any() else table


def with_points(table: pd.DataFrame, texts: Collection[str]) -> pd.DataFrame:
    """Return a table in which columns of numbers with a comma are numbers.

    Parameters
    ----------
    table : pandas.DataFrame
        It stays as it is.
    texts : collection of str
        Columns that are text whatever they look like.
    """
    import pandas as pd

    changed = table.copy(deep=False)
    for name in table.columns:
        if name in texts or table[name].dtype.kind != "O":
            continue
        known = table[name].dropna()
        if len(known) and all(_WITH_COMMA.fullmatch(str(value)) for value in known):
            with_point = table[name].astype(object).map(_pointed)
            changed[name] = pd.to_numeric(with_point)
    return changed


def _pointed(value: Any) -> Any:
    return value.replace(",", ".") if isinstance(value, str) else value
