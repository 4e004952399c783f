"""Orders that a faithful map must beat, without which a curve proves nothing."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from napari_globalxai.faithfulness import orders
from napari_globalxai.faithfulness.evaluation import ControlCache, LogitsByArm
from napari_globalxai.faithfulness.orders import Order
from napari_globalxai.progress import Progress, ProgressCallback
from napari_globalxai.settings.peppr_settings import PepprSettings

FAMILIES = ("random", "shifted")


@dataclass(frozen=True)
class Controls:
    """Results of the control orders, on the control steps.

    Attributes
    ----------
    families : dict of str to numpy.ndarray
        ROC AUC (order, arm, step, label) of the random and the circularly shifted orders; a family
        without members is missing.
    named : dict of str to dict
        Logits by arm of the reversed, centre-distance and mean-intensity orders.
    """

    families: dict[str, npt.NDArray[np.float64]]
    named: dict[str, LogitsByArm]


def run_controls(
    cache: ControlCache,
    own: LogitsByArm,
    image: npt.NDArray[np.floating],
    map_name: str,
    settings: PepprSettings,
    progress: ProgressCallback,
) -> Controls:
    """Evaluate all controls of one map.

    Parameters
    ----------
    cache : ControlCache
        Evaluates orders, or remembers them.
    own : dict
        Logits (step, image, label) of both arms along the map, on the control steps.
    image : numpy.ndarray
        The map, (height, width).
    map_name : str
        For the progress.
    settings : PepprSettings
        Number of controls and seed.
    progress : callable
        May raise `Cancelled`.
    """
    evaluation = cache.evaluation
    valid, seed, count = evaluation.valid, settings.seed, settings.controls
    members: dict[str, tuple[str, Iterable[Order]]] = {
        "random": ("Testing random orders", orders.random_orders(valid, count, seed)),
        "shifted": (
            f"Testing {map_name} shifted",
            orders.shifted_orders(image, valid, count, seed),
        ),
    }
    families = {}
    for name, (stage, family) in members.items():
        progress(Progress(stage, 0, count))
        curves = []
        for member in family:
            curves.append(cache.roc_auc_curves(member))
            progress(Progress(stage, len(curves), count))
        if curves:
            families[name] = np.stack(curves)
    mean_image = evaluation.stack.mean_image(evaluation.rows)
    simple = {
        "centre-distance": orders.centre_distance_order(valid, seed),
        "mean-intensity": orders.mean_intensity_order(mean_image, valid, seed),
    }
    # The counts are symmetric, so erasing along the reversed order is restoring along the order.
    named = {"reversed": {"erase": own["restore"][::-1], "restore": own["erase"][::-1]}}
    for number, (name, member) in enumerate(simple.items()):
        progress(Progress("Testing simple orders", number, len(simple)))
        named[name] = cache.logits(member)
    progress(Progress("Testing simple orders", len(simple), len(simple)))
    return Controls(families, named)
