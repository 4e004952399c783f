"""At what fraction a curve reaches a level: sufficient and necessary fractions."""

from __future__ import annotations

import numpy as np
from scipy.optimize import isotonic_regression

from napari_globalxai.faithfulness.scores.auc_scores import FloatArray
from napari_globalxai.faithfulness.verdict.verdicts import NECESSARY_SHARE, SUFFICIENT_SHARE


def crossing(fractions: FloatArray, values: FloatArray, level: float) -> float:
    """Return the fraction at which a curve, made to rise, first reaches a level.

    The curve is replaced by the nearest one that never falls (isotonic regression), so that chance
    ups and downs do not count, and is interpolated between its steps.

    Parameters
    ----------
    fractions : numpy.ndarray
        Fractions of the steps, rising.
    values : numpy.ndarray
        The curve.
    level : float
        What it must reach; NaN where it does not.
    """
    if not (np.isfinite(values).all() and np.isfinite(level)):
        return float("nan")
    rising = isotonic_regression(values).x
    # Averaging within a block must not lift a curve over the level that it ends at.
    reached = rising >= level - 1e-9
    if not reached.any():
        return float("nan")
    first = int(np.argmax(reached))
    if first == 0:
        return float(fractions[0])
    low, high = rising[first - 1], rising[first]
    share = (level - low) / (high - low)
    step = fractions[first] - fractions[first - 1]
    return float(fractions[first - 1] + np.clip(share, 0, 1) * step)


def sufficient_fraction(fractions: FloatArray, restored: FloatArray, intact: float) -> float:
    """Return the fraction that brings the AUC 95 % of the way from 0.5 to intact.

    NaN where the intact AUC is not above 0.5.
    """
    if not intact > 0.5:
        return float("nan")
    return crossing(fractions, restored, 0.5 + SUFFICIENT_SHARE * (intact - 0.5))


def necessary_fraction(fractions: FloatArray, erased: FloatArray, intact: float) -> float:
    """Return the fraction whose erasing takes half of what the intact AUC has above 0.5."""
    if not intact > 0.5:
        return float("nan")
    return crossing(fractions, -erased, -(intact - NECESSARY_SHARE * (intact - 0.5)))


def share_fraction(fractions: FloatArray, restored: FloatArray, intact: float) -> float:
    """Return the fraction that brings back 95 % of an intact value above 0."""
    if not intact > 0:
        return float("nan")
    return crossing(fractions, restored, SUFFICIENT_SHARE * intact)
