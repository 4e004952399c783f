"""Numbers and lists in sentences for people."""

from __future__ import annotations

from collections.abc import Iterable, Sequence


def named(items: Iterable[object], most: int = 5) -> str:
    """Return the first few of many things as a list for a sentence."""
    texts = [str(item) for item in items]
    more = f" and {len(texts) - most} more" if len(texts) > most else ""
    return ", ".join(texts[:most]) + more


def counted(number: object, noun: str) -> str:
    """Return a number with its noun, such as ``1 row`` or ``2 rows``."""
    return f"{number} {noun if number == 1 else noun + 's'}"


def form(number: int, one: str, many: str) -> str:
    """Return the form of a verb that goes with a number."""
    return one if number == 1 else many


def rows_named(rows: Sequence[int]) -> str:
    """Return rows, counted from 0, as people count them below the header: ``rows 1, 2``."""
    return f"{form(len(rows), 'row', 'rows')} {named(row + 1 for row in rows)}"
