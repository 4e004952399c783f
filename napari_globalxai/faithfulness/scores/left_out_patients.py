"""ROC AUC without each patient in turn, exactly, and without weights of every image and patient."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from napari_globalxai.faithfulness.scores.auc_scores import FloatArray


def auc_without_each(
    truth: npt.NDArray[np.bool_], scores: FloatArray, owner: npt.NDArray[np.int64], patients: int
) -> FloatArray:
    """Return ROC AUC of all cases, then without each patient, (1 + patient,); ties count a half.

    Parameters
    ----------
    truth : numpy.ndarray
        bool (case,).
    scores : numpy.ndarray
        (case,).
    owner : numpy.ndarray
        Patient of each case, from 0.
    patients : int
        How many there are; some may have no case here.

    Returns
    -------
    numpy.ndarray
        NaN where only one class is left.
    """
    positive, negative = scores[truth], scores[~truth]
    owners = owner[truth], owner[~truth]
    of_positive = _ahead(positive, negative)
    of_negative = len(positive) - _ahead(negative, positive)
    lost = (
        np.bincount(owners[0], of_positive, patients)
        + np.bincount(owners[1], of_negative, patients)
        - _within(positive, negative, owners, patients)
    )
    wins = np.concatenate([[of_positive.sum()], of_positive.sum() - lost])
    left = [
        np.concatenate([[len(each)], len(each) - np.bincount(each, minlength=patients)])
        for each in owners
    ]
    pairs = left[0] * left[1]
    return np.where(pairs > 0, wins / np.maximum(pairs, 1), np.nan)


def _ahead(values: FloatArray, others: FloatArray) -> FloatArray:
    """Return how many of the others lie below each value; equal ones count a half."""
    ordered = np.sort(others)
    below, up_to = (np.searchsorted(ordered, values, side=side) for side in ("left", "right"))
    return np.asarray((below + up_to) / 2)


def _within(
    positive: FloatArray,
    negative: FloatArray,
    owners: tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]],
    patients: int,
) -> FloatArray:
    """Return what each patient's own pairs add, which are lost once and not twice."""
    found = np.zeros(patients)
    for patient in np.intersect1d(*owners):
        own = positive[owners[0] == patient], negative[owners[1] == patient]
        found[patient] = _ahead(*own).sum()
    return found
