"""Curves, areas and intervals of one label."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from napari_globalxai.faithfulness.controls import Controls, Trial
from napari_globalxai.faithfulness.evaluation import ARMS, Course, Evaluation, LogitsByArm
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

Row = dict[str, Any]


def summarise_label(
    evaluation: Evaluation, label: str, trial: Trial, settings: PepprSettings
) -> tuple[dict[str, Any], list[Row]]:
    """Return the areas of one label and the rows of its curves.

    Parameters
    ----------
    evaluation : Evaluation
        Truth and patients.
    label : str
        The label.
    trial : Trial
        Predictions along the map and its controls.
    settings : PepprSettings
        Bootstrap and seed.
    """
    course, controls = trial.course, trial.controls
    cases = _Cases.of(evaluation, label, settings)
    own = cases.curves(course.fractions, course.logits)
    own_at_controls = own.at(trial.coarse)
    rows = _metric_rows(cases, course, own)
    control_deltas, judged_rows = _judged(cases, own_at_controls.fractions, controls)
    differences, single_deltas, compared_rows = _compared(cases, own_at_controls, controls)
    intact = float(own.auc["erase"][0])
    delta = own_at_controls.delta
    summary = {
        "positives": int(cases.truth.sum()),
        "negatives": int((~cases.truth).sum()),
        "intact_auc": intact,
        "intact_auc_ci": np.nanquantile(own.resampled["erase"][:, 0], _INTERVAL).tolist(),
        **_areas(own, intact),
        "blank_probability": _blank_probability(cases, course),
        "delta_on_control_steps": delta,
        "control_deltas": {**control_deltas, **single_deltas},
        "p_values": {name: control_p_value(delta, them) for name, them in control_deltas.items()},
        "difference_to": differences,
    }
    return summary, rows + judged_rows + compared_rows


@dataclass(frozen=True)
class _Curves:
    """ROC AUC of both arms: by step, and by resample and step."""

    fractions: FloatArray
    auc: dict[str, FloatArray]
    resampled: dict[str, FloatArray]

    def at(self, steps: npt.NDArray[np.int64]) -> _Curves:
        return _Curves(
            self.fractions[steps],
            {arm: values[steps] for arm, values in self.auc.items()},
            {arm: values[:, steps] for arm, values in self.resampled.items()},
        )

    @property
    def delta(self) -> float:
        return float(_delta(self.fractions, self.auc["erase"], self.auc["restore"]))

    @property
    def resampled_deltas(self) -> FloatArray:
        return _delta(self.fractions, self.resampled["erase"], self.resampled["restore"])


@dataclass(frozen=True)
class _Cases:
    """The images whose truth of a label is known, and resamples of their patients."""

    evaluation: Evaluation
    label: int
    known: npt.NDArray[np.bool_]
    truth: npt.NDArray[np.bool_]
    weights: FloatArray

    @classmethod
    def of(cls, evaluation: Evaluation, label: str, settings: PepprSettings) -> _Cases:
        index = evaluation.classifier.labels.index(label)
        known = evaluation.cases(index)
        truth = evaluation.truth[known, index] == 1
        patients = [patient for patient, use in zip(evaluation.patients, known, strict=True) if use]
        weights = patient_resamples(patients, truth, settings.bootstrap, settings.seed)
        return cls(evaluation, index, known, truth, weights)

    def own(self, values: npt.NDArray[Any]) -> FloatArray:
        """Return the part (step, image) of values (step, image, label)."""
        return np.asarray(values[:, self.known, self.label], np.float64)

    def curves(self, fractions: FloatArray, logits: LogitsByArm) -> _Curves:
        rankings = {arm: self.own(self.evaluation.ranking(logits[arm])) for arm in ARMS}
        single = np.ones((1, len(self.truth)))
        return _Curves(
            fractions,
            {arm: self._weighted_auc(ranking, single)[0] for arm, ranking in rankings.items()},
            {arm: self._weighted_auc(ranking, self.weights) for arm, ranking in rankings.items()},
        )

    def _weighted_auc(self, ranking: FloatArray, weights: FloatArray) -> FloatArray:
        return np.stack([weighted_roc_auc(self.truth, step, weights) for step in ranking], axis=1)


def _metric_rows(cases: _Cases, course: Course, curves: _Curves) -> list[Row]:
    """Return the map's own curves in all metrics."""
    rows: list[Row] = []
    share = cases.weights[:, cases.truth]
    share = share / share.sum(axis=1, keepdims=True)
    for arm in ARMS:
        logits = course.logits[arm]
        ranking = cases.own(cases.evaluation.ranking(logits))
        probability = cases.own(cases.evaluation.classifier.probabilities(logits))
        logit = cases.own(logits)
        for metric in METRICS:
            if metric == "roc_auc":
                values = curves.auc[arm]
                interval = np.nanquantile(curves.resampled[arm], _INTERVAL, axis=0)
            else:
                steps = zip(ranking, probability, logit, strict=True)
                values = np.array([score(metric, cases.truth, *step) for step in steps])
                interval = np.full((2, len(values)), np.nan)
            if metric in ("mean_probability", "mean_logit"):
                source = probability if metric == "mean_probability" else logit
                interval = np.quantile(share @ source[:, cases.truth].T, _INTERVAL, axis=0)
            place = {"order": "map", "arm": arm, "metric": metric}
            rows += _curve_rows(place, curves.fractions, values, interval)
    return rows


