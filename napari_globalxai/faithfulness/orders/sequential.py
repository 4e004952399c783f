"""How many controls are needed: p by a count that grows, with its interval, and when to stop."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from napari_globalxai.faithfulness.scores.auc_scores import FloatArray

SIGNIFICANCE = 0.05
_LEVEL = 0.95
_FEWEST_FOR_A_LIMIT = 20


@dataclass(frozen=True)
class Count:
    """How many controls of a family did at least as well as the map.

    Attributes
    ----------
    reached : int
        Controls that did at least as well.
    tested : int
        Controls evaluated.
    every : int or None
        Controls that there are, where they can all be enumerated; None where they are drawn.
    is_far : bool
        Whether the map lies beyond the tolerance limit of drawn controls, see `lies_far`.
    """

    reached: int
    tested: int
    every: int | None = None
    is_far: bool = False

    @property
    def p(self) -> float:
        """(1 + number at least as good) / (1 + number tested)."""
        return (1 + self.reached) / (1 + self.tested)

    @property
    def is_exact(self) -> bool:
        """Whether all controls that there are were tested, so that p holds no luck."""
        return self.every is not None and self.tested >= self.every

    @property
    def interval(self) -> tuple[float, float]:
        """Where p would come to lie with more controls, at 95 %.

        Of drawn controls by Clopper and Pearson; of enumerated ones by the best and the worst that
        the rest can do, which is certain.
        """
        if self.every is not None:
            rest = max(self.every - self.tested, 0)
            whole = 1 + self.tested + rest
            return (1 + self.reached) / whole, (1 + self.reached + rest) / whole
        return clopper_pearson(self.reached, self.tested)

    @property
    def decision(self) -> bool | None:
        """True: p is at most 0.05; False: it is above; None: the interval holds 0.05."""
        low, high = self.interval
        if self.every is not None:
            if high <= SIGNIFICANCE:
                return True
            return False if low > SIGNIFICANCE else None
        if high < SIGNIFICANCE or (self.is_far and not self.reached):
            return True
        return False if low > SIGNIFICANCE else None


def clopper_pearson(hits: int, draws: int) -> tuple[float, float]:
    """Return the exact 95 % interval of a share."""
    if draws == 0:
        return 0.0, 1.0
    # A report or a viewer need not wait for SciPy.
    from scipy.special import betaincinv

    tail = (1 - _LEVEL) / 2
    low = float(betaincinv(hits, draws - hits + 1, tail)) if hits else 0.0
    high = float(betaincinv(hits + 1, draws - hits, 1 - tail)) if hits < draws else 1.0
    return low, high


def lies_far(own: float, controls: FloatArray) -> bool:
    """Return whether a map's Δ lies where fewer than 5 % of controls can be expected.

    That is beyond the one-sided tolerance limit of a normal distribution (Howe, 1969, in its exact
    form): at 97.5 % confidence 95 % of controls lie below it. A map far above all controls is so
    recognised by its distance, after fewer draws than counting takes.

    Parameters
    ----------
    own : float
        Δ of the map.
    controls : numpy.ndarray
        Δ of drawn controls, (control,).
    """
    count = len(controls)
    if count < _FEWEST_FOR_A_LIMIT:
        return False
    from scipy.stats import nct, norm

    distance = float(norm.ppf(1 - SIGNIFICANCE)) * count**0.5
    factor = float(nct.ppf(1 - (1 - _LEVEL) / 2, count - 1, distance)) / count**0.5
    return bool(own > controls.mean() + factor * controls.std(ddof=1))


def fewest_draws() -> int:
    """Return how many drawn controls can at least show that p is below 0.05."""
    draws = 1
    while clopper_pearson(0, draws)[1] >= SIGNIFICANCE:
        draws += 1
    return draws


def exceedances(own: FloatArray, controls: FloatArray, *, together: bool) -> FloatArray:
    """Count by target the controls that did at least as well as the map.

    Parameters
    ----------
    own : numpy.ndarray
        Δ of the map, (target,).
    controls : numpy.ndarray
        Δ of the controls, (control, target).
    together : bool
        Whether targets are judged on one map, and a control counts for a target when it does as
        well for any: the maximum over targets of Δ, standardised by all orders, the map's too, so
        that it is a member of its controls like any other.
    """
    if not len(controls):
        return np.zeros(len(own), int)
    if not together:
        return np.asarray((controls >= own).sum(axis=0))
    every = np.vstack([controls, own])
    spread = every.std(axis=0)
    spread[spread == 0] = 1.0
    standard = (every - every.mean(axis=0)) / spread
    highest = standard[:-1].max(axis=1)
    return np.asarray((highest[:, None] >= standard[-1]).sum(axis=0))


def holm(p_values: FloatArray) -> FloatArray:
    """Return p-values corrected by Holm's method for being several."""
    p = np.asarray(p_values, float)
    order = np.argsort(p)
    steps = (len(p) - np.arange(len(p))) * p[order]
    corrected = np.empty_like(p)
    corrected[order] = np.minimum(np.maximum.accumulate(steps), 1.0)
    return corrected
