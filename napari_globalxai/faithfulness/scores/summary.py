"""Curves, areas and intervals of one label, or of all labels together."""

from __future__ import annotations

from typing import Any

import numpy as np

from napari_globalxai.faithfulness.cases import Cases, Curves
from napari_globalxai.faithfulness.evaluation import ARMS, Course, Evaluation
from napari_globalxai.faithfulness.orders.controls import Controls, Question, Trial
from napari_globalxai.faithfulness.scores.auc_scores import FloatArray, area
from napari_globalxai.faithfulness.scores.crossings import (
    necessary_fraction,
    share_fraction,
    sufficient_fraction,
)
from napari_globalxai.faithfulness.scores.intervals import Resamples
from napari_globalxai.faithfulness.scores.measures import measure
from napari_globalxai.settings.peppr_settings import PepprSettings

_MIDDLE = (0.025, 0.975)
_SCALES = {"mean_logit": "plain", "logit_gap_share": "plain", "mean_probability": "average"}

Row = dict[str, Any]


def summarise(
    evaluation: Evaluation, target: str, trial: Trial, question: Question, settings: PepprSettings
) -> tuple[dict[str, Any], list[Row]]:
    """Return the areas of one target and the rows of its curves.

    Parameters
    ----------
    evaluation : Evaluation
        Truth and patients.
    target : str
        The label, or one of those that stand for all.
    trial : Trial
        Predictions along the map and its controls.
    question : Question
        What the controls were to answer.
    settings : PepprSettings
        Bootstrap and seed.
    """
    course, controls = trial.course, trial.controls
    cases = Cases.of(evaluation, question.targets, target, settings)
    own = cases.curves(course.fractions, course.logits)
    own_at_controls = own.at(trial.coarse)
    rows = _auc_rows(cases, own, "map")
    summary = {**_numbers_of(cases), **_areas(cases, own)}
    if target in question.targets.labels:
        of_label, of_metrics = _measured(cases, course)
        summary |= of_label
        rows += of_metrics
    place = question.targets.names.index(target)
    judged_deltas, judged_rows = _judged(place, course.fractions[trial.early], controls, question)
    differences, single_deltas, compared_rows = _compared(
        cases, own_at_controls, controls, question
    )
    counts = {
        name: found[target] for name, found in controls.counts.items() if found[target].tested
    }
    summary |= {
        "judged_up_to": question.up_to,
        "delta_on_control_steps": float(own_at_controls.deltas_up_to(question.up_to)[0]),
        "early_delta": float(own_at_controls.early_deltas[0]),
        "early_delta_ci": cases.resamples.interval(own_at_controls.early_deltas).tolist(),
        "control_deltas": {**judged_deltas, **single_deltas},
        "p_values": {name: count.p for name, count in counts.items()},
        "p_intervals": {name: list(count.interval) for name, count in counts.items()},
        "p_corrected": {
            name: found[target].p for name, found in controls.corrected.items() if target in found
        },
        "difference_to": differences,
    }
    return summary, rows + judged_rows + compared_rows


def _numbers_of(cases: Cases) -> dict[str, Any]:
    with_it, without = cases.patients()
    truth = cases.evaluation.truth[:, cases.columns]
    return {
        "positives": int((truth == 1).sum()),
        "negatives": int((truth == 0).sum()),
        "patients_with": with_it,
        "patients_without": without,
    }


def _areas(cases: Cases, own: Curves) -> dict[str, Any]:
    """Return the areas with their intervals, and the fractions at which curves cross levels."""
    erase, restore = own.auc["erase"], own.auc["restore"]
    intact = erase[:, 0]
    with np.errstate(invalid="ignore", divide="ignore"):
        above = np.where(intact > 0.5, intact - 0.5, np.nan)
        area_erase, area_restore = area(own.fractions, erase), area(own.fractions, restore)
        values = {
            "intact_auc": intact,
            "area_erase": area_erase,
            "area_restore": area_restore,
            "delta": own.deltas,
            "normalised_erase": (intact - area_erase) / above,
            "normalised_restore": (area_restore - 0.5) / above,
            "sufficient_fraction": _each(own.fractions, restore, intact, sufficient_fraction),
            "necessary_fraction": _each(own.fractions, erase, intact, necessary_fraction),
        }
    return _with_intervals(values, cases.resamples)


