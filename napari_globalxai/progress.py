"""How long work tells of its progress, and how it is told to stop.

Every long function takes a plain callback. The command line prints it, the widgets turn it into a
progress bar, tests count it. To cancel, the callback raises `Cancelled`.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, replace


@dataclass(frozen=True)
class Progress:
    """One report of progress.

    Attributes
    ----------
    stage : str
        What is being done, in words for the user ("Aligning images").
    done, total : int
        Finished and planned units of work in this stage.
    remaining : float or None
        Seconds until all stages are done; None where nothing is known to estimate them from.
    """

    stage: str
    done: int
    total: int
    remaining: float | None = None


ProgressCallback = Callable[[Progress], None]


def ignore_progress(progress: Progress) -> None:
    """Do nothing: the default callback."""


_stop: ContextVar[Callable[[], None] | None] = ContextVar("stop", default=None)


@contextmanager
def stopped_by(check: Callable[[], None]) -> Iterator[None]:
    """Let work of this thread be stopped between its reports of progress, too.

    Parameters
    ----------
    check : callable
        Called wherever the work may stop; raises `Cancelled` where it is to.
    """
    token = _stop.set(check)
    try:
        yield
    finally:
        _stop.reset(token)


def may_stop_here() -> None:
    """Stop here if somebody wants it: for loops that know nothing of the progress of the whole."""
    check = _stop.get()
    if check is not None:
        check()


class JobProgress:
    """A callback that adds the remaining time of a whole job to what its stages report.

    Within a stage the pace since its start tells; stages to come are estimated from what the
    finished ones took, by their efforts.

    Parameters
    ----------
    callback : callable
        Receives what was reported, with the remaining time.
    efforts : mapping of str to float, optional
        How much work each stage is likely to be, on any common scale, in the order in which they
        come; names of stages may be given by their beginning. Stages that are not named count for
        themselves alone.
    """

    def __init__(
        self, callback: ProgressCallback, efforts: Mapping[str, float] | None = None
    ) -> None:
        self._callback = callback
        self._efforts = dict(efforts or {})
        self._to_come = dict(self._efforts)
        self._stage = ""
        self._began = time.monotonic()
        self._done_at_start = 0
        # Of finished stages that are named: seconds, and effort that was really spent.
        self._seconds = 0.0
        self._spent = 0.0
        self._last: Progress | None = None

    def __call__(self, progress: Progress) -> None:
        """Take a report of a stage, and pass it on."""
        now = time.monotonic()
        if progress.stage != self._stage:
            self._finish_stage(now)
            self._stage, self._began = progress.stage, now
            # A resumed stage starts with work that cost nothing now, so only the rest counts.
            self._done_at_start = progress.done
        self._last = progress
        self._callback(replace(progress, remaining=self._remaining(progress, now)))

    def _finish_stage(self, now: float) -> None:
        name = self._name(self._stage)
        if name is None or self._last is None:
            return
        self._to_come.pop(name, None)
        self._seconds += now - self._began
        self._spent += self._efforts[name] * self._share_of_work(self._last.done, self._last.total)

    def _remaining(self, progress: Progress, now: float) -> float | None:
        seconds, finished = now - self._began, progress.done - self._done_at_start
        if progress.done >= progress.total:
            here: float | None = 0.0
        else:
            here = seconds / finished * (progress.total - progress.done) if finished > 0 else None
        name = self._name(progress.stage)
        ahead = sum(effort for each, effort in self._to_come.items() if each != name)
        if name is None or (here is not None and not ahead):
            return here
        spent, took = self._spent, self._seconds
        if finished > 0:
            spent += self._efforts[name] * self._share_of_work(progress.done, progress.total)
            took += seconds
        if spent <= 0 or (here is None and self._spent <= 0):
            return None
        pace = took / spent
        rest = self._efforts[name] if here is None else 0.0
        return (here or 0.0) + pace * (ahead + rest)

    def _share_of_work(self, done: int, total: int) -> float:
        return (done - self._done_at_start) / total if total else 0.0

    def _name(self, stage: str) -> str | None:
        """Return the name under which a stage's effort is known."""
        return next((name for name in self._efforts if stage.startswith(name)), None)


def format_seconds(seconds: float) -> str:
    """Return a duration as a person would say it: ``45 s``, ``3 min 20 s``, ``2 h 5 min``."""
    whole = max(0, round(seconds))
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s"
    return f"{whole // 3600} h {whole % 3600 // 60} min"
