"""PEPPR along one map: curves, areas, controls, verdicts.

PEPPR comes from Engelmann et al. (arXiv 2112.09591); where that leaves a detail open, this is our
protocol.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from napari_globalxai.errors import InputError
from napari_globalxai.faithfulness.evaluation import ARMS, Course, Evaluation
from napari_globalxai.faithfulness.folds import SAME_IMAGES, FoldMap
from napari_globalxai.faithfulness.orders.control_steps import control_steps, early_steps
from napari_globalxai.faithfulness.orders.controls import Question, Trial, join_folds, run_controls
from napari_globalxai.faithfulness.orders.lattice import (
    FEWEST_POSITIONS,
    MOST_POSITIONS,
    choose_lattice,
)
from napari_globalxai.faithfulness.orders.map_orders import Order, order_by_map, step_counts
from napari_globalxai.faithfulness.orders.order_families import Ranking
from napari_globalxai.faithfulness.orders.refinement import refined_course
from napari_globalxai.faithfulness.orders.remade_maps import run_remade
from napari_globalxai.faithfulness.predictions.kept_predictions import ControlCache, predict_course
from napari_globalxai.faithfulness.result import CURVE_COLUMNS, PepprResult
from napari_globalxai.faithfulness.scores.summary import summarise
from napari_globalxai.faithfulness.targets import Targets
from napari_globalxai.faithfulness.verdict.reservations import reservations_on
from napari_globalxai.faithfulness.verdict.verdicts import Verdict, judge
from napari_globalxai.faithfulness.verdict.weighing import evidence_of, on_whom, what_it_rests_on
from napari_globalxai.progress import Progress, ProgressCallback, ignore_progress
from napari_globalxai.settings.peppr_settings import PepprSettings

ALONG = "Erasing and restoring"


def run_peppr(
    evaluation: Evaluation,
    map_name: str,
    image: npt.NDArray[np.floating],
    judged: Sequence[str],
    settings: PepprSettings,
    *,
    cache: Path,
    folds: Sequence[FoldMap] = (),
    evaluated_on: str = SAME_IMAGES,
    progress: ProgressCallback = ignore_progress,
) -> PepprResult:
    """Run PEPPR along a map.

    Parameters
    ----------
    evaluation : Evaluation
        Model, images, truth; with `fold_of` where the map is made anew for each fold.
    map_name : str
        Name of the map, for the result.
    image : numpy.ndarray
        The map, (*spatial).
    judged : sequence of str
        What gets a verdict: a label's own map is judged by that label, the overall map by
        `targets.MACRO`.
    settings : PepprSettings
        What was chosen.
    cache : pathlib.Path
        Folder for the predictions; simple orders are shared by all maps, and a run that was stopped
        goes on from here.
    folds : sequence of FoldMap, optional
        The map of each fold, made of the other folds' patients, and maps that it is compared with;
        by default the map itself for all images.
    evaluated_on : str, optional
        Whose images the map was made of, in words.
    progress : callable, optional
        May raise `Cancelled`.

    Returns
    -------
    PepprResult

    Raises
    ------
    InputError
        When the map does not fit the frame or no label can be evaluated.
    """
    parts = tuple(folds) or (FoldMap(image),)
    for part in parts:
        _check_map(evaluation, map_name, part.image)
    if len(parts) == 1 and evaluation.fold_of is not None:
        evaluation = replace(evaluation, fold_of=None)
    usable, left_out = _usable_labels(evaluation)
    targets = Targets.of(evaluation.classifier.labels, usable, judged, evaluation.together)
    question = Question(targets, tuple(judged), settings.adaptive, settings.judged_up_to)
    trial, lattice = _try_map(
        evaluation, map_name, image, parts, question, settings, cache, progress
    )
    areas: dict[str, dict[str, Any]] = {}
    rows: list[dict[str, Any]] = []
    for target in targets.names:
        areas[target], of_target = summarise(evaluation, target, trial, question, settings)
        rows += [{"map": map_name, "label": target, **row} for row in of_target]
    trial.remade.enter(areas, targets)
    reserved = reservations_on(evaluation, image, trial.course, usable, settings)
    reserved.enter(map_name, areas, rows)
    for label in (label for label in judged if label in left_out):
        areas[label] = left_out[label]
    outside = reserved.outside.share
    whom = on_whom(evaluation, evaluated_on, len(parts))
    probabilities = evaluation.classifier.probabilities
    return PepprResult(
        map_name=map_name,
        curves=pd.DataFrame(rows, columns=list(CURVE_COLUMNS)),
        areas=areas,
        # Those that can be measured first.
        verdict={
            target: _judge(values, target, trial, parts, outside, settings, whom)
            for target, values in areas.items()
            if target in judged
        },
        settings=what_it_rests_on(evaluation, trial, settings, left_out, lattice),
        shape=evaluation.stack.shape,
        order=order_by_map(_finite(image, evaluation), evaluation.valid, settings.seed),
        counts=trial.course.counts,
        fill=evaluation.fill,
        rows=evaluation.rows,
        labels=evaluation.classifier.labels,
        probabilities={
            arm: probabilities(trial.course.logits[arm]).astype(np.float32) for arm in ARMS
        },
        notes={**reserved.notes, **({"steps_placed": trial.placed} if trial.placed else {})},
        whole=probabilities(reserved.outside.logits).astype(np.float32),
        evaluated_on=evaluated_on,
        fold_orders=trial.course.order if trial.course.order.ndim == 2 else None,
        fold_of=evaluation.fold_of,
        folds=len(parts),
        mass_outside=outside,
    )


def _try_map(
    evaluation: Evaluation,
    map_name: str,
    image: npt.NDArray[np.floating],
    parts: Sequence[FoldMap],
    question: Question,
    settings: PepprSettings,
    cache: Path,
    progress: ProgressCallback,
) -> tuple[Trial, tuple[int, ...]]:
    """Predict along the map and along its controls."""
    valid, seed = evaluation.valid, settings.seed
    orders = [order_by_map(_finite(part.image, evaluation), valid, seed) for part in parts]

    def tick(done: int, total: int) -> None:
        progress(Progress(f"{ALONG} along {map_name}", done, total))

    course, placed, at_controls = _along_the_map(
        evaluation, join_folds(orders), question, settings, cache, tick
    )
    coarse = np.searchsorted(course.counts, at_controls)
    # No more positions than controls were asked for, or the shifts would not be exact.
    most = min(MOST_POSITIONS, max(FEWEST_POSITIONS, settings.controls + 1))
    lattice = choose_lattice(_finite(image, evaluation), valid, most=most)
    rankings = [
        Ranking(
            image=_finite(part.image, evaluation),
            valid=valid,
            order=order,
            images=evaluation.stack,
            rows=evaluation.rows,
            count=settings.controls,
            seed=seed,
            lattice=lattice,
        )
        for part, order in zip(parts, orders, strict=True)
    ]
    rivals = {
        name: [_finite(part.rivals[name], evaluation) for part in parts] for name in parts[0].rivals
    }
    early = coarse[early_steps(course.fractions[coarse], question.up_to)]
    judging = ControlCache(evaluation, course.at(early), cache)
    comparing = ControlCache(evaluation, course.at(coarse), cache)
    controls = run_controls(judging, comparing, rankings, rivals, question, progress)
    again = [
        join_folds([order_by_map(_finite(image, evaluation), valid, seed) for image in images])
        for images in zip(*(part.remade for part in parts), strict=True)
    ]
    remade = run_remade(comparing, again, progress)
    return Trial(course, coarse, early, controls, remade, placed), lattice


def _along_the_map(
    evaluation: Evaluation,
    order: Order,
    question: Question,
    settings: PepprSettings,
    cache: Path,
    tick: Callable[[int, int], None],
) -> tuple[Course, dict[str, Any], npt.NDArray[np.int64]]:
    """Predict along the map; return how its steps were placed, and those of its controls, too.

    Which steps controls are evaluated at must not depend on the map's own curve, or the map and
    its controls would not be exchangeable: they come of the fixed ones.
    """
    counts = step_counts(order.shape[-1], settings.steps)
    at_controls = counts[control_steps(counts, settings.control_steps)]
    if not settings.step_tolerance:
        return predict_course(evaluation, order, counts, cache, tick), {}, at_controls
    half = counts[np.argmin(np.abs(counts / counts[-1] - 0.5))]
    first = np.union1d(at_controls, half)
    course, placed = refined_course(
        evaluation,
        order,
        first,
        question,
        len(counts) - 1,
        settings.step_tolerance,
        cache,
        tick,
    )
    return course, placed.facts, at_controls


def _judge(
    areas: dict[str, Any],
    target: str,
    trial: Trial,
    parts: Sequence[FoldMap],
    outside: float,
    settings: PepprSettings,
    whom: str,
) -> Verdict:
    evidence = evidence_of(areas, target, trial.controls, tuple(parts[0].rivals), outside)
    return judge(evidence, settings.fewest_positives, whom)


def _finite(image: npt.NDArray[np.floating], evaluation: Evaluation) -> npt.NDArray[np.floating]:
    """Return a map whose values outside the valid area, which may be anything, are finite."""
    least = float(image[evaluation.valid].min())
    return np.where(np.isfinite(image), image, least)


def _check_map(evaluation: Evaluation, map_name: str, image: npt.NDArray[np.floating]) -> None:
    """Refuse a map that cannot be ranked."""
    shape = evaluation.stack.shape
    if image.shape != shape:
        own, due = (" × ".join(str(length) for length in each) for each in (image.shape, shape))
        raise InputError(f"The map {map_name} is {own} pixels, but the frame is {due}.")
    if not evaluation.valid.any():
        raise InputError(
            "No pixel lies in the field of view of enough images, so PEPPR has nothing to rank; "
            "lower valid_share."
        )
    if not np.isfinite(image[evaluation.valid]).all():
        raise InputError(f"The map {map_name} holds values that are not finite.")


def _usable_labels(evaluation: Evaluation) -> tuple[list[str], dict[str, dict[str, int]]]:
    """Labels with both classes, fixed for all steps; and the counts of those left out."""
    usable, left_out = [], {}
    owner = np.asarray(evaluation.patients)
    for index, label in enumerate(evaluation.classifier.labels):
        with_it, without = (evaluation.truth[:, index] == value for value in (1, 0))
        if with_it.any() and without.any():
            usable.append(label)
        else:
            left_out[label] = {
                "positives": int(with_it.sum()),
                "negatives": int(without.sum()),
                "patients_with": len(set(owner[with_it])),
                "patients_without": len(set(owner[without])),
            }
    if not usable:
        raise InputError(
            "No label has images with and without it, so PEPPR has nothing to measure; explain "
            "images of both kinds."
        )
    return usable, left_out
