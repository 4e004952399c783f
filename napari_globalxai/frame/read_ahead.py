"""Read the images of the next batch while this one is worked on."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from types import TracebackType

import numpy as np
import numpy.typing as npt

from napari_globalxai.frame.stack import AlignedStack


class ReadAhead:
    """Images of a stack in a known order, some read before they are asked for.

    Parameters
    ----------
    stack : AlignedStack
        The images.
    order : sequence of int
        Rows in the order in which they will be asked for.
    """

    def __init__(self, stack: AlignedStack, order: Sequence[int]) -> None:
        self._stack = stack
        self._order = list(order)
        self._place = {row: place for place, row in enumerate(self._order)}
        self._ready: dict[int, npt.NDArray[np.uint8]] = {}
        self._coming: tuple[list[int], Future[npt.NDArray[np.uint8]]] | None = None
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="read-ahead")

    def __enter__(self) -> ReadAhead:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._thread.shutdown(cancel_futures=True)

    def read(self, rows: Sequence[int]) -> npt.NDArray[np.uint8]:
        """Return images as `AlignedStack.read` does, and begin to read as many more."""
        if self._coming is not None:
            coming, images = self._coming
            self._coming = None
            self._ready.update(zip(coming, images.result(), strict=True))
        missing = [row for row in rows if row not in self._ready]
        if missing:
            self._ready.update(zip(missing, self._stack.read(missing), strict=True))
        found = np.stack([self._ready.pop(row) for row in rows])
        after = self._place[rows[-1]] + 1
        following = self._order[after : after + len(rows)]
        following = [row for row in following if row not in self._ready]
        if following:
            self._coming = following, self._thread.submit(self._stack.read, following)
        return found
