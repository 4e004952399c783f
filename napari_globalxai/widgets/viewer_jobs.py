"""The long work of a viewer: it outlives the panel that started it, and ends with the window."""

from __future__ import annotations

from typing import Any
from weakref import WeakKeyDictionary, ref

from napari.utils.task_status import Status
from qtpy.QtCore import QObject

from napari_globalxai.widgets.session import plain_viewer
from napari_globalxai.widgets.workers import JobRunner

EXPLAINING = "Explaining a cohort"
TESTING = "PEPPR"
_PROVIDER = "Global XAI"
_runners: WeakKeyDictionary[Any, dict[str, JobRunner]] = WeakKeyDictionary()


def runner_of(viewer: Any, name: str) -> JobRunner:
    """Return what runs one kind of work in a viewer.

    A panel that is closed leaves its job running; one that is opened again finds it. napari asks
    before it closes a window with a job under way, and the window takes the job along.

    Parameters
    ----------
    viewer : napari.Viewer
        The viewer.
    name : str
        What the work is called in napari's question.
    """
    plain = plain_viewer(viewer)
    known = _runners.setdefault(plain, {})
    if name not in known:
        window = getattr(plain, "window", None)
        parent = getattr(window, "_qt_window", None)
        runner = JobRunner(parent if isinstance(parent, QObject) else None)
        if window is not None:
            _tell_napari(window, runner, name)
        known[name] = runner
    return known[name]


def _tell_napari(window: Any, runner: JobRunner, name: str) -> None:
    """Keep napari's list of tasks in step, from which its question is made."""
    known = ref(window)
    tasks: list[Any] = []

    def on_started() -> None:
        there = known()
        if there is not None:
            tasks.append(
                there._register_task_status(
                    _PROVIDER, Status.BUSY, f"{name} is under way", cancel_callback=runner.cancel
                )
            )

    def on_finished() -> None:
        there = known()
        while tasks and there is not None:
            there._update_task_status(tasks.pop(), Status.COMPLETED)

    runner.started.connect(on_started)
    runner.finished.connect(on_finished)
