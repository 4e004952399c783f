"""Which images enter a label's global map."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    from napari_globalxai.settings.aggregation_settings import AggregationSettings


def select_rows(
    truth: npt.NDArray[np.float64],
    probability: npt.NDArray[np.float64],
    settings: AggregationSettings,
) -> npt.NDArray[np.int64]:
    """Return the rows that enter one label's map.

    Parameters
    ----------
    truth, probability : numpy.ndarray
        (image,): 1, 0 or NaN; and the predicted probability, NaN where there is no prediction.
    settings : AggregationSettings
        Selection and threshold.
    """
    carries, lacks = truth == 1, truth == 0
    predicted = probability >= settings.threshold
    chosen = {
        "positives": carries,
        "predicted-positives": predicted,
        "true-positives": carries & predicted,
        "false-positives": lacks & predicted,
        "false-negatives": carries & ~predicted,
        "true-negatives": lacks & ~predicted,
        "negatives": lacks,
        "all": np.ones_like(carries),
    }[settings.selection]
    return np.flatnonzero(chosen & np.isfinite(probability))
