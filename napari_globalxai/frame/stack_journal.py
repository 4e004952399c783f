"""Lines of a stack's journal, which somebody may have changed: what is not whole counts as none."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import numpy as np

from napari_globalxai.frame.sources import FileState

_TEXTS = ("laterality", "laterality_source", "note", "registration_note")
_NUMBERS = ("side_confidence", "side_margin", "likeness_before", "likeness_after")
_MOST_PIXELS = 1 << 31


class StackNotes:
    """The latest line on each row of a stack, kept as texts and numbers alone.

    Of lines as they are read, each image would be a dozen objects. With many thousand images open,
    Python would walk through all of them whenever it looks for cycles, and a window stand still.

    Parameters
    ----------
    entries : iterable of dict
        Lines of the journal, oldest first.

    Attributes
    ----------
    errors, sources, contents : dict of int to str
        By row: why it could not be aligned, or nothing; the key of what it was made from; the
        SHA-256 of its file, or nothing.
    """

    def __init__(self, entries: Iterable[dict[str, Any]]) -> None:
        self.errors: dict[int, str] = {}
        self.sources: dict[int, str] = {}
        self.contents: dict[int, str] = {}
        self._states: dict[int, FileState | None] = {}
        self._facts: dict[int, str] = {}
        self.take(entries)

    def take(self, entries: Iterable[dict[str, Any]]) -> None:
        """Take lines that came later."""
        for entry in filter(is_whole, entries):
            row, state = entry["row"], entry.get("state")
            self.errors[row], self.sources[row] = entry["error"], entry["source"]
            self.contents[row] = entry.get("content", "")
            self._states[row] = None if state is None else tuple(state)
            self._facts[row] = json.dumps(entry.get("facts", {}))

    def entry(self, row: int) -> dict[str, Any]:
        """Return what is noted of a row, as a line says it."""
        return {
            "row": row,
            "error": self.errors[row],
            "source": self.sources[row],
            "content": self.contents[row],
            "state": self._states[row],
            "facts": json.loads(self._facts[row]),
        }

    def facts(self) -> Mapping[int, dict[str, Any]]:
        """Return how each image was aligned; of each, it is read whenever somebody asks."""
        return _ReadWhenAsked(self._facts)

    def states(self) -> Iterator[tuple[int, FileState]]:
        """Return rows whose file's state is known, and that state."""
        return ((row, state) for row, state in self._states.items() if state is not None)


class _ReadWhenAsked(Mapping[int, dict[str, Any]]):
    def __init__(self, texts: Mapping[int, str]) -> None:
        self._texts = texts

    def __getitem__(self, row: int) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self._texts[row])
        return found

    def __iter__(self) -> Iterator[int]:
        return iter(self._texts)

    def __len__(self) -> int:
        return len(self._texts)


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
