"""Several labels in one field, such as ``Edema|Effusion`` or ``['D', 'M']``."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Collection, Iterable
from dataclasses import dataclass

from napari_globalxai.cohort.labels import CODES, plain_text
from napari_globalxai.cohort.naming import name_key, number_of, says_absent

_LIST = re.compile(r"\[.*\]|\{.*\}|\(.*\)", re.DOTALL)
_IN_QUOTES = re.compile(r"""'([^']*)'|"([^"]*)\"""")
# Marks that names hardly hold go first; at the others, each part must be known as a name.
_SURE_MARKS, _MARKS = "|;\n", ",/+&"


@dataclass(frozen=True)
class SeveralForm:
    """How several names stand in the fields of one column.

    Attributes
    ----------
    how : str
        In words, for messages.
    parts : dict of str to tuple of str, or None
        The names in each value; None where it is not certain that it holds several.
    """

    how: str
    parts: dict[str, tuple[str, ...] | None]


def find_several(values: Iterable[str], known: Collection[str] = ()) -> SeveralForm | None:
    """Return how fields hold several names; None where it is not certain that any does.

    Parameters
    ----------
    values : iterable of str
        All values of the column that are not empty.
    known : collection of str
        `name_key` of what is a name as a whole: the model's labels.
    """
    distinct = dict.fromkeys(values)
    if form := _lists(distinct):
        return form
    for mark in _SURE_MARKS + _MARKS:
        parts = {value: _split(value, mark, known) for value in distinct}
        several = {value: each for value, each in parts.items() if len(each) > 1}
        vocabulary = _vocabulary(parts, known, others_count=mark in _SURE_MARKS)
        sure = {
            value
            for value, each in several.items()
            if mark == "|" or all(name_key(part) in vocabulary for part in each)
        }
        if sure:
            return SeveralForm(
                f"separated by {mark!r}",
                {
                    value: each if value in sure or value not in several else None
                    for value, each in parts.items()
                },
            )
    return None


def _lists(values: Iterable[str]) -> SeveralForm | None:
    parts: dict[str, tuple[str, ...] | None] = {}
    n_lists = 0
    for value in values:
        if _LIST.fullmatch(value):
            n_lists += 1
            parts[value] = _of_list(value[1:-1])
        elif plain_text(value) in CODES:
            parts[value] = (value,)
        else:
            return None
    found = [each for each in parts.values() if each]
    # Numbers of one length are a row of 0 and 1 for all labels, whose order nothing tells.
    vectors = len({len(each) for each in found}) == 1 and all(
        number_of(part) is not None for each in found for part in each
    )
    return SeveralForm("as lists", parts) if n_lists and found and not vectors else None


def _of_list(inside: str) -> tuple[str, ...]:
    quoted = [first or second for first, second in _IN_QUOTES.findall(inside)]
    return _tidy(quoted or inside.split(","))


def _split(value: str, mark: str, known: Collection[str]) -> tuple[str, ...]:
    """Return the names in a value: one where it is a name or a number as a whole."""
    if name_key(value) in known or number_of(value) is not None or plain_text(value) in CODES:
        return (value,)
    parts = _tidy(value.split(mark)) or (value,)
    if mark in _MARKS and (len(parts) == 1 or any(number_of(part) is not None for part in parts)):
        return (value,)
    return parts


def _tidy(parts: Iterable[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(text for part in parts if (text := part.strip())))


def _vocabulary(
    parts: dict[str, tuple[str, ...]], known: Collection[str], others_count: bool
) -> set[str]:
    """Return the names that are known: as labels, alone in a field, or in several companies."""
    alone = {name_key(each[0]) for each in parts.values() if len(each) == 1}
    absent = {name_key(part) for each in parts.values() for part in each if says_absent(part)}
    count = Counter(name_key(part) for each in parts.values() for part in each)
    often = {name for name, number in count.items() if number > 1} if others_count else set()
    return {*known, *alone, *absent, *often}
