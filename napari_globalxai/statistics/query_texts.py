"""Texts in a query: compared, and whether they have an order that is meant.

Letters put '100' before '60', and 01.02.2021 before 31.01.2020. Words have an order,
and so have dates that begin with the year; other dates, and what looks like numbers, would be put
in the order of their letters without a word.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np

_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?", re.IGNORECASE)
_DIGITS = re.compile(r"\d+")
_BEGINS_WITH_A_NUMBER = re.compile(r"[+-]?[.,]?\d")
_LETTER = re.compile(r"[^\W\d_]")
_DAY_OR_MONTH_FIRST = re.compile(r"\d{1,2}([ ./-])(\d{1,2}|[^\W\d_]{3,9})\1\d{2,4}\b")


def compared(first: Any, second: Any, compare: Callable[[Any, Any], Any], unequal: bool) -> Any:
    """Compare; what is missing is unequal to everything, and that is all that holds for it."""
    if not (is_text(first) or is_text(second)):
        return np.asarray(compare(np.asarray(first), np.asarray(second)), dtype=bool)
    sides = np.broadcast_arrays(np.asarray(first, object), np.asarray(second, object))
    return np.array(
        [
            unequal if one is None or other is None else compare(one, other)
            for one, other in zip(*map(np.ravel, sides), strict=True)
        ],
        dtype=bool,
    ).reshape(sides[0].shape)


def is_text(value: Any) -> bool:
    """Return whether a value is text, or a column of texts."""
    return isinstance(value, str) or (isinstance(value, np.ndarray) and value.dtype == object)


def texts_of(value: Any) -> list[str]:
    """Return the texts of a column, or of a constant, each once; None stands for none."""
    return [each for each in dict.fromkeys(np.ravel(np.asarray(value, object))) if each is not None]


def text_among_numbers(texts: Iterable[str]) -> str:
    """Return the first text that is no number where others are; empty where there is none."""
    known = list(texts)
    strange = [text for text in known if not _NUMBER.fullmatch(text)]
    return strange[0] if 0 < len(strange) < len(known) else ""


def why_not_ordered(texts: Iterable[str]) -> str:
    """Return why texts have no order that can be meant, a clause; empty where they have one.

    Parameters
    ----------
    texts : iterable of str
        A column's values, and what they are compared with.
    """
    alike: dict[str, str] = {}
    numeric, word = "", ""
    for text in texts:
        other = alike.setdefault(_form(text), text)
        if _DAY_OR_MONTH_FIRST.match(text):
            return f"{text!r} is a date that does not begin with the year"
        if _BEGINS_WITH_A_NUMBER.match(text):
            # A date, and the same with its time, are of one form as far as both go.
            if numeric and not _one_begins_as(_form(numeric), _form(text)):
                return f"{numeric!r} and {text!r} are of two forms"
            if numeric and not _one_begins_as(_widths(numeric), _widths(text)):
                other = numeric
            numeric = max(numeric, text, key=len)
        else:
            word = word or text
        if not _one_begins_as(_widths(other), _widths(text)):
            return (
                f"{other!r} and {text!r} are texts, which would be put in the order of their "
                "letters, as '100' before '60'"
            )
    if numeric and word:
        return f"{word!r} stands among such as {numeric!r}, and has no place in their order"
    return ""


def _form(text: str) -> str:
    return _LETTER.sub("a", _DIGITS.sub("#", text))


def _widths(text: str) -> list[int]:
    return [len(digits) for digits in _DIGITS.findall(text)]


def _one_begins_as(first: Sequence[Any], second: Sequence[Any]) -> bool:
    return all(one == other for one, other in zip(first, second, strict=False))
