"""How long the GUI thread stands still."""

from __future__ import annotations

import time
from types import TracebackType

from qtpy.QtCore import QTimer

_INTERVAL = 5


class Heartbeat:
    """Measures the longest gap in the GUI thread while it is entered, and prints it.

    Attributes
    ----------
    longest : float
        In seconds of the clock; on a busy machine others' work counts.
    own : float
        The same in CPU time of the GUI thread itself, which others' work does not change.
    """

    def __init__(self, name: str) -> None:
        self.name = name
        self.longest = self.own = 0.0
        self._timer = QTimer()
        self._timer.setInterval(_INTERVAL)
        self._timer.timeout.connect(self._beat)

    def __enter__(self) -> Heartbeat:
        self._last, self._own = time.perf_counter(), time.thread_time()
        self._timer.start()
        return self

    def _beat(self) -> None:
        now, own = time.perf_counter(), time.thread_time()
        self.longest, self.own = max(self.longest, now - self._last), max(self.own, own - self._own)
        self._last, self._own = now, own

    def __exit__(
        self,
        kind: type[BaseException] | None,
        why: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._beat()
        self._timer.stop()
        print(
            f"longest gap while {self.name}: {1000 * self.longest:.0f} ms, of which the GUI thread "
            f"itself {1000 * self.own:.0f} ms"
        )
