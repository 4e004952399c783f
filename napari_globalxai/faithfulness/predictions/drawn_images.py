"""Fewer images for PEPPR than there are: each order takes forwards of all that it is tested on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import numpy.typing as npt

from napari_globalxai.faithfulness.evaluation import Evaluation
from napari_globalxai.faithfulness.folds import dealt_patients
from napari_globalxai.faithfulness.scores.auc_scores import FloatArray

# Multiples of it, less their whole parts, are spread evenly over 0–1 however many there are.
_GOLDEN = (5**0.5 - 1) / 2


def draw_images(
    patients: Sequence[str], truth: FloatArray, most: int, seed: int
) -> npt.NDArray[np.int64]:
    """Return the places of images of whole patients, spread evenly over what patients carry.

    Parameters
    ----------
    patients : sequence of str
        Patient of each image.
    truth : numpy.ndarray
        (image, label): 1, 0 or NaN.
    most : int
        Images at most; one patient is drawn in any case.
    seed : int
        Of the patients' order.
    """
    dealt, owner = dealt_patients(patients, truth, seed)
    # Patients alike stand side by side, so places that are even along the row are even over them.
    drawn = dealt[np.argsort(np.arange(1, len(dealt) + 1) * _GOLDEN % 1)]
    images = np.cumsum(np.bincount(owner, minlength=len(dealt))[drawn])
    chosen = drawn[: max(int(np.searchsorted(images, most, side="right")), 1)]
    return np.flatnonzero(np.isin(owner, chosen))


def on_drawn_images(evaluation: Evaluation, most: int, seed: int) -> Evaluation:
    """Return an evaluation on no more than so many images; see `draw_images`. 0 keeps all."""
    images = len(evaluation.rows)
    if not most or images <= most:
        return evaluation
    places = draw_images(evaluation.patients, evaluation.truth, most, seed)
    return replace(evaluation.of_images(places), drawn_from=images)
