"""Calibration curves, and what happens at each threshold, label by label."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import pandas as pd

Curve = tuple[str, npt.NDArray[np.bool_], npt.NDArray[np.float64]]
CALIBRATION_COLUMNS = (
    *("label", "bin", "images", "mean_probability", "observed", "ci_low", "ci_high"),
)
THRESHOLD_COLUMNS = (
    *("label", "threshold", "tp", "fp", "fn", "tn"),
    *("sensitivity", "specificity", "ppv", "npv"),
)
_BINS = 10
_THRESHOLDS = np.round(np.arange(0.05, 1, 0.05), 2)
# Of the normal distribution, for 95 %.
_Z = 1.959964


def calibration_table(curves: Sequence[Curve]) -> pd.DataFrame:
    """Return in bins of equally many images what is predicted and what happens.

    Parameters
    ----------
    curves : sequence of tuple
        Label, truth and probability (image,) of each.
    """
    rows: list[dict[str, object]] = []
    for label, truth, probability in curves:
        if not len(truth):
            continue
        edges = np.unique(np.quantile(probability, np.linspace(0, 1, _BINS + 1)))
        place = np.searchsorted(edges[1:-1], probability, side="left")
        for number in np.unique(place):
            inside = place == number
            low, high = _wilson(int(truth[inside].sum()), int(inside.sum()))
            rows.append(
                {
                    "label": label,
                    "bin": int(number),
                    "images": int(inside.sum()),
                    "mean_probability": float(probability[inside].mean()),
                    "observed": float(truth[inside].mean()),
                    "ci_low": low,
                    "ci_high": high,
                }
            )
    return pd.DataFrame(rows, columns=list(CALIBRATION_COLUMNS))


def threshold_table(curves: Sequence[Curve]) -> pd.DataFrame:
    """Return counts and rates at thresholds of the probability; NaN where nothing is divided."""
    rows: list[dict[str, object]] = []
    for label, truth, probability in curves:
        for threshold in _THRESHOLDS:
            called = probability >= threshold
            tp, fp = int((called & truth).sum()), int((called & ~truth).sum())
            fn, tn = int((~called & truth).sum()), int((~called & ~truth).sum())
            rows.append(
                {
                    "label": label,
                    "threshold": float(threshold),
                    **{"tp": tp, "fp": fp, "fn": fn, "tn": tn},
                    "sensitivity": _share(tp, tp + fn),
                    "specificity": _share(tn, tn + fp),
                    "ppv": _share(tp, tp + fp),
                    "npv": _share(tn, tn + fn),
                }
            )
    return pd.DataFrame(rows, columns=list(THRESHOLD_COLUMNS))


def _share(part: int, whole: int) -> float:
    return part / whole if whole else float("nan")


def _wilson(count: int, total: int) -> tuple[float, float]:
    """Return Wilson's interval of a share."""
    share, square = count / total, _Z**2 / total
    middle = (share + square / 2) / (1 + square)
    reach = _Z / (1 + square) * np.sqrt(share * (1 - share) / total + square / (4 * total))
    return float(middle - reach), float(middle + reach)
