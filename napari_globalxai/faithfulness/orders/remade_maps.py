"""How much Δ owes to which patients a map was made of: maps made again of half of them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.special import stdtrit

from napari_globalxai.faithfulness.orders.control_steps import EARLY
from napari_globalxai.faithfulness.orders.map_orders import Order
from napari_globalxai.faithfulness.predictions.kept_predictions import ControlCache
from napari_globalxai.faithfulness.scores.auc_scores import FloatArray
from napari_globalxai.faithfulness.targets import Targets
from napari_globalxai.progress import Progress, ProgressCallback

REMAKING = "Testing maps of half of the patients"


@dataclass(frozen=True)
class RemadeMaps:
    """ROC AUC along maps that were made again.

    Attributes
    ----------
    curves : numpy.ndarray
        (map, arm, step, label and pooled).
    fractions : numpy.ndarray
        Of the steps.
    """

    curves: FloatArray
    fractions: FloatArray

    def enter(self, areas: dict[str, dict[str, Any]], targets: Targets) -> None:
        """Add to each target's areas what the map's patients add to the spread of Δ.

        A mean over half of the patients, drawn without replacement, strays from that of all as far
        as that of all strays from the truth: (1 − f) / f = 1 for f = ½.
        """
        if len(self.curves) < 2:
            return
        early = targets.deltas(self.curves, self.fractions, EARLY)
        whole = targets.deltas(self.curves, self.fractions)
        t = float(stdtrit(len(self.curves) - 1, 0.975))
        for place, name in enumerate(targets.names):
            spread = float(whole[:, place].std(ddof=1))
            low, high = areas[name]["delta_ci"]
            delta = areas[name]["delta"]
            areas[name]["remade"] = {
                "maps": len(self.curves),
                "delta_sd": spread,
                "early_delta_sd": float(early[:, place].std(ddof=1)),
                "delta_ci": [
                    delta - float(np.hypot(delta - low, t * spread)),
                    delta + float(np.hypot(high - delta, t * spread)),
                ],
            }


def halves(patients: Sequence[str], count: int, seed: int) -> Iterator[npt.NDArray[np.bool_]]:
    """Give random halves of the patients, each followed by its complement: bool (image,)."""
    names, owner = np.unique(np.asarray(patients), return_inverse=True)
    generator = np.random.default_rng([seed, 6])
    for pair in range(-(-count // 2)):
        chosen = generator.permutation(len(names)) < len(names) // 2
        for half in (chosen, ~chosen)[: count - 2 * pair]:
            yield np.asarray(half[owner])


def run_remade(
    cache: ControlCache, orders: Sequence[Order], progress: ProgressCallback
) -> RemadeMaps:
    """Evaluate orders of maps that were made again."""
    curves: list[FloatArray] = []

    def stop(done: int, total: int) -> None:
        progress(Progress(REMAKING, len(curves), len(orders)))

    for start in range(0, len(orders), cache.evaluation.orders_ahead):
        some = orders[start : start + cache.evaluation.orders_ahead]
        with closing(cache.roc_auc_curves(some, stop)) as found:
            for each in found:
                curves.append(each)
                progress(Progress(REMAKING, len(curves), len(orders)))
    own = cache.evaluation.roc_auc_curves(cache.own.logits)
    every = np.stack(curves) if curves else np.empty((0, *own.shape))
    return RemadeMaps(every, cache.own.fractions)
