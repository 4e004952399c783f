"""Long work beside the GUI thread, with progress, cancelling and a path for every failure."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Any

from napari.qt.threading import WorkerBase, WorkerBaseSignals
from napari.utils.notifications import notification_manager, show_error
from qtpy.QtCore import QObject, Signal  # type: ignore[attr-defined]

from napari_globalxai.errors import Cancelled, InputError, fault_of_the_system
from napari_globalxai.progress import Progress, ProgressCallback, stopped_by
from napari_globalxai.widgets.jobs.event_turns import TURNS
from napari_globalxai.widgets.jobs.warm_up import wait_until_warm
from napari_globalxai.widgets.words.panel_words import in_panel_words
from napari_globalxai.widgets.words.plain_labels import plain

Work = Callable[[ProgressCallback], Any]

_SECONDS_BETWEEN_REPORTS = 0.05


class _JobSignals(WorkerBaseSignals):  # type: ignore[misc]
    progressed = Signal(object)


class Job(WorkerBase):  # type: ignore[misc]
    """A function in a thread of its own.

    superqt's worker rather than napari's `thread_worker`: that one shows every warning of every
    library as a notification.

    Parameters
    ----------
    work : callable
        Takes a progress callback, which raises `Cancelled` once the job is asked to quit.
    """

    def __init__(self, work: Work) -> None:
        super().__init__(SignalsClass=_JobSignals)
        self._work: Work | None = work
        # What its runner's end is told to: Qt holds that weakly, and a runner may be collected.
        self.under_way: _UnderWay | None = None
        self._stop = threading.Event()
        self._stage = ""
        self._last = 0.0

    def run(self) -> None:
        """Run in the thread; called by Qt.

        When napari ends while the function runs, Qt takes the signals away; with nobody left to
        tell, what PyQt raises then would abort the process.
        """
        try:
            super().run()
        except RuntimeError as why:
            if "deleted" not in str(why):
                raise

    def quit(self) -> None:
        """Ask the function to stop at its next report of progress, or where else it may.

        superqt's own flag is left alone: with it set, a function that finishes at that very moment
        would tell nobody.
        """
        self._stop.set()

    def work(self) -> Any:
        """Run the function; called by the thread."""
        if self._work is None:
            raise RuntimeError("a job runs once")
        # Qt keeps the job until its runner goes; what the function holds may go now.
        work, self._work = self._work, None
        wait_until_warm()
        with stopped_by(self._check):
            return work(self._report)

    def _check(self) -> None:
        if self._stop.is_set():
            raise Cancelled

    def _report(self, progress: Progress) -> None:
        self._check()
        now = time.monotonic()
        due = now - self._last >= _SECONDS_BETWEEN_REPORTS or progress.done >= progress.total
        if due or progress.stage != self._stage:
            self._stage, self._last = progress.stage, now
            self.progressed.emit(progress)


class _UnderWay:
    """The job of a runner, which Qt may take away."""

    def __init__(self) -> None:
        self.job: Job | None = None
        self.is_gone = False

    def end(self) -> None:
        """Ask the job to quit: nobody is left to be told."""
        self.is_gone = True
        if self.job is not None:
            self.job.quit()


class JobRunner(QObject):
    """Runs one job at a time and tells how it went, in the GUI thread.

    Attributes
    ----------
    started, finished : Signal
        Around every job, whatever came of it.
    progressed : Signal
        A `Progress`.
    succeeded : Signal
        What the function returned.
    failed : Signal
        One sentence for the user; napari's notification says it too.
    cancelled : Signal
        The job was asked to quit and did.
    """

    started = Signal()
    progressed = Signal(object)
    succeeded = Signal(object)
    failed = Signal(str)
    cancelled = Signal()
    finished = Signal()

    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._under_way = _UnderWay()
        self._then: Callable[[Any], None] | None = None
        self._progress: Progress | None = None
        self._workers_shown = ""
        # A widget that is closed takes its job along; Qt drops the connections to one by itself.
        # Connected once: the connection of each job would stay as long as the runner.
        self.destroyed.connect(self._under_way.end)

    @property
    def is_running(self) -> bool:
        """Whether a job is under way."""
        return self._job is not None

    @property
    def _job(self) -> Job | None:
        return self._under_way.job

    @_job.setter
    def _job(self, job: Job | None) -> None:
        self._under_way.job = job

    @property
    def progress(self) -> Progress | None:
        """How far the job under way is, None before its first report."""
        return self._progress

    @property
    def workers_shown(self) -> str:
        """What the job under way said of where its workers are shown; empty without any."""
        return self._workers_shown

    def run(self, work: Work, then: Callable[[Any], None] | None = None) -> None:
        """Start a job; there must be none under way.

        Parameters
        ----------
        work : callable
            What runs in the thread.
        then : callable, optional
            Takes what it returned, in the GUI thread, before anybody is told: also where the panel
            that started the job has been closed meanwhile. What it leaves to `TURNS` is waited for.
        """
        if self._job is not None:
            raise RuntimeError("a job is under way")
        self._then, self._progress, self._workers_shown = then, None, ""
        job = Job(work)
        job.under_way = self._under_way
        job.progressed.connect(self._on_progressed)
        job.returned.connect(self._on_returned)
        job.errored.connect(self._on_errored)
        self._job = job
        self.started.emit()
        job.start()

    def cancel(self) -> None:
        """Ask the job to quit; it does so at its next report of progress."""
        if self._job is not None:
            self._job.quit()

    def _on_progressed(self, progress: Progress) -> None:
        if self._job is not None:
            self._progress = progress
            if "://" in progress.stage:
                self._workers_shown = progress.stage
            self.progressed.emit(progress)

    def _on_returned(self, result: Any) -> None:
        then, self._then = self._then, None
        try:
            if then is not None:
                then(result)
        except BaseException:
            self._job = None
            raise
        TURNS.after(lambda: self._tell(result))

    def _tell(self, result: Any) -> None:
        if self._under_way.is_gone:
            return
        self._job = None
        self.succeeded.emit(result)
        self.finished.emit()

    def _on_errored(self, why: Exception) -> None:
        self._job = self._then = None
        if isinstance(why, Cancelled):
            self.cancelled.emit()
        elif isinstance(why, InputError):
            sentence = in_panel_words(str(why))
            show_error(plain(sentence))
            self.failed.emit(sentence)
        elif isinstance(why, OSError) and (sentence := fault_of_the_system(why)):
            sentence = in_panel_words(sentence)
            show_error(plain(sentence))
            self.failed.emit(sentence)
        else:
            # With the traceback at hand: this is a defect, or the machine's (memory, disk).
            notification_manager.receive_error(type(why), why, why.__traceback__)
            self.failed.emit(f"{type(why).__name__}: {why}")
        self.finished.emit()


class LatestOnly(QObject):
    """Runs small jobs of which only the newest matters, such as reading the image in view.

    Attributes
    ----------
    ready : Signal
        The key of the newest request and what its function returned.
    failed : Signal
        One sentence for the user, where the newest request failed.
    """

    ready = Signal(object, object)
    failed = Signal(str)

    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._runner = JobRunner(self)
        self._key: Any = None
        self._next: tuple[Any, Callable[[], Any]] | None = None
        self._runner.succeeded.connect(self._on_succeeded)
        self._runner.failed.connect(self._on_failed)
        self._runner.finished.connect(self._on_finished)

    @property
    def is_running(self) -> bool:
        """Whether an answer is still to come."""
        return self._runner.is_running or self._next is not None

    def request(self, key: Any, work: Callable[[], Any]) -> None:
        """Ask for something; an older request that has not started is dropped."""
        self._next = (key, work)
        if not self._runner.is_running:
            self._start()

    def _start(self) -> None:
        if self._next is not None:
            (self._key, work), self._next = self._next, None
            self._runner.run(lambda progress: work())

    def _on_succeeded(self, result: Any) -> None:
        if self._next is None:
            self.ready.emit(self._key, result)

    def _on_failed(self, sentence: str) -> None:
        if self._next is None:
            self.failed.emit(sentence)

    def _on_finished(self) -> None:
        if not self._runner.is_running:
            self._start()
