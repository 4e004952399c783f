"""Curves, areas and intervals of one label."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from napari_globalxai.faithfulness.controls import Controls
from napari_globalxai.faithfulness.evaluation import ARMS, Evaluation, LogitsByArm
from napari_globalxai.faithfulness.scores import (
    METRICS,
    FloatArray,
    area,
    patient_resamples,
    score,
    weighted_roc_auc,
)
from napari_globalxai.faithfulness.verdict import (
    control_p_value,
    necessary_fraction,
    sufficient_fraction,
)
from napari_globalxai.settings.peppr_settings import PepprSettings

_INTERVAL = (0.025, 0.975)


def summarise_label(
    evaluation: Evaluation,
    label: int,
    logits: LogitsByArm,
    fractions: FloatArray,
    coarse: npt.NDArray[np.int64],
    controls: Controls,
    settings: PepprSettings,
) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """Return the areas of one label and the rows of its curves.

    Parameters
    ----------
    evaluation : Evaluation
        Truth and patients.
    label : int
        Index of the label.
    logits : dict
        Logits (step, image, label) of both arms along the map.
    fractions : numpy.ndarray
        Fraction of the valid pixels at each step.
    coarse : numpy.ndarray
        Which of the steps the controls were evaluated at.
    controls : Controls
        Their results.
    settings : PepprSettings
        Bootstrap and seed.
    """
    known = evaluation.cases(label)
    truth = evaluation.truth[known, label] == 1
    patients = [patient for patient, use in zip(evaluation.patients, known, strict=True) if use]
    weights = patient_resamples(patients, truth, settings.bootstrap, settings.seed)

    rows: list[dict[str, Any]] = []
    auc: dict[str, FloatArray] = {}
    resampled: dict[str, FloatArray] = {}
    for arm in ARMS:
        logit = logits[arm][:, known, label].astype(np.float64)
        ranking = evaluation.ranking(logits[arm])[:, known, label]
        probability = evaluation.classifier.probabilities(logits[arm])[:, known, label]
        resampled[arm] = _resampled_auc(truth, ranking, weights)
        for metric in METRICS:
            steps = zip(ranking, probability, logit, strict=True)
            values = np.array([score(metric, truth, *step) for step in steps])
            if metric == "roc_auc":
                auc[arm] = values
                interval = np.nanquantile(resampled[arm], _INTERVAL, axis=0)
            elif metric == "average_precision":
                interval = np.full((2, len(values)), np.nan)
            else:
                source = probability if metric == "mean_probability" else logit
                share = weights[:, truth] / weights[:, truth].sum(axis=1, keepdims=True)
                interval = np.quantile(share @ source[:, truth].T, _INTERVAL, axis=0)
            rows += _curve_rows("map", arm, metric, fractions, values, interval)

    steps_of_controls = fractions[coarse]
    own = _delta(steps_of_controls, auc["erase"][coarse], auc["restore"][coarse])
    own_resampled = _delta(
        steps_of_controls, resampled["erase"][:, coarse], resampled["restore"][:, coarse]
    )
    control_deltas: dict[str, list[float]] = {}
    for name, curves in controls.families.items():
        erase, restore = curves[:, 0, :, label], curves[:, 1, :, label]
        control_deltas[name] = _delta(steps_of_controls, erase, restore).tolist()
        for arm, values in zip(ARMS, (erase, restore), strict=True):
            interval = np.quantile(values, _INTERVAL, axis=0)
            mean = values.mean(axis=0)
            rows += _curve_rows(name, arm, "roc_auc", steps_of_controls, mean, interval)
    differences = {}
    for name, by_arm in controls.named.items():
        ranking_by_arm = {arm: evaluation.ranking(by_arm[arm])[:, known, label] for arm in ARMS}
        single = np.ones((1, len(truth)))
        values_by_arm = {arm: _resampled_auc(truth, ranking_by_arm[arm], single)[0] for arm in ARMS}
        resamples = [_resampled_auc(truth, ranking_by_arm[arm], weights) for arm in ARMS]
        other = _delta(steps_of_controls, values_by_arm["erase"], values_by_arm["restore"])
        control_deltas[name] = [float(other)]
        differences[name] = {
            "difference": float(own - other),
            "ci": np.nanquantile(
                own_resampled - _delta(steps_of_controls, *resamples), _INTERVAL
            ).tolist(),
        }
        for arm, resample in zip(ARMS, resamples, strict=True):
            interval = np.nanquantile(resample, _INTERVAL, axis=0)
            rows += _curve_rows(
                name, arm, "roc_auc", steps_of_controls, values_by_arm[arm], interval
            )

    intact = float(auc["erase"][0])
    above = intact - 0.5 if intact > 0.5 else float("nan")
    area_erase = float(area(fractions, auc["erase"]))
    area_restore = float(area(fractions, auc["restore"]))
    deltas = _delta(fractions, resampled["erase"], resampled["restore"])
    blank = evaluation.classifier.probabilities(logits["restore"][0])[0, label]
    summary = {
        "positives": int(truth.sum()),
        "negatives": int((~truth).sum()),
        "intact_auc": intact,
        "intact_auc_ci": np.nanquantile(resampled["erase"][:, 0], _INTERVAL).tolist(),
        "area_erase": area_erase,
        "area_restore": area_restore,
        "delta": area_restore - area_erase,
        "delta_ci": np.nanquantile(deltas, _INTERVAL).tolist(),
        "normalised_erase": (intact - area_erase) / above,
        "normalised_restore": (area_restore - 0.5) / above,
        "sufficient_fraction": sufficient_fraction(fractions, auc["restore"], intact),
        "necessary_fraction": necessary_fraction(fractions, auc["erase"], intact),
        "blank_probability": float(blank),
        "delta_on_control_steps": float(own),
        "control_deltas": control_deltas,
        "p_values": {
            name: control_p_value(float(own), control_deltas[name]) for name in controls.families
        },
        "difference_to": differences,
    }
    return summary, rows


def _resampled_auc(
    truth: npt.NDArray[np.bool_], ranking: FloatArray, weights: FloatArray
) -> FloatArray:
    """ROC AUC (resample, step) of rankings (step, image)."""
    return np.stack([weighted_roc_auc(truth, step, weights) for step in ranking], axis=1)


def _delta(fractions: FloatArray, erase: FloatArray, restore: FloatArray) -> FloatArray:
    return area(fractions, restore) - area(fractions, erase)


def _curve_rows(
    order: str,
    arm: str,
    metric: str,
    fractions: FloatArray,
    values: FloatArray,
    interval: FloatArray,
) -> list[dict[str, Any]]:
    return [
        {
            "order": order,
            "arm": arm,
            "fraction": fraction,
            "metric": metric,
            "value": value,
            "ci_low": low,
            "ci_high": high,
        }
        for fraction, value, low, high in zip(fractions, values, *interval, strict=True)
    ]
