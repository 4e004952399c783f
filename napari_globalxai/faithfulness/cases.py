"""The images that a label, or all labels together, is measured on, and resamples of patients."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from napari_globalxai.faithfulness.evaluation import ARMS, Evaluation, LogitsByArm
from napari_globalxai.faithfulness.orders.control_steps import EARLY
from napari_globalxai.faithfulness.scores.auc_scores import (
    FloatArray,
    area,
    early_area,
    weighted_roc_auc,
)
from napari_globalxai.faithfulness.scores.intervals import Resamples
from napari_globalxai.faithfulness.targets import MACRO, Targets
from napari_globalxai.settings.peppr_settings import PepprSettings


@dataclass(frozen=True)
class Curves:
    """ROC AUC of both arms, by row of the resamples and step.

    Attributes
    ----------
    fractions : numpy.ndarray
        (step,).
    auc : mapping of str to numpy.ndarray
        By arm: (row, step); the first row is the estimate.
    """

    fractions: FloatArray
    auc: Mapping[str, FloatArray]

    def at(self, steps: npt.NDArray[np.int64]) -> Curves:
        """Return some of the steps."""
        return Curves(
            self.fractions[steps], {arm: values[:, steps] for arm, values in self.auc.items()}
        )

    @property
    def deltas(self) -> FloatArray:
        """Δ by row."""
        return area(self.fractions, self.auc["restore"] - self.auc["erase"])

    @property
    def early_deltas(self) -> FloatArray:
        """Δ over the first fifth of the pixels, by row."""
        return self.deltas_up_to(EARLY)

    def deltas_up_to(self, until: float) -> FloatArray:
        """Return Δ over the first pixels, by row."""
        return early_area(self.fractions, self.auc["restore"] - self.auc["erase"], until)


@dataclass(frozen=True)
class Cases:
    """What one target is measured on.

    Attributes
    ----------
    evaluation : Evaluation
        Truth and patients.
    target : str
        A label, or `MACRO` or `POOLED`.
    columns : numpy.ndarray
        Places of its labels among the model's.
    known : numpy.ndarray
        Images whose truth is known for the label, or for any of them.
    resamples : Resamples
        Of the patients of those images.
    """

    evaluation: Evaluation
    target: str
    columns: npt.NDArray[np.int64]
    known: npt.NDArray[np.bool_]
    resamples: Resamples

    @classmethod
    def of(
        cls,
        evaluation: Evaluation,
        targets: Targets,
        target: str,
        settings: PepprSettings,
        *,
        crossings: bool = True,
    ) -> Cases:
        """Return the cases of a target.

        Only the fractions at which curves cross a level need patients drawn; without `crossings`
        the resamples leave patients out, and none are drawn.
        """
        single = target in targets.labels
        place = targets.labels.index(target) if single else 0
        columns = targets.columns[place : place + 1] if single else targets.columns[targets.among]
        truth = evaluation.truth[:, columns]
        known: npt.NDArray[np.bool_] = np.asarray(np.isfinite(truth).any(axis=1))
        patients = [who for who, use in zip(evaluation.patients, known, strict=True) if use]
        drawn = settings.bootstrap if crossings else 0
        carries = (truth[known] == 1).any(axis=1)
        resamples = Resamples.of(patients, carries, drawn, settings.seed)
        if not single:
            # Few patients without any label say nothing of how well each label is known.
            owner = np.unique(patients, return_inverse=True)[1]
            carriers = [len(set(owner[column == 1])) for column in truth[known].T]
            everyone = len(set(owner))
            smallest = min(min(number, everyone - number) or everyone for number in carriers)
            resamples = replace(resamples, smallest=smallest)
        return cls(evaluation, target, columns, known, resamples)

    @property
    def truth(self) -> npt.NDArray[np.bool_]:
        """Of a label: which of its images carry it."""
        return np.asarray(self.evaluation.truth[self.known, self.columns[0]] == 1)

    def patients(self) -> tuple[int, int]:
        """Return how many patients have an image with the label, and without it.

        Of several labels, those of the label with the fewest.
        """
        owner = np.asarray(self.evaluation.patients)
        return tuple(  # type: ignore[return-value]
            min(
                len(set(owner[self.evaluation.truth[:, column] == value]))
                for column in self.columns
            )
            for value in (1, 0)
        )

    def curves(self, fractions: FloatArray, logits: LogitsByArm) -> Curves:
        """Return ROC AUC along an order."""
        rankings = {arm: self.evaluation.ranking(logits[arm])[:, self.known] for arm in ARMS}
        return Curves(
            fractions,
            {
                arm: np.stack([self._auc(step[:, self.columns]) for step in ranking], axis=1)
                for arm, ranking in rankings.items()
            },
        )

    def _auc(self, scores: FloatArray) -> FloatArray:
        """Return ROC AUC by row, of scores (image, label)."""
        truth, weights = self.evaluation.truth[self.known][:, self.columns], self.resamples.weights
        known = np.isfinite(truth)
        if self.target == MACRO or len(self.columns) == 1:
            by_label = [
                weighted_roc_auc(
                    truth[use, label] == 1,
                    scores[use, label],
                    # As large as everything else together, and mostly nothing is left out.
                    weights if use.all() else weights[:, use],
                )
                for label, use in enumerate(known.T)
            ]
            return np.asarray(np.mean(by_label, axis=0))
        image = np.nonzero(known)[0]
        return weighted_roc_auc(truth[known] == 1, scores[known], weights[:, image])
