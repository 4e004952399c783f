"""Lines of a stack's journal, which somebody may have changed: what is not whole counts as none."""

from __future__ import annotations

from typing import Any

import numpy as np

_TEXTS = ("laterality", "laterality_source", "note", "registration_note")
_NUMBERS = ("side_confidence", "side_margin", "likeness_before", "likeness_after")
_MOST_PIXELS = 1 << 31


def is_whole(entry: dict[str, Any]) -> bool:
    """Return whether a line tells of an image as we write it; one that does not is made again."""
    row, state, facts = entry.get("row"), entry.get("state"), entry.get("facts", {})
    return (
        type(row) is int
        and row >= 0
        and all(isinstance(entry.get(name), str) for name in ("error", "source"))
        and isinstance(entry.get("content", ""), str)
        and (state is None or _is_plain(state))
        and isinstance(facts, dict)
        and _are_facts(facts)
    )


def _is_plain(state: Any) -> bool:
    return isinstance(state, list) and all(isinstance(each, int | float | str) for each in state)


def _are_facts(facts: dict[str, Any]) -> bool:
    return (
        all(isinstance(facts.get(name, ""), str) for name in _TEXTS)
        and all(_is_number(facts.get(name)) for name in _NUMBERS)
        and isinstance(facts.get("registered", False), bool)
        and ("matrix" not in facts or (_are_numbers(facts["matrix"], 3) and _has_shape(facts)))
        and ("landmarks" not in facts or _are_numbers(facts["landmarks"], 2))
    )


def _is_number(value: Any) -> bool:
    return value is None or (isinstance(value, int | float) and not isinstance(value, bool))


def _are_numbers(rows: Any, columns: int) -> bool:
    try:
        values = np.asarray(rows, np.float64)
    except (ValueError, TypeError, OverflowError):
        return False
    return values.ndim == 2 and values.shape[1] == columns and (columns != 3 or len(values) == 3)


def _has_shape(facts: dict[str, Any]) -> bool:
    shape = facts.get("native_shape")
    return (
        isinstance(shape, list)
        and len(shape) == 2
        and all(type(side) is int and side > 0 for side in shape)
        and shape[0] * shape[1] < _MOST_PIXELS
    )
