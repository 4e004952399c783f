"""What a worker keeps from one part to the next, such as a model: one thing, made once."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from threading import Lock
from typing import Any, TypeVar

T = TypeVar("T")


class Kept:
    """Keeps what was made last, and lends it to one part at a time.

    A cluster's workers may have several threads, but a split network has one state.
    """

    def __init__(self) -> None:
        self._lock = Lock()
        self._key: Any = None
        self._value: Any = None

    @contextmanager
    def lend(self, key: Any, make: Callable[[], T]) -> Iterator[T]:
        """Give what belongs to a key, made now unless it was the last that was asked for."""
        with self._lock:
            if self._key != key or self._value is None:
                # What was there goes before the next comes: memory may not hold two models.
                self._key, self._value = None, None
                self._value = make()
                self._key = key
            value: T = self._value
            yield value


IN_THIS_PROCESS = Kept()
