"""Intervals of ratios of sums over patients: a region's share of mass, and the like.

Patients are resampled, so that numerator and denominator vary together; intervals are corrected for
bias and skewness (BCa; B. Efron, Better bootstrap confidence intervals, 1987).
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

FloatArray = npt.NDArray[np.float64]

LEVEL = 0.95


def patient_weights(
    patients: int, resamples: int, generator: np.random.Generator
) -> npt.NDArray[np.float32]:
    """Return how often each patient is drawn in each resample, (resample, patient)."""
    drawn = generator.integers(patients, size=(resamples, patients))
    drawn += patients * np.arange(resamples)[:, None]
    counts = np.bincount(drawn.ravel(), minlength=patients * resamples)
    return counts.reshape(resamples, patients).astype(np.float32)


def sums_by_patient(values: FloatArray, owner: npt.NDArray[np.intp], patients: int) -> FloatArray:
    """Return sums over the images of each patient, (patient, ...)."""
    sums = np.zeros((patients, *values.shape[1:]))
    np.add.at(sums, owner, values)
    return sums


def ratio_intervals(
    numerator: FloatArray, denominator: FloatArray, weights: npt.NDArray[np.float32]
) -> tuple[FloatArray, FloatArray]:
    """Return the 95 % intervals of ratios of sums.

    Parameters
    ----------
    numerator, denominator : numpy.ndarray
        Sums by patient, (patient, ratio); patients that have no part in a ratio have 0 in both.
    weights : numpy.ndarray
        See `patient_weights`.

    Returns
    -------
    tuple of numpy.ndarray
        Lower and upper bounds, (ratio,); NaN where the denominator is 0.
    """
    # Takes a second to import.
    from scipy.special import ndtr, ndtri

    with np.errstate(invalid="ignore", divide="ignore"):
        drawn = (weights @ numerator.astype(np.float32)) / (
            weights @ denominator.astype(np.float32)
        )
        whole = numerator.sum(axis=0) / denominator.sum(axis=0)
        left_out = (numerator.sum(axis=0) - numerator) / (denominator.sum(axis=0) - denominator)
    takes_part = denominator > 0
    skewness = _acceleration(left_out, takes_part & np.isfinite(left_out))
    bounds = np.full((2, len(whole)), np.nan)
    tails = ndtri([(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    for index, value in enumerate(whole):
        known = np.sort(drawn[np.isfinite(drawn[:, index]), index])
        if not np.isfinite(value) or not len(known):
            continue
        # Rounding to single precision must not part what is equal.
        close = 1e-5 * max(abs(value), 1e-12)
        below = np.searchsorted(known, value - close) + np.searchsorted(known, value + close)
        share = np.clip(below / 2 / len(known), 1 / (2 * len(known)), 1 - 1 / (2 * len(known)))
        shift = ndtri(share)
        levels = ndtr(shift + (shift + tails) / (1 - skewness[index] * (shift + tails)))
        bounds[:, index] = np.quantile(known, levels)
    return bounds[0], bounds[1]


def mean_above_p(values: FloatArray) -> FloatArray:
    """Return one-sided p of the hypothesis that a mean over patients is not above 0, by t.

    Parameters
    ----------
    values : numpy.ndarray
        (patient, hypothesis).
    """
    from scipy.special import stdtr

    count = len(values)
    if count < 2:
        return np.ones(values.shape[1])
    spread = values.std(axis=0, ddof=1)
    varies = spread > 0
    statistic = values.mean(axis=0) / np.where(varies, spread, 1) * np.sqrt(count)
    return np.asarray(np.where(varies, stdtr(count - 1, -statistic), 1.0))


def _acceleration(left_out: FloatArray, takes_part: npt.NDArray[np.bool_]) -> FloatArray:
    """Return the acceleration of each ratio from its values with one patient left out."""
    count = np.maximum(takes_part.sum(axis=0), 1)
    values = np.where(takes_part, left_out, 0)
    away = np.where(takes_part, values.sum(axis=0) / count - values, 0)
    squares = (away**2).sum(axis=0)
    return np.asarray((away**3).sum(axis=0) / np.where(squares > 0, 6 * squares**1.5, 1))
