"""How much is decoded at one time: several small pictures together, a huge one alone."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from threading import Condition

# In bytes. Four photographs of 30 megapixels fit; pictures that claim more than this wait for all
# others to end, so that a file of some kilobytes cannot take the memory several times.
MOST_AT_ONCE = 3 << 30
# What any image of a cohort may be taken to need: where this is not to be had, it is not an image's
# fault that it could not be read.
_LEAST_FREE = 256 << 20


class MemoryBudget:
    """Lets threads in as long as what they will need together stays below a limit.

    They come in by turns: a huge picture is not passed by small ones for ever. A thread holds one
    share at a time, so that none waits for another that waits for it.

    Parameters
    ----------
    most : int
        Bytes; a single share may be larger, and is then held alone.
    """

    def __init__(self, most: int) -> None:
        self.most = most
        self._used = 0
        self._turns: deque[object] = deque()
        self._changed = Condition()

    @contextmanager
    def hold(self, size: int) -> Iterator[None]:
        """Wait until `size` bytes may be used, and use them in the block."""
        turn = object()
        with self._changed:
            self._turns.append(turn)
            try:
                self._changed.wait_for(lambda: self._turns[0] is turn and self._fits(size))
            finally:
                self._turns.remove(turn)
                self._changed.notify_all()
            self._used += size
        try:
            yield
        finally:
            with self._changed:
                self._used -= size
                self._changed.notify_all()

    def _fits(self, size: int) -> bool:
        return not self._used or self._used + size <= self.most


def is_memory_short() -> bool:
    """Return whether there is too little memory for any image, not for one that wants too much."""
    try:
        # Asked for and not touched, which takes no time.
        bytearray(_LEAST_FREE)
    except MemoryError:
        return True
    return False


DECODING = MemoryBudget(MOST_AT_ONCE)
"""What all readers of this process share."""
