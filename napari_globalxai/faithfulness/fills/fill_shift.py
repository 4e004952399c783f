"""How far a fill alone moves the model, where there is nothing to erase.

On images without any label a good fill changes nothing that matters: whatever the model's output
does there, the fill does, not the loss of a finding.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from napari_globalxai.faithfulness.evaluation import ARMS, Course, Evaluation
from napari_globalxai.faithfulness.fills.feature_shift import Features
from napari_globalxai.faithfulness.numbers_in_words import in_percent
from napari_globalxai.faithfulness.scores.auc_scores import roc_auc

FEWEST_IMAGES = 5
# Of the gap between the mean logits of images with and without the label.
SHIFT_WORTH_SAYING = 0.5
# Of the distance between the features of images without and with the label.
FEATURES_WORTH_SAYING = 2.0
# Of the AUC of blanks that differ by image, above and below 0.5.
BLANK_WORTH_SAYING = 0.1


def half_way(course: Course) -> int:
    """Return the step at which half of the pixels are erased."""
    return int(np.argmin(np.abs(course.fractions - 0.5)))


def fill_shift(
    evaluation: Evaluation, course: Course, label: str, features: Features
) -> dict[str, Any]:
    """Return how far a fill moves the model's output on images without labels.

    Parameters
    ----------
    evaluation : Evaluation
        Model, truth and fill.
    course : Course
        Predictions along a map; no others are made.
    label : str
        The label whose output is looked at.
    features : Features
        Of the same images, at the same steps.

    Returns
    -------
    dict
        ``images`` looked at: those that carry no label, or, where they are too few, not this one;
        mean change of their logit with half of the area erased along the map (``erase``), with the
        other half erased (``restore``) and with nothing left (``blank``); ``logit_gap`` between
        intact images with and without the label; ``in_gaps``, the larger of the two halves' changes
        by size, over that gap; ``blank_auc``, by which blanks tell the label; ``features``: how far
        the images move in what the output is made of, see `Features.shift`.
    """
    index = evaluation.classifier.labels.index(label)
    truth = evaluation.truth
    free = (truth == 0).all(axis=1)
    if free.sum() < FEWEST_IMAGES:
        free = truth[:, index] == 0
    logits = {arm: course.logits[arm][:, :, index].astype(np.float64) for arm in ARMS}
    intact = logits["erase"][0]
    half = half_way(course)
    halves = {arm: float((logits[arm][half] - intact)[free].mean()) for arm in ARMS}
    gap = float(intact[truth[:, index] == 1].mean() - intact[truth[:, index] == 0].mean())
    largest = max(halves.values(), key=abs)
    known = evaluation.cases(index)
    blank = evaluation.ranking(course.logits["restore"][0])[known, index]
    return {
        "images": int(free.sum()),
        **halves,
        "blank": float((logits["restore"][0] - intact)[free].mean()),
        "logit_gap": gap,
        "in_gaps": largest / gap if gap > 0 else float("nan"),
        "blank_auc": roc_auc(truth[known, index] == 1, _plain(blank)),
        "features": features.shift(free, truth[:, index] == 1),
    }


def blank_tells(shift: dict[str, Any]) -> bool:
    """Return whether a fill tells the label where nothing of an image is left."""
    return bool(abs(shift["blank_auc"] - 0.5) > BLANK_WORTH_SAYING)


def fill_cautions(fill: str, shift: dict[str, Any]) -> list[str]:
    """Return, in words, what of a curve may be the fill's own doing.

    Parameters
    ----------
    fill : str
        Its name.
    shift : dict
        As `fill_shift` gives it.
    """
    cautions = []
    if abs(shift["in_gaps"]) > SHIFT_WORTH_SAYING:
        direction = "towards" if shift["in_gaps"] > 0 else "away from"
        cautions.append(
            f"the fill {fill} alone moves {shift['images']} images without labels by "
            f"{in_percent(abs(shift['in_gaps']))} of the logit gap {direction} the label, so "
            "part of the curves is the fill's doing"
        )
    features = shift.get("features", {}).get("in_gaps", 0.0)
    if features > FEATURES_WORTH_SAYING:
        cautions.append(
            f"in what the model's last layer sees, the fill {fill} alone moves images without "
            f"labels {features:.1f} times as far as they lie from those with the label"
        )
    if blank_tells(shift):
        cautions.append(
            f"where nothing of an image is left, the fill {fill} still tells the label (AUC "
            f"{shift['blank_auc']:.2f})"
        )
    return cautions


def _plain(values: npt.NDArray[Any]) -> npt.NDArray[np.float64]:
    return np.asarray(values, np.float64)
