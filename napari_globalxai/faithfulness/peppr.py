"""PEPPR along one map: curves, areas, controls, verdicts.

PEPPR comes from Engelmann et al. (arXiv 2112.09591); where that leaves a detail open, this is our
protocol.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from napari_globalxai.errors import InputError
from napari_globalxai.faithfulness.controls import Controls, Trial, run_controls
from napari_globalxai.faithfulness.evaluation import ARMS, ControlCache, Course, Evaluation
from napari_globalxai.faithfulness.order_families import Ranking
from napari_globalxai.faithfulness.orders import order_by_map, step_counts
from napari_globalxai.faithfulness.reservations import reservations_on
from napari_globalxai.faithfulness.result import CURVE_COLUMNS, PepprResult
from napari_globalxai.faithfulness.summary import summarise_label
from napari_globalxai.faithfulness.verdict import Evidence, judge
from napari_globalxai.progress import Progress, ProgressCallback, ignore_progress
from napari_globalxai.settings.peppr_settings import PepprSettings


def run_peppr(
    evaluation: Evaluation,
    map_name: str,
    image: npt.NDArray[np.floating],
    judged: Sequence[str],
    settings: PepprSettings,
    *,
    cache: Path,
    progress: ProgressCallback = ignore_progress,
) -> PepprResult:
    """Run PEPPR along a map.

    Parameters
    ----------
    evaluation : Evaluation
        Model, images, truth.
    map_name : str
        Name of the map, for the result.
    image : numpy.ndarray
        The map, (*spatial).
    judged : sequence of str
        Labels that get a verdict: a label's own map is judged by that label.
    settings : PepprSettings
        What was chosen.
    cache : pathlib.Path
        Folder for the scores of controls; random orders are shared by all maps, and a run that was
        stopped goes on from here.
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
    _check_map(evaluation, map_name, image)
    usable, left_out = _usable_labels(evaluation)
    trial = _try_map(evaluation, map_name, image, settings, cache, progress)
    areas: dict[str, dict[str, Any]] = {}
    rows: list[dict[str, Any]] = []
    for label in usable:
        areas[label], of_label = summarise_label(evaluation, label, trial, settings)
        rows += [{"map": map_name, "label": label, **row} for row in of_label]
    reserved = reservations_on(evaluation, image, trial.course, usable, settings)
    reserved.enter(map_name, areas, rows)
    for label in (label for label in judged if label in left_out):
        areas[label] = dict(zip(("positives", "negatives"), left_out[label], strict=True))
    probabilities = evaluation.classifier.probabilities
    return PepprResult(
        map_name=map_name,
        curves=pd.DataFrame(rows, columns=list(CURVE_COLUMNS)),
        areas=areas,
        # Those that can be measured first.
        verdict={
            label: judge(_evidence(values, trial.controls), settings.fewest_positives)
            for label, values in areas.items()
            if label in judged
        },
        settings=_what_it_rests_on(evaluation, trial.course, settings, left_out),
        shape=evaluation.stack.shape,
        order=trial.course.order,
        counts=trial.course.counts,
        fill=evaluation.fill,
        rows=evaluation.rows,
        labels=evaluation.classifier.labels,
        probabilities={
            arm: probabilities(trial.course.logits[arm]).astype(np.float32) for arm in ARMS
        },
        notes=reserved.notes,
        whole=probabilities(reserved.outside.logits).astype(np.float32),
    )


def _try_map(
    evaluation: Evaluation,
    map_name: str,
    image: npt.NDArray[np.floating],
    settings: PepprSettings,
    cache: Path,
    progress: ProgressCallback,
) -> Trial:
    """Predict along the map and along its controls."""
    order = order_by_map(image, evaluation.valid, settings.seed)

    def tick(done: int, total: int) -> None:
        progress(Progress(f"Erasing and restoring along {map_name}", done, total))

    course = evaluation.course(order, step_counts(len(order), settings.steps), tick)
    coarse = _symmetric_subset(len(course.counts), settings.control_steps)
    ranking = Ranking(
        image=image,
        valid=evaluation.valid,
        order=order,
        images=evaluation.stack,
        rows=evaluation.rows,
        count=settings.controls,
        seed=settings.seed,
    )
    controls = run_controls(ControlCache(evaluation, course.at(coarse), cache), ranking, progress)
    return Trial(course, coarse, controls)


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


def _evidence(areas: dict[str, Any], controls: Controls) -> Evidence:
    """Return what a label is judged by, of its areas."""
    if "delta" not in areas:
        return Evidence(areas["positives"], areas["negatives"])
    return Evidence(
        positives=areas["positives"],
        negatives=areas["negatives"],
        intact_low=areas["intact_auc_ci"][0],
        delta=areas["delta"],
        delta_low=areas["delta_ci"][0],
        p_values=areas["p_values"],
        controls=controls.fewest,
    )


def _what_it_rests_on(
    evaluation: Evaluation,
    course: Course,
    settings: PepprSettings,
    left_out: dict[str, tuple[int, int]],
) -> dict[str, Any]:
    return {
        **settings.model_dump(),
        "images": len(evaluation.rows),
        "patients": len(set(evaluation.patients)),
        "valid_pixels": len(course.order),
        "left_out": {
            label: f"{n_with} images with and {n_without} without it"
            for label, (n_with, n_without) in left_out.items()
        },
    }


def _usable_labels(evaluation: Evaluation) -> tuple[list[str], dict[str, tuple[int, int]]]:
    """Labels with both classes, fixed for all steps; and the counts of those left out."""
    usable, left_out = [], {}
    for index, label in enumerate(evaluation.classifier.labels):
        n_with = int((evaluation.truth[:, index] == 1).sum())
        n_without = int((evaluation.truth[:, index] == 0).sum())
        if n_with and n_without:
            usable.append(label)
        else:
            left_out[label] = (n_with, n_without)
    if not usable:
        raise InputError(
            "No label has images with and without it, so PEPPR has nothing to measure."
        )
    return usable, left_out


def _symmetric_subset(points: int, steps: int) -> npt.NDArray[np.int64]:
    """Choose about `steps` + 1 of `points` positions, ends included, the same from either end."""
    lower = np.linspace(0, points - 1, steps + 1)[: steps // 2 + 1].astype(np.int64)
    return np.unique(np.concatenate([lower, points - 1 - lower]))
