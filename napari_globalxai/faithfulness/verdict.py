"""From curves and controls to a plain word for each label."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from napari_globalxai.faithfulness.scores import FloatArray

FAITHFUL = "faithful"
NOT_FAITHFUL = "not faithful"
NOT_ENOUGH_DATA = "not enough data"
# Put behind a word that would say too much alone.
WITH_A_CAUTION = "with a caution"
SIGNIFICANCE = 0.05
SUFFICIENT_SHARE = 0.95
NECESSARY_SHARE = 0.5


@dataclass(frozen=True)
class Verdict:
    """The plain word and the sentence behind it.

    Attributes
    ----------
    word : str
        ``faithful``, ``not faithful`` or ``not enough data``.
    reason : str
        The numbers behind it.
    """

    word: str
    reason: str


def control_p_value(delta: float, controls: Sequence[float] | FloatArray) -> float:
    """Return (1 + number of controls at least as good) / (1 + number of controls)."""
    values = np.asarray(controls, dtype=float)
    return float((1 + np.sum(values >= delta)) / (1 + len(values)))


def sufficient_fraction(fractions: FloatArray, restored: FloatArray, intact: float) -> float:
    """Return the smallest fraction whose restored AUC has come 95 % of the way from 0.5 to intact.

    NaN where the intact AUC is not above 0.5.
    """
    if not intact > 0.5:
        return float("nan")
    reached = restored >= 0.5 + SUFFICIENT_SHARE * (intact - 0.5)
    return float(fractions[np.argmax(reached)]) if reached.any() else float("nan")


def necessary_fraction(fractions: FloatArray, erased: FloatArray, intact: float) -> float:
    """Return the smallest fraction whose erased AUC has lost half of what intact has above 0.5."""
    if not intact > 0.5:
        return float("nan")
    lost = erased <= intact - NECESSARY_SHARE * (intact - 0.5)
    return float(fractions[np.argmax(lost)]) if lost.any() else float("nan")


@dataclass(frozen=True)
class Evidence:
    """What a label is judged by.

    Attributes
    ----------
    positives, negatives : int
        Images with and without the label.
    intact_low : float
        Lower end of the 95 % interval of the intact AUC.
    delta, delta_low : float
        Area between restoring and erasing, and the lower end of its 95 % interval.
    p_values : dict of str to float
        By family of controls that is judged.
    controls : int
        Orders of the family that has the fewest.
    """

    positives: int
    negatives: int
    intact_low: float = float("nan")
    delta: float = float("nan")
    delta_low: float = float("nan")
    p_values: Mapping[str, float] = field(default_factory=dict)
    controls: int = 0


def judge(evidence: Evidence, fewest: int) -> Verdict:
    """Judge one label.

    Parameters
    ----------
    evidence : Evidence
        The numbers.
    fewest : int
        Positives and negatives needed at least.
    """
    positives, negatives = evidence.positives, evidence.negatives
    if min(positives, negatives) < fewest:
        return Verdict(
            NOT_ENOUGH_DATA,
            f"{positives} images with and {negatives} without the label; at least {fewest} of each "
            "are needed",
        )
    if not evidence.intact_low > 0.5:
        return Verdict(NOT_ENOUGH_DATA, "the intact model is not proven better than chance")
    if 1 / (1 + evidence.controls) > SIGNIFICANCE:
        return Verdict(
            NOT_ENOUGH_DATA, f"{evidence.controls} controls cannot give p ≤ {SIGNIFICANCE}; 19 can"
        )
    numbers = ", ".join(
        f"p = {p:.3f} against {name} orders" for name, p in evidence.p_values.items()
    )
    numbers = f"Δ = {evidence.delta:.3f}, {numbers}"
    if evidence.delta_low > 0 and all(p <= SIGNIFICANCE for p in evidence.p_values.values()):
        return Verdict(FAITHFUL, numbers)
    if not evidence.delta_low > 0:
        numbers += f"; the 95 % interval of Δ begins at {evidence.delta_low:.3f}"
    return Verdict(NOT_FAITHFUL, numbers)
