"""Steps placed where a map's curves bend: a coarse pass, then halves of what bends most."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.optimize import isotonic_regression

from napari_globalxai.faithfulness.evaluation import ARMS, Course, Evaluation
from napari_globalxai.faithfulness.orders.controls import Question
from napari_globalxai.faithfulness.orders.map_orders import Order
from napari_globalxai.faithfulness.predictions.kept_predictions import predict_course
from napari_globalxai.faithfulness.scores.auc_scores import FloatArray
from napari_globalxai.faithfulness.scores.crossings import crossing
from napari_globalxai.faithfulness.verdict.verdicts import NECESSARY_SHARE, SUFFICIENT_SHARE

# One more step may lie where nothing happens, and a round seem to change nothing.
_LEAST_A_ROUND = 2
Counts = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Bending:
    """A curve whose area counts, and the fraction at which it crosses a level.

    Attributes
    ----------
    values : numpy.ndarray
        The curve at the steps so far.
    level : float
        What is to be crossed; NaN where nothing is.
    rises : bool
        Whether it crosses from below.
    """

    values: FloatArray
    level: float
    rises: bool


def area_errors(fractions: FloatArray, values: FloatArray) -> FloatArray:
    """Return how far the trapezoid rule may be off between each two steps.

    It is off by the second derivative times h³ / 12; that is taken from the second differences at
    both ends, the larger of the two. Where a curve never turns, it is off by no more than half of
    the rectangle that the two steps span, which bounds it.

    Parameters
    ----------
    fractions : numpy.ndarray
        Fractions of the steps, rising.
    values : numpy.ndarray
        The curve.
    """
    widths, gains = np.diff(fractions), np.diff(values)
    most = np.abs(gains) * widths / 2
    if len(values) < 3:
        return np.asarray(most)
    bends = np.abs(np.diff(gains / widths)) / (widths[:-1] + widths[1:]) * 2
    bends = np.concatenate([bends[:1], bends, bends[-1:]])
    curved = np.maximum(bends[:-1], bends[1:]) * widths**3 / 12
    return np.asarray(np.minimum(curved, most))


def crossing_errors(fractions: FloatArray, curve: Bending) -> FloatArray:
    """Return how far the crossing may be off, at the two steps that it lies between; else 0.

    It is off by what the curve strays from a straight line there, over its slope, and by no more
    than from the one step to the other.

    Parameters
    ----------
    fractions : numpy.ndarray
        Fractions of the steps, rising.
    curve : Bending
        The curve and its level.
    """
    found = np.zeros(len(fractions) - 1)
    if not (np.isfinite(curve.level) and np.isfinite(curve.values).all()):
        return found
    sign = 1.0 if curve.rises else -1.0
    rising = isotonic_regression(sign * curve.values).x
    reached = np.flatnonzero(rising >= sign * curve.level - 1e-9)
    if not len(reached) or reached[0] == 0:
        return found
    place = int(reached[0]) - 1
    width = float(np.diff(fractions)[place])
    strays = area_errors(fractions, curve.values)[place] * 1.5 / width
    slope = abs(float(rising[place + 1] - rising[place])) / width
    found[place] = min(strays / slope, width)
    return found


@dataclass(frozen=True)
class Placement:
    """How the steps of a map came about.

    Attributes
    ----------
    counts : numpy.ndarray
        Pixels at each step, rising.
    rounds : tuple of numpy.ndarray
        The steps that each round added, the coarse pass first.
    area_error, fraction_error : float
        How far Δ, and the fractions at which curves cross their levels, are off by estimate.
    is_settled : bool
        Whether both are within the tolerance, and the last round moved them by no more.
    """

    counts: Counts
    rounds: tuple[Counts, ...]
    area_error: float
    fraction_error: float
    is_settled: bool

    @property
    def facts(self) -> dict[str, Any]:
        """What the result says of it."""
        return {
            "rounds": [(added / self.counts[-1]).tolist() for added in self.rounds],
            "area_error": self.area_error,
            "fraction_error": self.fraction_error,
            "settled": self.is_settled,
        }


def place_steps(
    first: Counts,
    curves_at: Callable[[Counts], Sequence[Sequence[Bending]]],
    most: int,
    tolerance: float,
) -> Placement:
    """Halve the widths between steps where curves bend, round by round, until they are settled.

    What comes out depends on the curves alone, so that a stopped run goes on to the same steps.

    Parameters
    ----------
    first : numpy.ndarray
        Steps of the coarse pass, ends included.
    curves_at : callable
        Gives the curves at steps, those that make up one area together.
    most : int
        Steps, beside the first end, at most.
    tolerance : float
        How far an area and a crossing may be off.
    """
    counts = first
    rounds: tuple[Counts, ...] = (first,)
    before: _State | None = None
    while True:
        state = _State.of(counts / counts[-1], curves_at(counts))
        moved = np.inf if before is None else state.moved_since(before)
        worst = max(float(state.areas.sum()), float(state.crossings.max()), moved)
        chosen = state.to_halve(np.diff(counts) > 1, most + 1 - len(counts), tolerance)
        if worst <= tolerance or not len(chosen):
            return Placement(
                counts,
                rounds,
                float(state.areas.sum()),
                float(state.crossings.max()),
                worst <= tolerance,
            )
        added = (counts[chosen] + counts[chosen + 1]) // 2
        counts, before = np.union1d(counts, added), state
        rounds = (*rounds, added)


@dataclass(frozen=True)
class _State:
    """What is known of curves at the steps so far, the worst of them between each two steps."""

    areas: FloatArray
    crossings: FloatArray
    found: FloatArray

    @classmethod
    def of(cls, fractions: FloatArray, groups: Sequence[Sequence[Bending]]) -> _State:
        areas = [
            np.sum([area_errors(fractions, each.values) for each in group], axis=0)
            for group in groups
        ]
        curves = [each for group in groups for each in group]
        found = [np.trapezoid(each.values, fractions) for each in curves]
        return cls(
            np.max(areas, axis=0),
            np.max([crossing_errors(fractions, each) for each in curves], axis=0),
            np.array([*found, *(_crosses(fractions, each) for each in curves)]),
        )

    def moved_since(self, before: _State) -> float:
        """Return by how much an area or a crossing has moved, the most of all."""
        moved = np.abs(self.found - before.found)
        return float(np.nan_to_num(moved).max())

    def to_halve(
        self, can_be: npt.NDArray[np.bool_], room: int, tolerance: float
    ) -> npt.NDArray[np.int64]:
        """Return between which steps another one is worth most, so many as the area needs."""
        crossings = np.where(self.crossings > tolerance, self.crossings, 0.0)
        worth = np.where(can_be, np.maximum(self.areas, crossings), -1.0)
        left = float(self.areas.sum())
        chosen: list[int] = []
        for place in np.argsort(-worth, kind="stable")[: max(room, 0)]:
            enough = len(chosen) >= _LEAST_A_ROUND and left <= tolerance / 2
            if not can_be[place] or (enough and not crossings[place]):
                break
            chosen.append(int(place))
            # Each of two halves is off by an eighth of it.
            left -= 0.75 * float(self.areas[place])
        return np.array(chosen, np.int64)


def _crosses(fractions: FloatArray, curve: Bending) -> float:
    sign = 1.0 if curve.rises else -1.0
    return crossing(fractions, sign * curve.values, sign * curve.level)


def refined_course(
    evaluation: Evaluation,
    order: Order,
    first: Counts,
    question: Question,
    most: int,
    tolerance: float,
    folder: Path,
    tick: Callable[[int, int], None],
) -> tuple[Course, Placement]:
    """Predict along an order at steps that are placed where the judged curves bend.

    Parameters
    ----------
    evaluation : Evaluation
        What is evaluated.
    order : numpy.ndarray
        The order, or one a fold.
    first : numpy.ndarray
        Pixels at the steps of the coarse pass.
    question : Question
        What is judged, or, where nothing of it can be measured, all that can.
    most, tolerance
        As for `place_steps`.
    folder : pathlib.Path
        Where predictions are kept, see `predict_course`.
    tick : callable
        Called with the number of finished and planned steps.
    """
    known: dict[int, dict[str, npt.NDArray[np.float32]]] = {}
    targets = question.targets
    places = question.places or list(range(len(targets.names)))

    def predict(counts: Counts) -> Course:
        missing = np.array([count for count in counts if int(count) not in known], np.int64)
        if len(missing):
            before, total = len(known), max(most + 1, len(counts))

            def within(done: int, here: int) -> None:
                tick(before + done, total)

            part = predict_course(evaluation, order, missing, folder, within)
            for index, count in enumerate(missing):
                known[int(count)] = {arm: part.logits[arm][index] for arm in ARMS}
        logits = {arm: np.stack([known[int(count)][arm] for count in counts]) for arm in ARMS}
        return Course(order, counts, logits)

    def curves_at(counts: Counts) -> list[list[Bending]]:
        every = targets.curves(evaluation.roc_auc_curves(predict(counts).logits))
        return [_judged_curves(*every[..., place]) for place in places]

    placed = place_steps(first, curves_at, most, tolerance)
    tick(1, 1)
    return predict(placed.counts), placed


def _judged_curves(erase: FloatArray, restore: FloatArray) -> list[Bending]:
    """Return both curves of a target, with the levels of necessary and sufficient fraction."""
    above = float(erase[0]) - 0.5 if erase[0] > 0.5 else float("nan")
    return [
        Bending(erase, 0.5 + (1 - NECESSARY_SHARE) * above, rises=False),
        Bending(restore, 0.5 + SUFFICIENT_SHARE * above, rises=True),
    ]