def _each(fractions: FloatArray, curves: FloatArray, intact: FloatArray, find: Any) -> FloatArray:
    return np.array(
        [find(fractions, curve, whole) for curve, whole in zip(curves, intact, strict=True)]
    )


def _with_intervals(values: dict[str, FloatArray], resamples: Resamples) -> dict[str, Any]:
    result: dict[str, Any] = {}
    for name, rows in values.items():
        scale = "crossing" if "fraction" in name else "plain"
        scale = "share" if name == "intact_auc" else scale
        result[name] = float(rows[0])
        result[f"{name}_ci"] = resamples.interval(rows, scale).tolist()
    return result


def _measured(cases: Cases, course: Course) -> tuple[dict[str, Any], list[Row]]:
    """Return what else is measured of a label: rows of curves, and fractions that suffice."""
    measured = measure(cases, course.logits)
    rows: list[Row] = []
    for arm in ARMS:
        for metric, values in measured[arm].items():
            place = {"order": "map", "arm": arm, "metric": metric}
            scale = _SCALES.get(metric, "share")
            interval = cases.resamples.interval(values, scale)
            rows += _curve_rows(place, course.fractions, values[0], interval)
    fractions = {
        f"sufficient_fraction_{metric}": _each(
            course.fractions,
            measured["restore"][metric],
            measured["restore"][metric][:, -1],
            share_fraction,
        )
        for metric in ("logit_gap_share", "sensitivity", "specificity")
    }
    evaluation = cases.evaluation
    blank = evaluation.classifier.probabilities(course.logits["restore"][0])[:, cases.columns[0]]
    return {
        "blank_probability": float(
            blank[cases.known].mean() if evaluation.fill.per_image else blank[0]
        ),
        "intact_sensitivity": float(measured["erase"]["sensitivity"][0, 0]),
        "intact_specificity": float(measured["erase"]["specificity"][0, 0]),
        **_with_intervals(fractions, cases.resamples),
    }, rows


def _auc_rows(cases: Cases, curves: Curves, order: str) -> list[Row]:
    rows: list[Row] = []
    for arm in ARMS:
        place = {"order": order, "arm": arm, "metric": "roc_auc"}
        values = curves.auc[arm]
        rows += _curve_rows(
            place, curves.fractions, values[0], cases.resamples.interval(values, "share")
        )
    return rows


def _judged(
    place: int, fractions: FloatArray, controls: Controls, question: Question
) -> tuple[dict[str, list[float]], list[Row]]:
    """Return Δ, as far as it is judged, of the judged families' orders; and their mean curves."""
    deltas: dict[str, list[float]] = {}
    rows: list[Row] = []
    for name, every in controls.judged.items():
        if not len(every):
            continue
        curves = question.targets.curves(every)[..., place]
        deltas[name] = question.targets.deltas(every, fractions, question.up_to)[:, place].tolist()
        for arm, values in zip(ARMS, np.moveaxis(curves, 1, 0), strict=True):
            interval = np.quantile(values, _MIDDLE, axis=0)
            where = {"order": name, "arm": arm, "metric": "roc_auc"}
            rows += _curve_rows(where, fractions, values.mean(axis=0), interval)
    return deltas, rows


def _compared(
    cases: Cases, own: Curves, controls: Controls, question: Question
) -> tuple[dict[str, dict[str, Any]], dict[str, list[float]], list[Row]]:
    """Return how the map differs from single orders, their Δ as far as it is judged, and curves."""
    differences: dict[str, dict[str, Any]] = {}
    deltas: dict[str, list[float]] = {}
    rows: list[Row] = []
    interval = cases.resamples.interval
    for name, logits in controls.compared.items():
        other = cases.curves(own.fractions, logits)
        deltas[name] = [float(other.deltas_up_to(question.up_to)[0])]
        gain, early = own.deltas - other.deltas, own.early_deltas - other.early_deltas
        differences[name] = {
            "difference": float(gain[0]),
            "ci": interval(gain).tolist(),
            "early_difference": float(early[0]),
            "early_ci": interval(early).tolist(),
        }
        rows += _auc_rows(cases, other, name)
    return differences, deltas, rows


def _curve_rows(
    place: dict[str, str], fractions: FloatArray, values: FloatArray, interval: FloatArray
) -> list[Row]:
    """Return a row a point; the table that they enter puts its columns in order."""
    return [
        {**place, "fraction": fraction, "value": value, "ci_low": low, "ci_high": high}
        for fraction, value, low, high in zip(fractions, values, *interval, strict=True)
    ]
