"""The long work of a viewer: it outlives the panel that started it, and ends with the window."""

from __future__ import annotations

from typing import Any
from weakref import WeakKeyDictionary, WeakMethod, ref

from napari.utils.task_status import Status
from qtpy.QtCore import QObject
from qtpy.QtWidgets import QMainWindow, QWidget

from napari_globalxai.widgets.jobs.workers import JobRunner
from napari_globalxai.widgets.session.closing import name_jobs_at_closing
from napari_globalxai.widgets.session.session import plain_viewer

EXPLAINING = "Explaining a cohort"
TESTING = "PEPPR"
ASKING = "A question to a run"
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
        if isinstance(parent, QWidget):
            tell_napari(parent, runner, name)
        known[name] = runner
    return known[name]


def tell_napari(widget: QWidget, runner: JobRunner, name: str) -> None:
    """Keep napari's list of tasks in step, from which its question is made.

    Parameters
    ----------
    widget : QWidget
        A part of napari's window, by the time that work starts.
    runner : JobRunner
        Runs the work, at most as long as the widget is there.
    name : str
        What the work is called.
    """
    tasks = _Tasks(widget, runner, name)
    _told.add(tasks)
    runner.started.connect(tasks.on_started)
    runner.finished.connect(tasks.on_finished)
    # Taken away with its widget, it tells no more.
    runner.destroyed.connect(tasks.on_destroyed)


class _Tasks:
    """What napari lists of a runner's work.

    A function of its own would be one that Python may have cleared by the time that it is called:
    both go in one search for cycles, which ends the process.
    """

    def __init__(self, widget: QWidget, runner: JobRunner, name: str) -> None:
        self._widget, self._cancel = ref(widget), WeakMethod(runner.cancel)
        self._name = name
        self._listed: list[tuple[Any, Any]] = []

    def stop(self) -> None:
        """Stop the work; napari may keep this for good."""
        if (cancel := self._cancel()) is not None:
            cancel()

    def on_started(self) -> None:
        """List it."""
        window = _window_of(self._widget())
        if window is not None:
            name_jobs_at_closing(window)
            task = window._window._register_task_status(
                _PROVIDER, Status.BUSY, f"{self._name} is under way", cancel_callback=self.stop
            )
            self._listed.append((ref(window._window), task))

    def on_finished(self) -> None:
        """Take it off the list."""
        while self._listed:
            there, task = self._listed.pop()
            if (window := there()) is not None:
                window._update_task_status(task, Status.COMPLETED)
                # napari keeps what is done as long as the window: each region that is measured.
                manager = getattr(window, "_task_status_manager", None)
                getattr(manager, "_tasks", {}).pop(task, None)

    def on_destroyed(self) -> None:
        """Take it off the list, and tell no more."""
        self.on_finished()
        _told.discard(self)


_told: set[_Tasks] = set()


def _window_of(widget: QWidget | None) -> Any:
    """Return the window of napari that a widget is a part of, docked or floating."""
    while widget is not None and not (
        isinstance(widget, QMainWindow) and hasattr(widget, "_window")
    ):
        widget = widget.parentWidget()
    return widget
