"""How a map relates to a region: a planted truth, a corner, an anatomical zone."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt


def agreement_with_truth(
    image: npt.NDArray[np.floating], density: npt.NDArray[np.floating]
) -> float:
    """Return the ROC AUC of a map as a detector of the pixels above half of a density's maximum."""
    # Takes seconds to import.
    from sklearn.metrics import roc_auc_score

    inside = density > density.max() / 2
    return float(roc_auc_score(inside.ravel(), image.ravel()))


def share_against_area(image: npt.NDArray[np.floating], region: npt.NDArray[np.bool_]) -> float:
    """Return a region's share of a map's mass divided by its share of the area.

    1 means that the region gets what its size would give it; NaN for a map without mass.
    """
    mass = np.abs(image.astype(np.float64))
    if mass.sum() == 0:
        return float("nan")
    return float(mass[region].sum() / mass.sum() / region.mean())
