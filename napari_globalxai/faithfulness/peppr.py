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
from napari_globalxai.faithfulness.controls import run_controls
from napari_globalxai.faithfulness.evaluation import ARMS, ControlCache, Evaluation
from napari_globalxai.faithfulness.orders import order_by_map, step_counts
from napari_globalxai.faithfulness.result import CURVE_COLUMNS, PepprResult
from napari_globalxai.faithfulness.summary import summarise_label
from napari_globalxai.faithfulness.verdict import Verdict, judge
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
        The map, (height, width).
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
    shape = evaluation.stack.shape
    if image.shape != shape:
        raise InputError(
            f"The map {map_name} is {image.shape[0]} × {image.shape[1]} pixels, but the frame is "
            f"{shape[0]} × {shape[1]}."
        )
    if not evaluation.valid.any():
        raise InputError(
            "No pixel lies in the field of view of enough images, so PEPPR has nothing to rank; "
            "lower valid_share."
        )
    if not np.isfinite(image[evaluation.valid]).all():
        raise InputError(f"The map {map_name} holds values that are not finite.")
    labels = evaluation.classifier.labels
    usable, left_out = _usable_labels(evaluation)
    if not usable:
        raise InputError(
            "No label has images with and without it, so PEPPR has nothing to measure."
        )
    order = order_by_map(image, evaluation.valid, settings.seed)
    counts = step_counts(len(order), settings.steps)
    coarse = _symmetric_subset(len(counts), settings.control_steps)

    def tick(done: int, total: int) -> None:
        progress(Progress(f"Erasing and restoring along {map_name}", done, total))

    logits = evaluation.logits(order, counts, tick)
    fractions = counts / counts[-1]
    controls = run_controls(
        ControlCache(evaluation, counts[coarse], cache),
        {arm: values[coarse] for arm, values in logits.items()},
        image,
        map_name,
        settings,
        progress,
    )

    rows: list[dict[str, Any]] = []
    areas: dict[str, dict[str, Any]] = {}
    verdict: dict[str, Verdict] = {}
    for label in usable:
        index = labels.index(label)
        summary, curve_rows = summarise_label(
            evaluation, index, logits, fractions, coarse, controls, settings
        )
        areas[label] = summary
        rows += [{"map": map_name, "label": label, **row} for row in curve_rows]
        if label in judged:
            verdict[label] = judge(
                delta=summary["delta"],
                delta_low=summary["delta_ci"][0],
                intact_low=summary["intact_auc_ci"][0],
                p_values=summary["p_values"],
                controls=settings.controls,
                positives=summary["positives"],
                negatives=summary["negatives"],
                fewest=settings.fewest_positives,
            )
    for label in (label for label in judged if label in left_out):
        verdict[label] = judge(
            delta=float("nan"),
            delta_low=float("nan"),
            intact_low=float("nan"),
            p_values={},
            controls=settings.controls,
            positives=left_out[label][0],
            negatives=left_out[label][1],
            fewest=settings.fewest_positives,
        )
        areas[label] = dict(zip(("positives", "negatives"), left_out[label], strict=True))
    probabilities = evaluation.classifier.probabilities
    return PepprResult(
        map_name=map_name,
        curves=pd.DataFrame(rows, columns=list(CURVE_COLUMNS)),
        areas=areas,
        verdict=verdict,
        settings={
            **settings.model_dump(),
            "images": len(evaluation.rows),
            "patients": len(set(evaluation.patients)),
            "valid_pixels": len(order),
            "left_out": {
                label: f"{n_with} images with and {n_without} without it"
                for label, (n_with, n_without) in left_out.items()
            },
        },
        shape=shape,
        order=order,
        counts=counts,
        fill=evaluation.fill,
        rows=evaluation.rows,
        labels=labels,
        probabilities={arm: probabilities(logits[arm]).astype(np.float32) for arm in ARMS},
    )


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
    return usable, left_out


def _symmetric_subset(points: int, steps: int) -> npt.NDArray[np.int64]:
    """Choose about `steps` + 1 of `points` positions, ends included, the same from either end."""
    lower = np.linspace(0, points - 1, steps + 1)[: steps // 2 + 1].astype(np.int64)
    return np.unique(np.concatenate([lower, points - 1 - lower]))
