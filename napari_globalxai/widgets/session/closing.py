"""What napari asks at Ctrl+Q and Ctrl+W names the jobs that are under way.

Where the window manager closes the window, napari 0.9 lists them; at these keys and their entries
of the menu it does not, and where it is told not to ask, it ends jobs without a word.
"""

from __future__ import annotations

from typing import Any
from weakref import ref

from qtpy.QtWidgets import QDialog


def name_jobs_at_closing(window: Any) -> None:
    """Have the jobs of napari's list named before a person closes the window.

    Parameters
    ----------
    window : napari._qt.qt_main_window._QtMainWindow
        The window; once is enough.
    """
    if "close" in vars(window):
        return
    known, is_asked = ref(window), [False]

    def close(quit_app: bool = False, confirm_need: bool = False) -> Any:
        there = known()
        if there is None:
            return None
        jobs = _jobs_of(there, quit_app=quit_app) if confirm_need and not is_asked[0] else []
        if jobs:
            is_asked[0] = True
            is_wanted = _ask(there, jobs, quit_app=quit_app)
            is_asked[0] = False
            if not is_wanted:
                return None
        return type(there).close(there, quit_app=quit_app, confirm_need=confirm_need and not jobs)

    window.close = close


def _jobs_of(window: Any, *, quit_app: bool) -> list[str]:
    """Return what is under way, a sentence each; where napari ends, in its other windows, too."""
    windows = type(window)._instances if quit_app else [window]
    return [job for each in windows for job in each._window._task_status_manager.get_status()]


def _ask(window: Any, jobs: list[str], *, quit_app: bool) -> bool:
    from napari._qt.dialogs.confirm_close_dialog import ConfirmCloseDialog

    question = ConfirmCloseDialog(
        window, close_app=quit_app, extra_info="\n".join(jobs), display_checkbox=False
    )
    is_wanted = bool(question.exec_() == QDialog.DialogCode.Accepted)
    question.deleteLater()
    return is_wanted
