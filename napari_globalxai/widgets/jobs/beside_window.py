"""Work that the GUI thread has to wait for, done in a thread while its window goes on."""

from __future__ import annotations

from collections.abc import Callable
from threading import Thread, current_thread, main_thread

from qtpy.QtCore import QCoreApplication, QEventLoop, QObject, Signal  # type: ignore[attr-defined]

_LOOK_AWAY = QEventLoop.ProcessEventsFlag.ExcludeUserInputEvents


class _Done(QObject):
    told = Signal()


def beside_window(work: Callable[[], None]) -> None:
    """Do something in a thread, and return once it is done.

    The window paints and hears its timers meanwhile. Keys and clicks come afterwards, so that
    nobody starts the same twice.

    Parameters
    ----------
    work : callable
        Has no answer, and says by itself what goes wrong in it.
    """
    if QCoreApplication.instance() is None or current_thread() is not main_thread():
        work()
        return
    done, loop = _Done(), QEventLoop()
    done.told.connect(loop.quit)

    def go() -> None:
        try:
            work()
        finally:
            done.told.emit()

    thread = Thread(target=go, name="beside the window", daemon=True)
    thread.start()
    loop.exec(_LOOK_AWAY)
    # The application may be told to end meanwhile.
    thread.join()
