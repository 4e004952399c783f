"""How long work tells of its progress, and how it is told to stop.

Every long function takes a plain callback. The command line prints it, the widgets turn it into a
progress bar, tests count it. To cancel, the callback raises `Cancelled`.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True)
class Progress:
    """One report of progress.

    Attributes
    ----------
    stage : str
        What is being done, in words for the user ("Aligning images").
    done, total : int
        Finished and planned units of work in this stage.
    """

    stage: str
    done: int
    total: int


ProgressCallback = Callable[[Progress], None]


def ignore_progress(progress: Progress) -> None:
    """Do nothing: the default callback."""


class RemainingTime:
    """Estimate the remaining time of a stage from the pace since its start."""

    def __init__(self) -> None:
        self._stage = ""
        self._start = 0.0
        self._done_at_start = 0

    def seconds(self, progress: Progress) -> float | None:
        """Return the remaining seconds, or None while there is nothing to estimate from."""
        now = time.monotonic()
        if progress.stage != self._stage:
            self._stage, self._start, self._done_at_start = progress.stage, now, progress.done
        # A resumed stage starts with work that cost nothing now, so only the pace since counts.
        finished = progress.done - self._done_at_start
        if finished <= 0:
            return None
        return (now - self._start) / finished * (progress.total - progress.done)


def format_seconds(seconds: float) -> str:
    """Return a duration as a person would say it: ``45 s``, ``3 min 20 s``, ``2 h 5 min``."""
    whole = max(0, round(seconds))
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s"
    return f"{whole // 3600} h {whole % 3600 // 60} min"
