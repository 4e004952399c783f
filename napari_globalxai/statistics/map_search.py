"""Where do maps differ between subgroups? A search over labels, subgroups and places at once.

Patients are the unit: the images of a patient on one side of a comparison are averaged first.
Under the null hypothesis patients are exchangeable, so those on one side only are swapped, and of
those on both sides the two halves. The greatest statistic over everything that is searched gives
the corrected p, so that one search holds one error rate, however much it looks at.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from napari_globalxai.statistics.ranks import ranks

FloatArray = npt.NDArray[np.float64]
Mask = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class Sides:
    """The units of a comparison: patients, or the two halves of those on both sides.

    Attributes
    ----------
    values : numpy.ndarray
        Mean of a patient's images on one side, (unit, place).
    inside : numpy.ndarray
        On which side the unit is, (unit,).
    partner : numpy.ndarray
        Of a patient on both sides the number of the other unit, else −1.
    """

    values: FloatArray
    inside: Mask
    partner: npt.NDArray[np.int64]


@dataclass(frozen=True)
class Difference:
    """What a comparison of two sides gives at each place, before any correction.

    Attributes
    ----------
    statistic : numpy.ndarray
        Standardised difference of mean ranks, (place,); NaN where all values are the same.
    superiority : numpy.ndarray
        Probability that a unit inside has a greater share than one outside, ties a half, (place,).
    highest : numpy.ndarray
        The greatest absolute statistic over all places in each permutation, (permutation,).
    patients_inside, patients_outside : int
        Units on each side.
    """

    statistic: FloatArray
    superiority: FloatArray
    highest: FloatArray
    patients_inside: int
    patients_outside: int


def split_sides(values: FloatArray, inside: Mask, owner: npt.NDArray[np.intp]) -> Sides:
    """Average the images of each patient on each side.

    Parameters
    ----------
    values : numpy.ndarray
        (image, place).
    inside : numpy.ndarray
        (image,).
    owner : numpy.ndarray
        Number of each image's patient, (image,).
    """
    key, unit = np.unique(owner * 2 + inside, return_inverse=True)
    counts = np.bincount(unit)
    sums = np.zeros((len(key), values.shape[1]))
    np.add.at(sums, unit, values)
    patient = key // 2
    partner = np.full(len(key), -1)
    both = np.flatnonzero(patient[1:] == patient[:-1])
    partner[both], partner[both + 1] = both + 1, both
    return Sides(sums / counts[:, None], key % 2 == 1, partner)


def exchanged(
    sides: Sides, permutations: int, generator: np.random.Generator
) -> npt.NDArray[np.float32]:
    """Return weights (1 + permutations, unit): the difference of means, first as it is."""
    inside, alone = sides.inside, np.flatnonzero(sides.partner < 0)
    first = np.flatnonzero((sides.partner >= 0) & inside)
    drawn = np.empty((permutations + 1, len(inside)), dtype=bool)
    drawn[:] = inside
    chosen = int(inside[alone].sum())
    if 0 < chosen < len(alone):
        keys = generator.random((permutations, len(alone)), dtype=np.float32)
        limit = np.partition(keys, chosen - 1, axis=1)[:, chosen - 1 : chosen]
        drawn[1:, alone] = keys <= limit
    if len(first):
        flipped = generator.random((permutations, len(first)), dtype=np.float32) < 0.5
        drawn[1:, first] = ~flipped
        drawn[1:, sides.partner[first]] = flipped
    count = drawn.sum(axis=1, keepdims=True, dtype=np.float32)
    weights = drawn * (1 / count + 1 / (len(inside) - count)) - 1 / (len(inside) - count)
    return np.asarray(weights, np.float32)


def compare_sides(sides: Sides, permutations: int, generator: np.random.Generator) -> Difference:
    """Compare two sides at each place by ranks, and permute what is exchangeable."""
    ranked = np.asarray(ranks(np.ascontiguousarray(sides.values.T)).T, np.float32)
    ranked -= ranked.mean(axis=0)
    differences = exchanged(sides, permutations, generator) @ ranked
    # With the observed one among them, which is one of those that could have been.
    centre, spread = differences.mean(axis=0), differences.std(axis=0)
    varies = spread > 1e-6 * len(ranked)
    standard = np.where(varies, (differences - centre) / np.where(varies, spread, 1), np.nan)
    n_inside = int(sides.inside.sum())
    n_outside = len(sides.inside) - n_inside
    mean_difference = differences[0].astype(np.float64)
    highest = np.nanmax(np.abs(standard[1:]), axis=1) if varies.any() else np.zeros(permutations)
    return Difference(
        statistic=standard[0].astype(np.float64),
        superiority=0.5 + mean_difference / (n_inside + n_outside),
        highest=np.asarray(highest, np.float64),
        patients_inside=n_inside,
        patients_outside=n_outside,
    )


def corrected(statistics: FloatArray, highest: FloatArray) -> FloatArray:
    """Return p values against the greatest statistics of all permutations; NaN stays NaN."""
    ordered = np.sort(highest)
    exceeding = len(ordered) - np.searchsorted(ordered, np.abs(statistics), side="left")
    p = (1 + exceeding) / (1 + len(ordered))
    return np.where(np.isnan(statistics), np.nan, p)
