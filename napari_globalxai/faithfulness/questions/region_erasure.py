"""What a model loses when one region is erased: the direct test of a suspected shortcut."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from napari_globalxai.faithfulness.evaluation import Evaluation
from napari_globalxai.faithfulness.orders.map_orders import Mask
from napari_globalxai.faithfulness.predictions.passes import ignore_tick
from napari_globalxai.faithfulness.scores.auc_scores import roc_auc


@dataclass(frozen=True)
class RegionEffect:
    """What erasing a region does to one label.

    Attributes
    ----------
    intact_auc, erased_auc : float
        ROC AUC without and with the region erased.
    logit_change : float
        Mean change of the positives' logit; AUC alone knows no scale.
    """

    intact_auc: float
    erased_auc: float
    logit_change: float


def erase_region(
    evaluation: Evaluation, region: Mask, tick: Callable[[int, int], None] = ignore_tick
) -> dict[str, RegionEffect]:
    """Erase a region of the full frame in all images and predict again.

    The valid area plays no part: a mark burnt into a dark corner lies outside of it.

    Parameters
    ----------
    evaluation : Evaluation
        Model, images, truth and fill.
    region : numpy.ndarray
        bool (*spatial).
    tick : callable, optional
        Receives how many batches are done, and of how many; may raise `Cancelled`.

    Returns
    -------
    dict of str to RegionEffect
        By label; labels with one class only are left out.
    """
    whole = np.ones(evaluation.stack.shape, dtype=bool)
    logits = evaluation.predict([whole, ~region], tick)
    ranking = evaluation.ranking(logits)
    effects = {}
    for index, label in enumerate(evaluation.classifier.labels):
        known = evaluation.cases(index)
        truth = evaluation.truth[known, index] == 1
        if truth.all() or not truth.any():
            continue
        intact, erased = (roc_auc(truth, ranking[step, known, index]) for step in (0, 1))
        change = (logits[1] - logits[0])[known, index][truth].mean()
        effects[label] = RegionEffect(intact, erased, float(change))
    return effects
