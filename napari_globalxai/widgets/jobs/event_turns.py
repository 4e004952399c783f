"""What takes the GUI thread long, a piece in each turn of its event loop.

A new layer costs napari a tenth of a second; several at once are a window that stands still.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable

from qtpy.QtCore import QTimer

Piece = Callable[[], None]
# With none, Qt takes the next piece before it paints, hears keys or looks at any timer.
_MILLISECONDS = 5


class Turns:
    """Pieces of work in the order in which they came; to be used in the GUI thread."""

    def __init__(self) -> None:
        self._waiting: deque[Piece] = deque()

    @property
    def is_idle(self) -> bool:
        """Whether nothing waits."""
        return not self._waiting

    def add(self, piece: Piece) -> None:
        """Do something in a turn of its own."""
        self._waiting.append(piece)
        if len(self._waiting) == 1:
            # Once what goes on now is done; else the time would be over by then.
            QTimer.singleShot(0, self._wait)

    def go_on(self, piece: Piece) -> None:
        """Do the rest of what is done now in the next turn, before all that waits."""
        self._waiting.insert(1, piece)

    def after(self, piece: Piece) -> None:
        """Do something once nothing else waits: now, if nothing does."""
        if self.is_idle:
            piece()
        else:
            self.add(piece)

    def _wait(self) -> None:
        QTimer.singleShot(_MILLISECONDS, self._let_draw)

    def _let_draw(self) -> None:
        # What other timers that are over asked to be drawn, Qt draws before it looks at the next;
        # of a timer without any time, it does not.
        QTimer.singleShot(1, self._take)

    def _take(self) -> None:
        try:
            self._waiting[0]()
        finally:
            self._waiting.popleft()
            if self._waiting:
                self._wait()


TURNS = Turns()
