"""What lies outside the valid area: the model on whole images, and with the outside erased."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from napari_globalxai.faithfulness.evaluation import Course, Evaluation
from napari_globalxai.faithfulness.scores.label_effects import LabelCases, Outputs
from napari_globalxai.faithfulness.verdict.outside_share import outside_cautions, outside_share

WHOLE, OUTSIDE = "whole", "outside"


@dataclass(frozen=True)
class OutsideFacts:
    """What lies outside the valid area.

    Attributes
    ----------
    share : float
        Of the map's mass.
    area_share : float
        Of the frame.
    logits : numpy.ndarray
        The model's own output on whole images, float32 (image, label).
    labels : dict of str to dict
        By label: ``mass_outside``, ``intact_auc_full`` with its interval, ``cautions``, and, where
        anything lies outside, ``outside``: what erasing it does.
    rows : list of dict
        Rows of the table of curves: whole images, and those with the outside erased.
    """

    share: float
    area_share: float
    logits: npt.NDArray[np.float32]
    labels: dict[str, dict[str, Any]] = field(default_factory=dict)
    rows: list[dict[str, Any]] = field(default_factory=list)

    @property
    def notes(self) -> dict[str, Any]:
        """What the result says of it for all labels together."""
        return {
            "mass_outside": self.share,
            "intact_auc_full": {
                label: values["intact_auc_full"] for label, values in self.labels.items()
            },
        }


def outputs_of(evaluation: Evaluation, logits: npt.NDArray[np.floating]) -> Outputs:
    """Return logits (..., image, label) with what images are ranked by, and probabilities."""
    return Outputs(
        ranking=evaluation.ranking(np.asarray(logits, np.float32)),
        logit=np.asarray(logits, np.float64),
        probability=np.asarray(evaluation.classifier.probabilities(logits), np.float64),
    )


def measure_outside(
    evaluation: Evaluation,
    image: npt.NDArray[np.floating],
    course: Course,
    labels: list[str],
) -> OutsideFacts:
    """Return what lies outside the valid area, which PEPPR along a map does not test.

    Parameters
    ----------
    evaluation : Evaluation
        Model, images, truth and valid area.
    image : numpy.ndarray
        The map, (*spatial).
    course : Course
        Predictions along it; where nothing is erased yet, only the outside is.
    labels : list of str
        Those that can be measured.
    """
    inside = course.logits["erase"][0]
    has_outside = not evaluation.valid.all()
    whole = _predict_whole(evaluation) if has_outside else inside
    facts = OutsideFacts(
        outside_share(image, evaluation.valid), float(1 - evaluation.valid.mean()), whole
    )
    before, after = outputs_of(evaluation, whole), outputs_of(evaluation, inside)
    for label in labels:
        cases = LabelCases.of(evaluation, label)
        values = _of_label(cases, before, after, facts, has_outside)
        facts.labels[label] = values
        if has_outside:
            for name, outputs in ((WHOLE, before), (OUTSIDE, after)):
                erased = facts.area_share if name == OUTSIDE else 0.0
                facts.rows.extend(_rows(cases, outputs, label, name, erased))
    return facts


def _predict_whole(evaluation: Evaluation) -> npt.NDArray[np.float32]:
    whole = np.ones(evaluation.stack.shape, bool)
    (logits,) = evaluation.predict([whole])
    return np.asarray(logits)


def _of_label(
    cases: LabelCases, before: Outputs, after: Outputs, facts: OutsideFacts, has_outside: bool
) -> dict[str, Any]:
    effect = cases.effect(before, after)
    values: dict[str, Any] = {
        "mass_outside": facts.share,
        "intact_auc_full": effect.auc_before,
        "intact_auc_full_ci": list(cases.auc_interval(before.ranking)),
    }
    if has_outside:
        values[OUTSIDE] = {
            "area_share": facts.area_share,
            "auc_intact": effect.auc_before,
            "auc_erased": effect.auc_after,
            "auc_change": effect.auc_change,
            "auc_change_ci": list(effect.auc_interval),
            "logit_change": effect.logit_change,
            "logit_change_ci": list(effect.logit_interval),
            "probability_change": effect.probability_change,
            "probability_change_ci": list(effect.probability_interval),
        }
    values["cautions"] = outside_cautions({**values, "intact_auc": effect.auc_after})
    return values


def _rows(
    cases: LabelCases, outputs: Outputs, label: str, name: str, erased: float
) -> list[dict[str, Any]]:
    """Return the rows of one label: its AUC, mean logit and mean probability."""
    logit, probability = (
        cases.own(values)[cases.truth] for values in (outputs.logit, outputs.probability)
    )
    found = {
        "roc_auc": (cases.auc(outputs.ranking), cases.auc_interval(outputs.ranking)),
        "mean_probability": (probability.mean(), cases.mean_interval(probability)),
        "mean_logit": (logit.mean(), cases.mean_interval(logit)),
    }
    place = {"label": label, "order": name, "arm": "erase", "fraction": erased}
    rows = []
    for metric, (value, (low, high)) in found.items():
        rows.append({**place, "metric": metric, "value": value, "ci_low": low, "ci_high": high})
    return rows
