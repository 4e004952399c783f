"""What a change of all images does to one label: AUC, logit and probability, with intervals."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from napari_globalxai.faithfulness.evaluation import Evaluation
from napari_globalxai.faithfulness.scores.auc_scores import FloatArray, weighted_roc_auc
from napari_globalxai.faithfulness.scores.intervals import (
    auc_change_interval,
    auc_interval,
    mean_interval,
)


@dataclass(frozen=True)
class Outputs:
    """A model's outputs on all images, three ways.

    Attributes
    ----------
    ranking, logit, probability : numpy.ndarray
        (..., image, label): what images are ranked by, the logit and the probability.
    """

    ranking: FloatArray
    logit: FloatArray
    probability: FloatArray

    def at(self, index: int) -> Outputs:
        """Return one of several predictions of the images."""
        return Outputs(self.ranking[index], self.logit[index], self.probability[index])


@dataclass(frozen=True)
class Effect:
    """What a change of the images does to one label.

    Attributes
    ----------
    auc_before, auc_after, auc_change : float
        ROC AUC, and the difference after − before.
    logit_change, probability_change : float
        Means over the images that carry the label.
    auc_interval, logit_interval, probability_interval : tuple of float
        95 % intervals of the changes, over patients.
    """

    auc_before: float
    auc_after: float
    auc_change: float
    auc_interval: tuple[float, float]
    logit_change: float
    logit_interval: tuple[float, float]
    probability_change: float
    probability_interval: tuple[float, float]


@dataclass(frozen=True)
class LabelCases:
    """Images whose truth of one label is known, and resamples of their patients.

    Attributes
    ----------
    label : int
        The label, along the last axis of outputs.
    known : numpy.ndarray
        bool (image,).
    truth : numpy.ndarray
        bool, of the known ones.
    patients : tuple of str
        Of the known ones.
    """

    label: int
    known: npt.NDArray[np.bool_]
    truth: npt.NDArray[np.bool_]
    patients: tuple[str, ...]

    @classmethod
    def of(cls, evaluation: Evaluation, name: str) -> LabelCases:
        """Return the cases of a label of the model."""
        label = evaluation.classifier.labels.index(name)
        known = np.isfinite(evaluation.truth[:, label])
        carries = evaluation.truth[known, label] == 1
        owners = tuple(
            patient for patient, use in zip(evaluation.patients, known, strict=True) if use
        )
        return cls(label, known, carries, owners)

    @property
    def has_both(self) -> bool:
        """Whether there are images with and without the label."""
        return bool(self.truth.any() and not self.truth.all())

    def own(self, values: npt.NDArray[Any]) -> FloatArray:
        """Return the part (..., known image) of values (..., image, label)."""
        return np.asarray(values[..., self.known, self.label], np.float64)

    def auc(self, ranking: FloatArray) -> float:
        """Return the ROC AUC of values (image, label)."""
        single = np.ones((1, len(self.truth)))
        return float(weighted_roc_auc(self.truth, self.own(ranking), single)[0])

    def auc_interval(self, ranking: FloatArray) -> tuple[float, float]:
        """Return the 95 % interval of the ROC AUC of values (image, label)."""
        low, high = auc_interval(self.truth, self.own(ranking), self.patients)
        return float(low), float(high)

    def effect(self, before: Outputs, after: Outputs) -> Effect:
        """Return what takes one set of outputs (image, label) to another."""
        start, end = self.auc(before.ranking), self.auc(after.ranking)
        rankings = self.own(before.ranking), self.own(after.ranking)
        low, high = auc_change_interval(self.truth, *rankings, self.patients)
        logit, logit_interval = self._mean_change(before.logit, after.logit)
        probability, interval = self._mean_change(before.probability, after.probability)
        return Effect(
            start,
            end,
            end - start,
            (float(low), float(high)),
            logit,
            logit_interval,
            probability,
            interval,
        )

    def mean_interval(self, values: FloatArray) -> tuple[float, float]:
        """Return the 95 % interval of the mean of values (image with the label,)."""
        owners = [self.patients[place] for place in np.flatnonzero(self.truth)]
        low, high = mean_interval(values, owners)
        return float(low), float(high)

    def _mean_change(
        self, before: FloatArray, after: FloatArray
    ) -> tuple[float, tuple[float, float]]:
        change = (self.own(after) - self.own(before))[self.truth]
        return float(change.mean()), self.mean_interval(change)
