"""Control orders, evaluated: without them a curve proves nothing."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from itertools import islice
from typing import Any

import numpy as np
import numpy.typing as npt

from napari_globalxai.ahead import made_ahead
from napari_globalxai.errors import InputError
from napari_globalxai.faithfulness.evaluation import Course, LogitsByArm
from napari_globalxai.faithfulness.orders.map_orders import Order, order_by_map
from napari_globalxai.faithfulness.orders.order_families import (
    OrderFamily,
    Ranking,
    family_look,
    order_families,
    positions_of,
)
from napari_globalxai.faithfulness.orders.remade_maps import RemadeMaps
from napari_globalxai.faithfulness.orders.sequential import Count, exceedances, lies_far
from napari_globalxai.faithfulness.predictions.kept_predictions import ControlCache
from napari_globalxai.faithfulness.predictions.watching import tell_control
from napari_globalxai.faithfulness.scores.auc_scores import FloatArray
from napari_globalxai.faithfulness.targets import Targets
from napari_globalxai.progress import Progress, ProgressCallback

COMPARING = "Testing simple orders"
# How many drawn controls are tested before p is looked at again.
_A_LOOK = 24


@dataclass(frozen=True)
class Controls:
    """Results of the control orders, on the control steps.

    Attributes
    ----------
    judged : dict of str to numpy.ndarray
        By family whose rank counts: ROC AUC (order, arm, step, label and pooled) of its orders, on
        the early steps.
    compared : dict of str to dict
        By family of one order, or rival map: logits by arm. A family that gave none is missing.
    counts : dict of str to dict of str to Count
        By judged family and target: how many orders did at least as well as the map.
    corrected : dict of str to dict of str to Count
        The same, over all labels that are judged on this map: orders that did as well for any.
    asked : dict of str to int
        By judged family: orders that a test that is not adaptive would have evaluated.
    """

    judged: dict[str, npt.NDArray[np.float64]] = field(default_factory=dict)
    compared: dict[str, LogitsByArm] = field(default_factory=dict)
    counts: dict[str, dict[str, Count]] = field(default_factory=dict)
    corrected: dict[str, dict[str, Count]] = field(default_factory=dict)
    asked: dict[str, int] = field(default_factory=dict)

    @property
    def fewest(self) -> int:
        """Orders of the judged family that was asked for the fewest."""
        return min(self.asked.values(), default=0)

    @property
    def tested(self) -> dict[str, int]:
        """Orders evaluated, by judged family."""
        return {name: len(curves) for name, curves in self.judged.items()}


@dataclass(frozen=True)
class Trial:
    """What was predicted along a map and along its controls.

    Attributes
    ----------
    course : Course
        Along the map.
    coarse : numpy.ndarray
        Which of its steps orders that it is compared with were evaluated at.
    early : numpy.ndarray
        Which of its steps those that it is judged by were evaluated at.
    controls : Controls
        Their results.
    remade : RemadeMaps
        What was measured along maps of half of the patients.
    placed : dict
        How the map's steps were placed; empty where they are fixed.
    """

    course: Course
    coarse: npt.NDArray[np.int64]
    early: npt.NDArray[np.int64]
    controls: Controls
    remade: RemadeMaps
    placed: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Question:
    """What the controls are to answer.

    Attributes
    ----------
    targets : Targets
        What can be measured.
    judged : tuple of str
        Those that get a verdict.
    adaptive : bool
        Whether controls stop as soon as no more of them can change the verdict.
    up_to : float
        Share of the pixels over which Δ of the map is held against that of its controls.
    """

    targets: Targets
    judged: tuple[str, ...]
    adaptive: bool
    up_to: float

    @property
    def places(self) -> list[int]:
        """Places of the judged targets among all."""
        return [place for place, name in enumerate(self.targets.names) if name in self.judged]

    @property
    def corrects(self) -> bool:
        """Whether several targets are judged on this one map, and p is corrected for that."""
        return len(self.places) > 1


def run_controls(
    judging: ControlCache,
    comparing: ControlCache,
    rankings: Sequence[Ranking],
    rivals: Mapping[str, Sequence[npt.NDArray[np.floating]]],
    question: Question,
    progress: ProgressCallback,
) -> Controls:
    """Evaluate the controls of one map, as many as the question needs.

    Parameters
    ----------
    judging : ControlCache
        Evaluates orders that the map is judged by, on the early steps, or remembers them.
    comparing : ControlCache
        Those that it is compared with, on all control steps.
    rankings : sequence of Ranking
        What orders are made from, one a fold.
    rivals : mapping of str to sequence of numpy.ndarray
        Maps that the map is compared with, by name, one a fold.
    question : Question
        What they are to answer.
    progress : callable
        May raise `Cancelled`.
    """
    families = order_families()
    controls = Controls()
    own = judging.evaluation.roc_auc_curves(judging.own.logits)
    # Families that can be enumerated are the cheaper ones, and may settle it.
    judged = [name for name, family in families.items() if family.judged]
    judged.sort(key=lambda name: positions_of(families[name], rankings[0]) is None)
    for name in judged:
        _judge_by(name, families[name], judging, rankings, question, controls, own, progress)
    compared = [name for name, family in families.items() if not family.judged]
    total = len(compared) + len(rivals)
    for number, name in enumerate([*compared, *rivals]):
        report = Progress(COMPARING, number, total)
        progress(report)
        order = (
            _order_of_maps(rivals[name], rankings)
            if name in rivals
            else next(_orders(name, families[name], rankings), None)
        )
        if order is not None:

            def stop(done: int, total: int, report: Progress = report) -> None:
                # Of a large cohort, an order takes minutes.
                progress(report)

            controls.compared[name] = comparing.logits(order, stop)
    progress(Progress(COMPARING, total, total))
    return controls


def stage_of(name: str) -> str:
    """Return what testing a judged family is called while it goes on."""
    return f"Testing {family_look(name).within}"


def _judge_by(
    name: str,
    family: OrderFamily,
    cache: ControlCache,
    rankings: Sequence[Ranking],
    question: Question,
    controls: Controls,
    own: FloatArray,
    progress: ProgressCallback,
) -> None:
    """Evaluate orders of a judged family until its part of the question is answered."""
    stage, positions = stage_of(name), positions_of(family, rankings[0])
    asked = rankings[0].count if positions is None else min(positions, rankings[0].count)
    curves: list[FloatArray] = []

    def count() -> tuple[dict[str, Count], dict[str, Count]]:
        every = np.stack(curves) if curves else np.empty((0, *own.shape))
        return _count(every, own, cache, question, positions)

    def is_settled() -> bool:
        return question.adaptive and _is_settled(count(), controls, question)

    # What is certain is seen at once; drawn ones are looked at now and then.
    a_look = _A_LOOK if positions is None else 1

    def stop(done: int, total: int) -> None:
        progress(Progress(stage, len(curves), asked))

    with closing(_curves(cache, islice(_orders(name, family, rankings), asked), stop)) as found:
        while len(curves) < asked and (len(curves) % a_look or not is_settled()):
            curve = next(found, None)
            if curve is None:
                # A family may have fewer orders than were asked for.
                asked = len(curves)
                break
            curves.append(curve)
            tell_control(name, cache.own.fractions, curve)
            progress(Progress(stage, len(curves), asked))
    controls.judged[name] = np.stack(curves) if curves else np.empty((0, *own.shape))
    controls.asked[name] = asked
    controls.counts[name], controls.corrected[name] = count()
    if curves:
        progress(Progress(stage, len(curves), len(curves)))


def _curves(
    cache: ControlCache, orders: Iterator[Order], tick: Callable[[int, int], None]
) -> Generator[FloatArray, None, None]:
    """Give the curves of orders, of which as many are drawn at once as there is use for."""
    if cache.evaluation.classifier.device.type != "cpu":
        # The processor would wait for the device meanwhile.
        orders = made_ahead(orders)
    while some := list(islice(orders, cache.evaluation.orders_ahead)):
        with closing(cache.roc_auc_curves(some, tick)) as found:
            yield from found


def _count(
    curves: FloatArray,
    own: FloatArray,
    cache: ControlCache,
    question: Question,
    positions: int | None,
) -> tuple[dict[str, Count], dict[str, Count]]:
    """Count by target the orders that did at least as well, raw and corrected."""
    targets, fractions = question.targets, cache.own.fractions
    of_map = targets.deltas(own, fractions, question.up_to)
    of_controls = targets.deltas(curves, fractions, question.up_to)

    def counts(places: list[int], *, together: bool) -> dict[str, Count]:
        reached = exceedances(of_map[places], of_controls[:, places], together=together)
        drawn_alone = positions is None and not together
        return {
            targets.names[place]: Count(
                int(number),
                len(curves),
                positions,
                drawn_alone and lies_far(of_map[place], of_controls[:, place]),
            )
            for place, number in zip(places, reached, strict=True)
        }

    everything = list(range(len(targets.names)))
    corrected = counts(question.places, together=True) if question.corrects else {}
    return counts(everything, together=False), corrected


def _is_settled(
    found: tuple[dict[str, Count], dict[str, Count]], controls: Controls, question: Question
) -> bool:
    """Tell whether more orders of a family cannot change what is said of any judged target."""
    deciding = found[1] if question.corrects else found[0]
    before = controls.corrected if question.corrects else controls.counts
    for name in question.judged:
        if name not in deciding:
            continue
        refuted = any(counts[name].decision is False for counts in before.values())
        if found[0][name].every is None:
            settled = deciding[name].decision is not None
        else:
            # Of orders that can be enumerated all are tested before a map passes. What does as well
            # for one label does so for all together, too; the reverse is known once all are there.
            settled = found[0][name].decision is False
        if not (refuted or settled):
            return False
    return True


def _orders(name: str, family: OrderFamily, rankings: Sequence[Ranking]) -> Iterator[Order]:
    """Give orders of a family; with several folds, one a fold: (fold, pixel)."""
    for parts in zip(*(family.orders(ranking) for ranking in rankings), strict=False):
        checked = [
            _checked(name, order, ranking) for order, ranking in zip(parts, rankings, strict=True)
        ]
        yield join_folds(checked)


def _order_of_maps(
    images: Sequence[npt.NDArray[np.floating]], rankings: Sequence[Ranking]
) -> Order:
    """Return the order of a rival's maps, one a fold."""
    return join_folds(
        [
            order_by_map(image, ranking.valid, ranking.seed)
            for image, ranking in zip(images, rankings, strict=True)
        ]
    )


def join_folds(orders: Sequence[Order]) -> Order:
    """Return one order where all folds have the same, else (fold, pixel)."""
    if all(np.array_equal(order, orders[0]) for order in orders):
        return orders[0]
    return np.stack(orders)


def _checked(name: str, order: Order, ranking: Ranking) -> Order:
    valid = ranking.valid.ravel()
    seen = np.zeros(valid.size, bool)
    within = order.size == valid.sum() and (order >= 0).all() and (order < valid.size).all()
    if within:
        seen[order] = True
    if not (within and np.array_equal(seen, valid)):
        raise InputError(
            f"The family of orders {name!r} gave an order that does not hold every valid pixel "
            "once; mend the package that offers it, or remove it."
        )
    return order
