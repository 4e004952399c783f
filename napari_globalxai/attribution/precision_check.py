"""What a half-size number format has done to a cohort, told by images that no trial has seen."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.special import betaincinv

from napari_globalxai.attribution.precision import PROBABILITY_TOLERANCE
from napari_globalxai.models.classifier import Classifier

IMAGES_CHECKED = 64
CONFIDENCE = 0.95


@dataclass(frozen=True)
class PrecisionCheck:
    """How far predictions of a run are from those in float32.

    Attributes
    ----------
    changes : numpy.ndarray
        The most that a probability differs by, of each image that was looked at.
    """

    changes: npt.NDArray[np.float64]

    @property
    def beyond(self) -> int:
        """Images of which a probability differs by more than the tolerance, or is no number."""
        return int((~(self.changes <= PROBABILITY_TOLERANCE)).sum())

    @property
    def bound(self) -> float:
        """The share of all images that differ so at most, with a confidence of 95 %.

        The exact one-sided limit of Clopper and Pearson.
        """
        seen, beyond = len(self.changes), self.beyond
        return 1.0 if beyond == seen else float(betaincinv(beyond + 1, seen - beyond, CONFIDENCE))

    @property
    def sentence(self) -> str:
        """What was found, without a full stop."""
        return (
            f"of {len(self.changes)} other images {self.beyond} changed a probability by more "
            f"than {PROBABILITY_TOLERANCE:g} (by {np.max(self.changes):.4f} at most), so of all at "
            f"most {self.bound:.0%} do, with a confidence of {CONFIDENCE:.0%}"
        )


def check_precision(
    classifier: Classifier,
    images: Iterable[npt.NDArray[np.uint8]],
    logits: npt.NDArray[np.float32],
) -> PrecisionCheck:
    """Predict some images of a finished cohort again, in float32.

    Parameters
    ----------
    classifier : Classifier
        The model; its own precision does not matter here.
    images : iterable of numpy.ndarray
        The images, (1, channel, height, width) in 0–255 each, read as they are needed.
    logits : numpy.ndarray
        What the run has predicted of them, (image, label).
    """
    exact = classifier.working_with(precision="float32")
    changes = [
        np.abs(
            classifier.probabilities(exact.predict(image)) - classifier.probabilities(found[None])
        ).max()
        for image, found in zip(images, logits, strict=True)
    ]
    return PrecisionCheck(np.array(changes, np.float64))
