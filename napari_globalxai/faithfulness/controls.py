"""Control orders, evaluated: without them a curve proves nothing."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from napari_globalxai.errors import InputError
from napari_globalxai.faithfulness.evaluation import ControlCache, Course, LogitsByArm
from napari_globalxai.faithfulness.order_families import (
    OrderFamily,
    Ranking,
    family_look,
    order_families,
)
from napari_globalxai.faithfulness.orders import Order
from napari_globalxai.progress import Progress, ProgressCallback

_COMPARING = "Testing simple orders"


@dataclass(frozen=True)
class Controls:
    """Results of the control orders, on the control steps.

    Attributes
    ----------
    judged : dict of str to numpy.ndarray
        By family whose rank counts: ROC AUC (order, arm, step, label) of its orders.
    compared : dict of str to dict
        By family of one order: logits by arm. A family that gave none is missing.
    """

    judged: dict[str, npt.NDArray[np.float64]]
    compared: dict[str, LogitsByArm]

    @property
    def fewest(self) -> int:
        """Orders of the judged family that has the fewest."""
        return min((len(curves) for curves in self.judged.values()), default=0)


@dataclass(frozen=True)
class Trial:
    """What was predicted along a map and along its controls.

    Attributes
    ----------
    course : Course
        Along the map.
    coarse : numpy.ndarray
        Which of its steps the controls were evaluated at.
    controls : Controls
        Their results.
    """

    course: Course
    coarse: npt.NDArray[np.int64]
    controls: Controls


def run_controls(cache: ControlCache, ranking: Ranking, progress: ProgressCallback) -> Controls:
    """Evaluate all controls of one map.

    Parameters
    ----------
    cache : ControlCache
        Evaluates orders, or remembers them.
    ranking : Ranking
        What orders are made from.
    progress : callable
        May raise `Cancelled`.
    """
    families = order_families()
    compared = [name for name, family in families.items() if not family.judged]
    controls = Controls({}, {})
    for name, family in families.items():
        if family.judged:
            controls.judged[name] = _judged_curves(name, family, cache, ranking, progress)
    for number, name in enumerate(compared):
        progress(Progress(_COMPARING, number, len(compared)))
        order = next(iter(families[name].orders(ranking)), None)
        if order is not None:
            controls.compared[name] = cache.logits(_checked(name, order, ranking))
    progress(Progress(_COMPARING, len(compared), len(compared)))
    return controls


def _judged_curves(
    name: str,
    family: OrderFamily,
    cache: ControlCache,
    ranking: Ranking,
    progress: ProgressCallback,
) -> npt.NDArray[np.float64]:
    """Return ROC AUC (order, arm, step, label) of a family's orders."""
    stage = f"Testing {family_look(name).within}"
    progress(Progress(stage, 0, ranking.count))
    curves = []
    for order in family.orders(ranking):
        curves.append(cache.roc_auc_curves(_checked(name, order, ranking)))
        progress(Progress(stage, len(curves), max(ranking.count, len(curves))))
    return np.stack(curves) if curves else np.empty((0, 0, 0, 0))


def _checked(name: str, order: Order, ranking: Ranking) -> Order:
    if not np.array_equal(np.sort(order), np.flatnonzero(ranking.valid)):
        raise InputError(
            f"The family of orders {name!r} gave an order that does not hold every valid pixel "
            "once; mend the package that offers it, or remove it."
        )
    return order
