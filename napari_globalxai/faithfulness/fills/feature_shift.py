"""How far a fill moves images in the features that the model's answers are made of."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from napari_globalxai.faithfulness.evaluation import Course, Evaluation, LogitsByArm
from napari_globalxai.faithfulness.scores.auc_scores import FloatArray
from napari_globalxai.models.penultimate import penultimate_of

Images = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class Features:
    """What goes into the model's last layer, with some of the images erased.

    Attributes
    ----------
    layer : str
        The layer; empty where there are no features.
    along : dict of str to numpy.ndarray
        By arm: (intact or blank, half, blank or intact; image, feature).
    missing : str
        Why there are none.
    """

    layer: str
    along: LogitsByArm
    missing: str = ""

    @classmethod
    def of(cls, evaluation: Evaluation, course: Course, half: int) -> Features:
        """Predict the features along a map.

        Parameters
        ----------
        evaluation : Evaluation
            Model, images and fill.
        course : Course
            Along the map.
        half : int
            The step at which half of the pixels are erased.
        """
        model, missing = penultimate_of(evaluation.classifier)
        if model is None:
            return cls("", {}, missing)
        listening = replace(evaluation, classifier=model, elsewhere=None)
        counts = course.counts[[0, half, -1]]
        return cls(model.layer, listening.logits(course.order, counts))

    def shift(self, free: Images, carriers: Images) -> dict[str, Any]:
        """Return how far the fill moves images without labels, in units of their own spread.

        Parameters
        ----------
        free : numpy.ndarray
            Images without labels, bool (image,).
        carriers : numpy.ndarray
            Images with the label.

        Returns
        -------
        dict
            ``layer``, number of ``features``, and distances between means, see `distance`: of the
            free images from themselves with one half erased (``erase``), with the other half
            erased (``restore``) and with nothing left (``blank``), of the images with the label
            from them (``label``); ``in_gaps``, the larger of the two halves over the label's.
            Where there are no features, ``missing`` says why.
        """
        if self.missing:
            return {"missing": self.missing}
        intact = self.along["erase"][0].astype(np.float64)
        moved = {
            "erase": self.along["erase"][1],
            "restore": self.along["restore"][1],
            "blank": self.along["restore"][0],
        }
        found = {name: distance(intact[free], each[free]) for name, each in moved.items()}
        label = distance(intact[free], intact[carriers])
        largest = max(found["erase"], found["restore"])
        return {
            "layer": self.layer,
            "features": intact.shape[1],
            **found,
            "label": label,
            "in_gaps": largest / label if label > 0 else float("nan"),
        }


def distance(real: FloatArray, others: npt.NDArray[Any]) -> float:
    """Return how far apart the means of two sets of features are, in units of the first's spread.

    That is ‖m₂ − m₁‖ / √(Σ s₁²), with the mean m and the standard deviation s of each feature.

    Parameters
    ----------
    real, others : numpy.ndarray
        (image, feature).
    """
    spread = float(np.sqrt(real.var(axis=0, ddof=1).sum()))
    gap = float(np.linalg.norm(others.mean(axis=0, dtype=np.float64) - real.mean(axis=0)))
    return gap / spread if spread > 0 else float("nan")
