"""Curves of PEPPR while they are predicted, for who looks on."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Protocol

import numpy as np
import numpy.typing as npt

from napari_globalxai.faithfulness.evaluation import Evaluation, LogitsByArm
from napari_globalxai.faithfulness.scores.auc_scores import FloatArray


class Watcher(Protocol):
    """Looks on; called in the thread that predicts, which it must not hold up."""

    def on_map(self, name: str) -> None:
        """Take that what is told from now on is of another map, where several are compared."""

    def on_course(self, evaluation: Evaluation, fractions: FloatArray, logits: LogitsByArm) -> None:
        """Take what is predicted along the map so far.

        Parameters
        ----------
        evaluation : Evaluation
            What is evaluated.
        fractions : numpy.ndarray
            Fraction of the valid pixels at each step so far.
        logits : dict of str to numpy.ndarray
            By arm: (step, image, label).
        """

    def on_control(self, family: str, fractions: FloatArray, curves: FloatArray) -> None:
        """Take the curves of one more control.

        Parameters
        ----------
        family : str
            Its family.
        fractions : numpy.ndarray
            Fraction of the valid pixels at each step.
        curves : numpy.ndarray
            ROC AUC (arm, step, label and pooled).
        """


_watcher: ContextVar[Watcher | None] = ContextVar("watcher", default=None)


@contextmanager
def watched_by(watcher: Watcher) -> Iterator[None]:
    """Let somebody look on while this thread runs PEPPR."""
    token = _watcher.set(watcher)
    try:
        yield
    finally:
        _watcher.reset(token)


def tell_map(name: str) -> None:
    """Tell who looks on that another map begins."""
    watcher = _watcher.get()
    if watcher is not None:
        watcher.on_map(name)


def tell_course(
    evaluation: Evaluation,
    counts: npt.NDArray[np.int64],
    pixels: int,
    logits: LogitsByArm,
) -> None:
    """Tell who looks on of predictions along the map."""
    watcher = _watcher.get()
    if watcher is not None:
        watcher.on_course(evaluation, counts / pixels, logits)


def tell_control(family: str, fractions: FloatArray, curves: FloatArray) -> None:
    """Tell who looks on of a control."""
    watcher = _watcher.get()
    if watcher is not None:
        watcher.on_control(family, fractions, curves)
