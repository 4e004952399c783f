"""What is measured of one label beside ROC AUC, step by step and resample by resample."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from napari_globalxai.faithfulness.cases import Cases
from napari_globalxai.faithfulness.evaluation import ARMS, LogitsByArm
from napari_globalxai.faithfulness.scores.auc_scores import FloatArray, weighted_average_precision


def intact_threshold(truth: npt.NDArray[np.bool_], scores: FloatArray) -> float:
    """Return the threshold at which sensitivity plus specificity is highest.

    Parameters
    ----------
    truth : numpy.ndarray
        bool (image,).
    scores : numpy.ndarray
        (image,) on intact images; the threshold lies midway between two of them.
    """
    levels = np.unique(scores)
    if len(levels) < 2:
        return float(levels[0])
    cuts = (levels[1:] + levels[:-1]) / 2
    sensitivity = (scores[truth][:, None] >= cuts).mean(axis=0)
    specificity = (scores[~truth][:, None] < cuts).mean(axis=0)
    return float(cuts[np.argmax(sensitivity + specificity)])


def measure(cases: Cases, logits: LogitsByArm) -> dict[str, dict[str, FloatArray]]:
    """Return by arm and metric the values (row, step) of one label.

    ``logit_gap_share`` is the distance between the mean log-odds of images with and without the
    label, as a share of what it is intact; ``sensitivity`` and ``specificity`` are at the threshold
    that serves best on intact images.

    Parameters
    ----------
    cases : Cases
        Of a label.
    logits : dict of str to numpy.ndarray
        By arm: (step, image, label).
    """
    evaluation, column, truth = cases.evaluation, cases.columns[0], cases.truth

    def own(values: npt.NDArray[np.floating]) -> FloatArray:
        return np.asarray(values[:, cases.known, column], np.float64)

    intact = own(evaluation.ranking(logits["erase"][:1]))[0]
    threshold = intact_threshold(truth, intact)
    weights = cases.resamples.weights
    with np.errstate(invalid="ignore", divide="ignore"):
        with_it = weights[:, truth] / weights[:, truth].sum(axis=1, keepdims=True)
        without = weights[:, ~truth] / weights[:, ~truth].sum(axis=1, keepdims=True)
        whole = with_it @ intact[truth] - without @ intact[~truth]
        result = {}
        for arm in ARMS:
            ranking = own(evaluation.ranking(logits[arm]))
            probability = own(evaluation.classifier.probabilities(logits[arm]))
            gap = with_it @ ranking[:, truth].T - without @ ranking[:, ~truth].T
            result[arm] = {
                "average_precision": np.stack(
                    [weighted_average_precision(truth, step, weights) for step in ranking], axis=1
                ),
                "mean_probability": with_it @ probability[:, truth].T,
                "mean_logit": with_it @ own(logits[arm])[:, truth].T,
                "logit_gap_share": gap / whole[:, None],
                "sensitivity": with_it @ (ranking[:, truth] >= threshold).T,
                "specificity": without @ (ranking[:, ~truth] < threshold).T,
            }
    return result
