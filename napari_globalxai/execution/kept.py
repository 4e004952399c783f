"""What a worker keeps from one part to the next, such as a model: one thing, made once."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from threading import Lock, local
from typing import Any, TypeVar

T = TypeVar("T")


class Kept:
    """Keeps what was made last, and lends it to one part at a time.

    A cluster's workers may have several threads, but a split network has one state. They may also
    outlive a job, and the files that a value was made from may be others in the next one: a run
    that has got more images, a card that was mended. So nothing is kept from one job to another.
    """

    def __init__(self) -> None:
        self._lock = Lock()
        self._key: Any = None
        self._value: Any = None
        self._here = local()

    def begin(self, job: str) -> None:
        """Say to which job the part belongs that this thread works on from now on."""
        self._here.job = job

    @contextmanager
    def lend(self, key: Any, make: Callable[[], T]) -> Iterator[T]:
        """Give what belongs to a key in this job, made now unless it was the last asked for."""
        whole = getattr(self._here, "job", ""), key
        with self._lock:
            if self._key != whole or self._value is None:
                # What was there goes before the next comes: memory may not hold two models.
                self._key, self._value = None, None
                self._value = make()
                self._key = whole
            value: T = self._value
            yield value


IN_THIS_PROCESS = Kept()
