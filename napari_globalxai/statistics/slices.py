"""Slices of a cohort in which predictions are worse than in the rest, with patients as the unit.

AUC is compared by its influence function, summed over each patient's images (as DeLong's variance
is for independent cases, and Obuchowski's for clustered ones); calibration by the mean of
prediction less truth.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np
import numpy.typing as npt

from napari_globalxai.statistics.subgroups import Subgroup

FloatArray = npt.NDArray[np.float64]
Mask = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class Slice:
    """Images that fulfil some conditions.

    Attributes
    ----------
    query : str
        What `maps --where` takes.
    conditions : tuple of str
        The parts that are joined by and.
    inside, known : numpy.ndarray
        Which images belong to it, and which have the values that tell, (image,).
    """

    query: str
    conditions: tuple[str, ...]
    inside: Mask
    known: Mask


@dataclass(frozen=True)
class Gap:
    """A measure in a slice and in the rest.

    Attributes
    ----------
    inside, outside : float
        The measure.
    low, high : float
        95 % interval of the difference, inside less outside.
    p : float
        Not corrected: one-sided of AUC (inside is not below), two-sided of calibration.
    """

    inside: float
    outside: float
    low: float
    high: float
    p: float


def conjunctions(groups: Sequence[Subgroup], depth: int) -> Iterator[Slice]:
    """Give every conjunction of conditions on different columns, each set of images once."""
    sides = [
        each for group in groups for each in ((group, group.turned()) if group.pair else (group,))
    ]
    seen: set[bytes] = set()
    for count in range(1, depth + 1):
        for chosen in combinations(sides, count):
            if len({each.column for each in chosen}) < count:
                continue
            inside = np.logical_and.reduce([each.inside for each in chosen])
            key = np.packbits(inside).tobytes()
            if key in seen:
                continue
            seen.add(key)
            conditions = tuple(each.query for each in chosen)
            known = np.logical_and.reduce([each.known for each in chosen])
            yield Slice(" and ".join(conditions), conditions, inside, known)


def placements(truth: Mask, score: FloatArray) -> tuple[float, FloatArray]:
    """Return the ROC AUC, and of each image the share of the other class that it is right of.

    Ties count a half; the mean over either class is the AUC.
    """
    found = np.empty(len(score))
    for side, others, sign in ((truth, ~truth, 1), (~truth, truth, -1)):
        ordered = np.sort(sign * score[others])
        own = sign * score[side]
        below = np.searchsorted(ordered, own, "left") + np.searchsorted(ordered, own, "right")
        found[side] = below / 2 / len(ordered)
    return float(found[truth].mean()), found


def auc_gap(
    truth: Mask, score: FloatArray, owner: npt.NDArray[np.intp], inside: Mask, outside: Mask
) -> Gap:
    """Compare the ROC AUC of two sets of images, which may share some.

    Parameters
    ----------
    truth, score, owner : numpy.ndarray
        Truth, what images are ranked by, and the number of the patient, (image,).
    inside, outside : numpy.ndarray
        The sets, (image,); each must have both classes.
    """
    both = inside | outside
    # Under the null hypothesis all images are of one kind. Near an AUC of 1 a slice's own variance
    # would be next to nothing, and its p far too small.
    area, placed = placements(truth[both], score[both])
    pooled, own = np.zeros(len(truth)), np.zeros(len(truth))
    pooled[both] = placed - area
    areas, weighted, fewest = [], np.zeros(len(truth)), []
    for sign, chosen in ((1, inside), (-1, outside)):
        area, placed = placements(truth[chosen], score[chosen])
        areas.append(area)
        size = np.where(truth, (chosen & truth).sum(), (chosen & ~truth).sum())
        weighted += sign * np.where(chosen, pooled / size, 0)
        own[chosen] += sign * (placed - area) / size[chosen]
        fewest += [len(np.unique(owner[chosen & side])) for side in (truth, ~truth)]
    return _gap((areas[0], areas[1]), weighted, own, owner, min(fewest), one_sided=True)


def calibration_gap(
    truth: Mask, probability: FloatArray, owner: npt.NDArray[np.intp], inside: Mask, outside: Mask
) -> Gap:
    """Compare by how much predictions lie above what happens in two sets of images."""
    excess = probability - truth
    means = [float(excess[chosen].mean()) for chosen in (inside, outside)]
    influence = np.zeros(len(truth))
    for sign, chosen, mean in ((1, inside, means[0]), (-1, outside, means[1])):
        influence[chosen] += sign * (excess[chosen] - mean) / chosen.sum()
    fewest = min(len(np.unique(owner[chosen])) for chosen in (inside, outside))
    return _gap((means[0], means[1]), influence, influence, owner, fewest)


def _gap(
    measures: tuple[float, float],
    under_the_null: FloatArray,
    influence: FloatArray,
    owner: npt.NDArray[np.intp],
    fewest: int,
    *,
    one_sided: bool = False,
) -> Gap:
    """Return a gap from the influence of each image on the difference: for p, and as it is."""
    from scipy.special import stdtr, stdtrit

    difference, freedom = measures[0] - measures[1], max(1, fewest - 1)
    reach = float(stdtrit(freedom, 0.975)) * _error(influence, owner)
    error = _error(under_the_null, owner)
    p = 1.0
    if error > 0:
        statistic = difference / error
        p = float(stdtr(freedom, statistic) if one_sided else 2 * stdtr(freedom, -abs(statistic)))
    return Gap(*measures, difference - reach, difference + reach, p)


def _error(influence: FloatArray, owner: npt.NDArray[np.intp]) -> float:
    """Return the standard error of a sum over patients."""
    patients = max(2, int((np.bincount(owner, influence != 0) > 0).sum()))
    by_patient = np.bincount(owner, influence)
    return float(np.sqrt((by_patient**2).sum() * patients / (patients - 1)))


def holm(p: FloatArray) -> FloatArray:
    """Return p values corrected for their number by Holm's steps."""
    order = np.argsort(p, kind="stable")
    stepped = np.maximum.accumulate(p[order] * np.arange(len(p), 0, -1))
    result = np.empty(len(p))
    result[order] = np.minimum(1, stepped)
    return result
