"""Where do maps differ between subgroups? A search over labels, subgroups and places at once.

Patients are the unit: the images of a patient on one side of a comparison are averaged first.
Under the null hypothesis patients are exchangeable, so those on one side only are swapped, and of
those on both sides the two halves. The greatest statistic over everything that is searched gives
the corrected p, so that one search holds one error rate, however much it looks at.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

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
    patient : numpy.ndarray
        Number of the unit's patient, (unit,).
    """

    values: FloatArray
    inside: Mask
    partner: npt.NDArray[np.int64]
    patient: npt.NDArray[np.int64]


class Shuffles:
    """Random numbers for the permutations of patients, the same for every comparison of a label.

    So all subgroups are permuted together, as they were observed together.

    Parameters
    ----------
    patients, permutations : int
        How many.
    generator : numpy.random.Generator
        For them.
    """

    def __init__(self, patients: int, permutations: int, generator: np.random.Generator) -> None:
        self.keys = generator.random((permutations, patients), dtype=np.float32)

    @cached_property
    def places(self) -> npt.NDArray[np.int32]:
        """Place of each patient in each permutation of all of them, (permutation, patient)."""
        places = np.empty(self.keys.shape, np.int32)
        order = np.argsort(self.keys, axis=1)
        np.put_along_axis(places, order, np.arange(self.keys.shape[1], dtype=np.int32)[None], 1)
        return places


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
    return Sides(sums / counts[:, None], key % 2 == 1, partner, patient)


def exchanged(sides: Sides, shuffles: Shuffles) -> Mask:
    """Return which units are inside, as it is and then in each permutation.

    Of the patients on one side only as many as before are drawn; those on both are turned or not.

    Returns
    -------
    numpy.ndarray
        bool (1 + permutation, unit); the number inside is always the same.
    """
    inside, alone = sides.inside, np.flatnonzero(sides.partner < 0)
    first = np.flatnonzero((sides.partner >= 0) & inside)
    drawn = np.empty((len(shuffles.keys) + 1, len(inside)), dtype=bool)
    drawn[:] = inside
    chosen = int(inside[alone].sum())
    if len(alone) == shuffles.keys.shape[1]:
        drawn[1:, alone] = shuffles.places[:, sides.patient[alone]] < chosen
    elif 0 < chosen < len(alone):
        keys = shuffles.keys[:, sides.patient[alone]]
        limit = np.partition(keys, chosen - 1, axis=1)[:, chosen - 1 : chosen]
        drawn[1:, alone] = keys <= limit
    turned = shuffles.keys[:, sides.patient[first]] < 0.5
    drawn[1:, first] = ~turned
    drawn[1:, sides.partner[first]] = turned
    return drawn


def centred_ranks(sides: Sides) -> npt.NDArray[np.float32]:
    """Return ranks of the units at each place less their mean, (unit, place)."""
    ranked = np.asarray(ranks(np.ascontiguousarray(sides.values.T)).T, np.float32)
    return ranked - np.float32((len(ranked) + 1) / 2)


def compare_sides(
    sides: Sides, shuffles: Shuffles, ranked: npt.NDArray[np.float32] | None = None
) -> Difference:
    """Compare two sides at each place by ranks, and permute what is exchangeable.

    Parameters
    ----------
    sides : Sides
        They; each must have a unit.
    shuffles : Shuffles
        For patients by the numbers that `sides` has.
    ranked : numpy.ndarray, optional
        The `centred_ranks`, where they are known.
    """
    ranked = centred_ranks(sides) if ranked is None else ranked
    n_inside = int(sides.inside.sum())
    n_outside = len(sides.inside) - n_inside
    # Ranks sum up to 0, so that those outside are the others' negative.
    sums = exchanged(sides, shuffles).astype(np.float32) @ ranked
    sums *= np.float32(1 / n_inside + 1 / n_outside)
    # With the observed one among them, which is one of those that could have been.
    centre, spread = sums.mean(axis=0), sums.std(axis=0)
    varies = spread > 1e-6 * len(ranked)
    standard = np.where(varies, (sums - centre) / np.where(varies, spread, 1), np.nan)
    beside = np.abs(standard[1:])
    highest = np.nanmax(beside, axis=1) if varies.any() else np.zeros(len(beside))
    return Difference(
        statistic=standard[0].astype(np.float64),
        superiority=0.5 + sums[0].astype(np.float64) / len(ranked),
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
