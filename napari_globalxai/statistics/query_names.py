"""Names of columns in a query: those that are no names of Python stand in backticks."""

from __future__ import annotations

import keyword
import re

# What is quoted in either way, or in backticks; a quote without its twin is left to the parser.
_QUOTED = re.compile(r"""'(?:\\.|[^'\\])*'|"(?:\\.|[^"\\])*"|`((?:[^`]|``)*)`""")


def quoted(column: str) -> str:
    """Return a column's name as a query takes it."""
    plain = column.isidentifier() and not keyword.iskeyword(column)
    return column if plain else in_backticks(column)


def in_backticks(column: str) -> str:
    """Return a column's name in backticks; one that it holds is doubled, as pandas has it."""
    return f"`{column.replace('`', '``')}`"


def without_backticks(text: str) -> tuple[str, dict[str, str]]:
    """Return the text with plain names for those in backticks, and what they stand for."""
    names: dict[str, str] = {}
    prefix = "column"
    while prefix in text:
        prefix += "_"

    def plain(match: re.Match[str]) -> str:
        if match[1] is None:
            return match[0]
        name = f"{prefix}{len(names)}"
        names[name] = match[1].replace("``", "`")
        return f" {name} "

    return _QUOTED.sub(plain, text), names
