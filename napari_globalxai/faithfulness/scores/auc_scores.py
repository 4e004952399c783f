"""Performance of predictions, and its uncertainty by resampling patients."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import numpy.typing as npt

FloatArray = npt.NDArray[np.float64]
METRICS = ("roc_auc", "average_precision", "mean_probability", "mean_logit")
_DRAWS_AT_ONCE = 20
# Case weights at once: they and what is made of them stay within a core's cache.
_A_BLOCK = 1 << 16


def weighted_roc_auc(
    truth: npt.NDArray[np.bool_], scores: FloatArray, weights: FloatArray
) -> FloatArray:
    """Return the ROC AUC under each row of case weights; ties count a half.

    Parameters
    ----------
    truth : numpy.ndarray
        bool (image,).
    scores : numpy.ndarray
        (image,).
    weights : numpy.ndarray
        (resample, image), not negative.

    Returns
    -------
    numpy.ndarray
        (resample,); NaN where a resample has one class only.
    """
    if not len(scores):
        return np.full(len(weights), np.nan)
    order = np.argsort(scores, kind="stable")
    # Where each distinct score begins; then every positive is above all negatives with lower scores
    # and level with those of its own.
    starts = _starts(scores[order])
    carries = truth[order]

    def of(rows: FloatArray) -> FloatArray:
        positive = rows[:, order] * carries
        negative = np.add.reduceat(rows[:, order] - positive, starts, axis=1)
        positive = np.add.reduceat(positive, starts, axis=1)
        below = np.cumsum(negative, axis=1) - negative
        wins = (positive * (below + negative / 2)).sum(axis=1)
        pairs = positive.sum(axis=1) * negative.sum(axis=1)
        with np.errstate(invalid="ignore", divide="ignore"):
            return np.asarray(np.where(pairs > 0, wins / pairs, np.nan))

    return _in_blocks(of, weights)


def _starts(level: FloatArray) -> npt.NDArray[np.int64]:
    """Return where each distinct value of sorted ones begins."""
    return np.flatnonzero(np.concatenate([[True], level[1:] != level[:-1]]))


def _in_blocks(of: Callable[[FloatArray], FloatArray], weights: FloatArray) -> FloatArray:
    """Return what is made of rows of weights, a few rows at once: that is quicker, and small."""
    at_once = max(1, _A_BLOCK // max(1, weights.shape[1]))
    parts = [of(weights[start : start + at_once]) for start in range(0, len(weights), at_once)]
    return np.concatenate(parts) if parts else np.empty(0)


def roc_auc(truth: npt.NDArray[np.bool_], scores: FloatArray) -> float:
    """Return the ROC AUC of one set of scores; NaN with one class only."""
    return float(weighted_roc_auc(truth, scores, np.ones((1, len(scores))))[0])


def weighted_average_precision(
    truth: npt.NDArray[np.bool_], scores: FloatArray, weights: FloatArray
) -> FloatArray:
    """Return the average precision under each row of case weights; ties share one threshold.

    Parameters
    ----------
    truth, scores, weights : numpy.ndarray
        As for `weighted_roc_auc`; NaN where a row has no positive.
    """
    order = np.argsort(-scores, kind="stable")
    starts = _starts(scores[order])
    carries = truth[order]

    def of(rows: FloatArray) -> FloatArray:
        every = np.add.reduceat(rows[:, order], starts, axis=1)
        positive = np.add.reduceat(rows[:, order] * carries, starts, axis=1)
        with np.errstate(invalid="ignore", divide="ignore"):
            precision = np.cumsum(positive, axis=1) / np.cumsum(every, axis=1)
            gained = positive / positive.sum(axis=1, keepdims=True)
        # A threshold that no weight has reached yet gains nothing.
        gained_precision = np.where(positive > 0, gained * precision, 0.0).sum(axis=1)
        return np.asarray(np.where(positive.sum(axis=1) > 0, gained_precision, np.nan))

    return _in_blocks(of, weights)


def average_precision(truth: npt.NDArray[np.bool_], scores: FloatArray) -> float:
    """Return the average precision of one set of scores."""
    # Imports SciPy, which a report or a viewer need not wait for.
    from sklearn.metrics import average_precision_score

    return float(average_precision_score(truth, scores))


def log_odds(logits: npt.NDArray[np.floating], activation: str) -> FloatArray:
    """Return the log-odds of each label against the rest, which images are ranked by.

    Probabilities of a softmax tie at 0 and 1 where logits lie far apart; log-odds do not.

    Parameters
    ----------
    logits : numpy.ndarray
        (..., label); NaN stays NaN.
    activation : str
        With ``softmax`` labels exclude each other; else a logit is a log-odds already.
    """
    values = np.asarray(logits, np.float64)
    if activation != "softmax":
        return values
    # NumPy would warn of the NaNs of images that failed.
    with np.errstate(invalid="ignore"):
        others = [
            np.logaddexp.reduce(np.delete(values, label, axis=-1), axis=-1)
            for label in range(values.shape[-1])
        ]
    return np.asarray(values - np.stack(others, axis=-1))


def score(
    metric: str,
    truth: npt.NDArray[np.bool_],
    ranking: FloatArray,
    probability: FloatArray,
    logit: FloatArray,
) -> float:
    """Return one metric of one label.

    Parameters
    ----------
    metric : str
        One of `METRICS`; the last two are means over the images that truly carry the label.
    truth : numpy.ndarray
        bool (image,).
    ranking, probability, logit : numpy.ndarray
        (image,): what images are ranked by, the probability and the logit.
    """
    if metric == "roc_auc":
        return roc_auc(truth, ranking)
    if metric == "average_precision":
        return average_precision(truth, ranking)
    return float((probability if metric == "mean_probability" else logit)[truth].mean())


def patient_resamples(
    patients: Sequence[str], truth: npt.NDArray[np.bool_], count: int, seed: int
) -> FloatArray:
    """Return case weights (count, image) of a patient-level stratified bootstrap.

    Patients are drawn with replacement, those with a positive image and those without apart, and
    bring all their images along, because images of one patient are not independent.
    """
    _, owner = np.unique(np.asarray(patients), return_inverse=True)
    n_patients = int(owner.max()) + 1 if len(owner) else 0
    has_positive = np.zeros(n_patients, dtype=bool)
    has_positive[owner[truth]] = True
    generator = np.random.default_rng(seed)
    # A patient that is drawn 65 536 times is not to be met.
    drawn = np.zeros((count, n_patients), np.uint16)
    for stratum in (np.flatnonzero(has_positive), np.flatnonzero(~has_positive)):
        if len(stratum):
            share = np.full(len(stratum), 1 / len(stratum))
            for start in range(0, count, _DRAWS_AT_ONCE):
                part = drawn[start : start + _DRAWS_AT_ONCE]
                part[:, stratum] = generator.multinomial(len(stratum), share, size=len(part))
    return drawn.astype(np.float64)[:, owner]


def area(fractions: FloatArray, values: FloatArray) -> FloatArray:
    """Return areas under curves by the trapezoid rule over the actual fractions, last axis."""
    return np.asarray(np.trapezoid(values, fractions, axis=-1))


def early_area(fractions: FloatArray, values: FloatArray, until: float) -> FloatArray:
    """Return the area under curves up to a fraction, by the trapezoid rule, last axis.

    Parameters
    ----------
    fractions : numpy.ndarray
        Fractions of the steps, rising from 0.
    values : numpy.ndarray
        (..., step).
    until : float
        Where the area ends; between two steps the curve is interpolated.
    """
    inside = fractions < until
    after = min(int(inside.sum()), len(fractions) - 1)
    low, high = fractions[after - 1], fractions[after]
    share = np.clip((until - low) / (high - low), 0, 1)
    end = values[..., after - 1] + share * (values[..., after] - values[..., after - 1])
    within = np.concatenate([values[..., inside], end[..., None]], axis=-1)
    return np.asarray(np.trapezoid(within, np.append(fractions[inside], until), axis=-1))