def _judged(
    cases: _Cases, fractions: FloatArray, controls: Controls
) -> tuple[dict[str, list[float]], list[Row]]:
    """Return Δ of every order of the judged families, and the families' mean curves."""
    deltas: dict[str, list[float]] = {}
    rows: list[Row] = []
    for name, curves in controls.judged.items():
        if not len(curves):
            continue
        erase, restore = curves[:, 0, :, cases.label], curves[:, 1, :, cases.label]
        deltas[name] = _delta(fractions, erase, restore).tolist()
        for arm, values in zip(ARMS, (erase, restore), strict=True):
            interval = np.quantile(values, _INTERVAL, axis=0)
            place = {"order": name, "arm": arm, "metric": "roc_auc"}
            rows += _curve_rows(place, fractions, values.mean(axis=0), interval)
    return deltas, rows


def _compared(
    cases: _Cases, own: _Curves, controls: Controls
) -> tuple[dict[str, dict[str, Any]], dict[str, list[float]], list[Row]]:
    """Return how the map differs from single orders, their Δ, and their curves."""
    differences: dict[str, dict[str, Any]] = {}
    deltas: dict[str, list[float]] = {}
    rows: list[Row] = []
    for name, logits in controls.compared.items():
        other = cases.curves(own.fractions, logits)
        deltas[name] = [other.delta]
        gain = own.resampled_deltas - other.resampled_deltas
        differences[name] = {
            "difference": own.delta - other.delta,
            "ci": np.nanquantile(gain, _INTERVAL).tolist(),
        }
        for arm in ARMS:
            interval = np.nanquantile(other.resampled[arm], _INTERVAL, axis=0)
            place = {"order": name, "arm": arm, "metric": "roc_auc"}
            rows += _curve_rows(place, own.fractions, other.auc[arm], interval)
    return differences, deltas, rows


def _areas(own: _Curves, intact: float) -> dict[str, Any]:
    above = intact - 0.5 if intact > 0.5 else float("nan")
    area_erase = float(area(own.fractions, own.auc["erase"]))
    area_restore = float(area(own.fractions, own.auc["restore"]))
    return {
        "area_erase": area_erase,
        "area_restore": area_restore,
        "delta": area_restore - area_erase,
        "delta_ci": np.nanquantile(own.resampled_deltas, _INTERVAL).tolist(),
        "normalised_erase": (intact - area_erase) / above,
        "normalised_restore": (area_restore - 0.5) / above,
        "sufficient_fraction": sufficient_fraction(own.fractions, own.auc["restore"], intact),
        "necessary_fraction": necessary_fraction(own.fractions, own.auc["erase"], intact),
    }


def _blank_probability(cases: _Cases, course: Course) -> float:
    """Return the probability of the label where nothing of an image is left."""
    evaluation = cases.evaluation
    blank = evaluation.classifier.probabilities(course.logits["restore"][0])[:, cases.label]
    return float(blank.mean() if evaluation.fill.per_image else blank[0])


def _delta(fractions: FloatArray, erase: FloatArray, restore: FloatArray) -> FloatArray:
    return area(fractions, restore) - area(fractions, erase)


def _curve_rows(
    place: dict[str, str], fractions: FloatArray, values: FloatArray, interval: FloatArray
) -> list[Row]:
    """Return a row a point; the table that they enter puts its columns in order."""
    return [
        {**place, "fraction": fraction, "value": value, "ci_low": low, "ci_high": high}
        for fraction, value, low, high in zip(fractions, values, *interval, strict=True)
    ]
