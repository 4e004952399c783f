"""Two sides of maps, cell by cell, with patients as what is exchanged.

Maps are averaged within patient and side first. Patients on one side only are dealt to the sides
anew, those on both exchange their sides' means, which flips the sign of their difference; both at
once in each permutation. The greatest of the statistics over the cells, alone kept of each
permutation, holds the family-wise error.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import numpy.typing as npt

FloatArray = npt.NDArray[np.float64]

# Permutations at once, so that what they take stays small.
_AT_ONCE = 100
# Of what a cell varies by in all; below it, what is left is rounding.
_LEAST_VARIANCE = 1e-10
# Equal arrangements differ by rounding.
_ROUNDING = 1e-9


@dataclass(frozen=True)
class Sides:
    """Means of patients on each side.

    Attributes
    ----------
    alone : numpy.ndarray
        Means of patients on one side only, (patient, cell).
    in_first : numpy.ndarray
        bool (patient,): whether that is the first side.
    first, second : numpy.ndarray
        Means of the patients on both sides, (patient, cell), in the same order.
    """

    alone: FloatArray
    in_first: npt.NDArray[np.bool_]
    first: FloatArray
    second: FloatArray

    @classmethod
    def of(cls, first: dict[str, FloatArray], second: dict[str, FloatArray]) -> Sides:
        """Return the sides of means by patient."""
        both = sorted(first.keys() & second.keys())
        only = [sorted(first.keys() - second.keys()), sorted(second.keys() - first.keys())]
        cells = len(next(iter((first or second).values())))

        def stacked(rows: list[FloatArray]) -> FloatArray:
            return np.stack(rows) if rows else np.zeros((0, cells))

        return cls(
            stacked([first[name] for name in only[0]] + [second[name] for name in only[1]]),
            np.arange(len(only[0]) + len(only[1])) < len(only[0]),
            stacked([first[name] for name in both]),
            stacked([second[name] for name in both]),
        )

    @property
    def sizes(self) -> tuple[int, int]:
        """Number of patients on each side."""
        n_first = int(self.in_first.sum())
        return n_first + len(self.first), len(self.alone) - n_first + len(self.first)

    @property
    def size(self) -> FloatArray:
        """How large the maps are in the middle of both sides, (cell,)."""
        n_first = int(self.in_first.sum())
        both = len(self.first)
        one = self.alone[:n_first].sum(axis=0) + self.first.sum(axis=0)
        other = self.alone[n_first:].sum(axis=0) + self.second.sum(axis=0)
        n, m = max(n_first + both, 1), max(len(self.alone) - n_first + both, 1)
        return np.asarray(np.abs(one / n + other / m) / 2)

    @property
    def arrangements(self) -> int:
        """In how many ways patients can be exchanged."""
        dealt = math.comb(len(self.alone), int(self.in_first.sum()))
        return dealt << len(self.first)


@dataclass(frozen=True)
class Arrangements:
    """Ways to exchange patients.

    Attributes
    ----------
    order : numpy.ndarray
        int (arrangement, patient on one side): whose place each takes.
    swapped : numpy.ndarray
        bool (arrangement, patient on both sides): whether the sides are exchanged.
    """

    order: npt.NDArray[np.int64]
    swapped: npt.NDArray[np.bool_]

    @classmethod
    def as_it_is(cls, sides: Sides) -> Arrangements:
        """Return the one arrangement that changes nothing."""
        return cls(np.arange(len(sides.alone))[None], np.zeros((1, len(sides.first)), dtype=bool))

    @classmethod
    def draw(cls, sides: Sides, count: int, seed: int) -> Iterator[Arrangements]:
        """Draw arrangements, some at a time."""
        rng = np.random.default_rng(seed)
        for start in range(0, count, _AT_ONCE):
            size = min(_AT_ONCE, count - start)
            order = np.tile(np.arange(len(sides.alone)), (size, 1))
            yield cls(rng.permuted(order, axis=1), rng.random((size, len(sides.first))) < 0.5)


class Comparison(Protocol):
    """What is computed of an arrangement: differences and their studentised values.

    Attributes
    ----------
    varies : numpy.ndarray
        bool (cell,): False where all maps have one value, and there is nothing to test.
    """

    varies: npt.NDArray[np.bool_]

    def of(self, ways: Arrangements) -> tuple[FloatArray, FloatArray]:
        """Return differences and t, (arrangement, cell); t is 0 where nothing varies."""


class MeanDifference:
    """The mean of the patients of the first side minus that of the second, studentised.

    The variance is that of the sum of what each patient adds to the difference. Without patients
    on both sides that is Welch's t, where all are on both sides the paired t.
    """

    def __init__(self, sides: Sides) -> None:
        self._sides = sides
        every = np.concatenate([sides.alone, sides.first, sides.second])
        # Differences do not know the mean, and sums of squares lose less without it.
        mean = every.mean(axis=0)
        self._alone, self._first, self._second = (
            each - mean for each in (sides.alone, sides.first, sides.second)
        )
        self.varies = np.ptp(every, axis=0) > 0
        self._tolerance = _LEAST_VARIANCE * every.var(axis=0) / len(every)

    def of(self, ways: Arrangements) -> tuple[FloatArray, FloatArray]:
        """Return differences and t; see `Comparison`."""
        first, second = self._first, self._second
        dealt = self._sides.in_first[ways.order].astype(np.float64)
        swapped = ways.swapped.astype(np.float64)
        pairs = first.sum(axis=0) + swapped @ (second - first)
        pair_squares = np.square(first).sum(axis=0) + swapped @ (
            np.square(second) - np.square(first)
        )
        sums = dealt @ self._alone + pairs
        squares = dealt @ np.square(self._alone) + pair_squares
        all_pairs = (first + second).sum(axis=0)
        everything = self._alone.sum(axis=0) + all_pairs
        all_squares = sum(np.square(each).sum(axis=0) for each in (self._alone, first, second))
        n, m = self._sides.sizes
        one, other = sums / n, (everything - sums) / m
        around = (squares - n * one**2, all_squares - squares - m * other**2)
        crossed = (
            (first * second).sum(axis=0)
            - other * pairs
            - one * (all_pairs - pairs)
            + len(first) * one * other
        )
        variance = (
            around[0] / (n * (n - 1))
            + around[1] / (m * (m - 1))
            - 2 * crossed / math.sqrt(n * (n - 1) * m * (m - 1))
        )
        return one - other, _studentised(one - other, variance, self._tolerance)


class AdjustedDifference:
    """The difference at equal covariates, after Freedman and Lane.

    Ordinary least squares over patients: one row for each that is on one side, with an intercept,
    and the difference of its sides, over √2, for each that is on both. The residuals of the model
    without sides are exchanged, and the whole model is fitted to them anew.

    Parameters
    ----------
    sides : Sides
        The maps.
    covariates : Sides
        Means of the covariates, for the same patients, a column each.

    Raises
    ------
    ValueError
        When the covariates leave nothing of the sides, or too few patients.
    """

    def __init__(self, sides: Sides, covariates: Sides) -> None:
        root = math.sqrt(2)
        maps = np.concatenate([sides.alone, (sides.first - sides.second) / root])
        every = np.concatenate([sides.alone, sides.first, sides.second])
        self.varies = np.ptp(every, axis=0) > 0
        pairs = (covariates.first - covariates.second) / root
        nuisance = np.concatenate([covariates.alone, pairs])
        side = np.concatenate(
            [np.where(sides.in_first, 0.5, -0.5), np.full(len(sides.first), 1 / root)]
        )
        if len(sides.alone):
            intercept = (np.arange(len(maps)) < len(sides.alone)).astype(float)
            nuisance = np.column_stack([intercept, nuisance])
        self._basis = _basis(nuisance)
        self._alone = len(sides.alone)
        self._side = side - self._basis @ (self._basis.T @ side)
        self._size = float(self._side @ self._side)
        self._free = len(maps) - self._basis.shape[1] - 1
        if self._size < _LEAST_VARIANCE * len(maps):
            raise ValueError("the covariates tell the sides apart by themselves")
        if self._free < 1:
            raise ValueError("there are too few patients for so many covariates")
        self._rest = maps - self._basis @ (self._basis.T @ maps)
        self._squares = np.square(self._rest).sum(axis=0)
        self._tolerance = _LEAST_VARIANCE * every.var(axis=0) / self._size

    def of(self, ways: Arrangements) -> tuple[FloatArray, FloatArray]:
        """Return differences and t; see `Comparison`."""
        difference = self._arranged(self._side, ways) @ self._rest / self._size
        explained = difference**2 * self._size
        for column in self._basis.T:
            explained += (self._arranged(column, ways) @ self._rest) ** 2
        variance = (self._squares - explained) / self._free / self._size
        return difference, _studentised(difference, variance, self._tolerance)

    def _arranged(self, column: FloatArray, ways: Arrangements) -> FloatArray:
        signs = np.where(ways.swapped, -1.0, 1.0)
        return np.concatenate(
            [column[: self._alone][ways.order], signs * column[self._alone :]], axis=1
        )


def _basis(columns: FloatArray) -> FloatArray:
    """Return orthonormal columns that span the same."""
    if not columns.shape[1]:
        return columns
    left, sizes, _ = np.linalg.svd(columns, full_matrices=False)
    return np.asarray(left[:, sizes > sizes.max(initial=0) * 1e-10])


def _studentised(difference: FloatArray, variance: FloatArray, tolerance: FloatArray) -> FloatArray:
    varies = variance > tolerance
    return np.asarray(np.where(varies, difference / np.sqrt(np.where(varies, variance, 1)), 0.0))


# Makes of t, (arrangement, cell), the scores whose greatest size is compared.
Score = Callable[[FloatArray], FloatArray]


@dataclass(frozen=True)
class Contrast:
    """What permutations say of a difference.

    Attributes
    ----------
    difference, t, score : numpy.ndarray
        (cell,); the score is what was compared: t, or t enhanced by its clusters.
    p : numpy.ndarray
        Family-wise corrected, (cell,).
    maxima : numpy.ndarray
        Greatest size of the score, (permutation,).
    varies : numpy.ndarray
        bool (cell,): False where nothing varies, and nothing was tested.
    """

    difference: FloatArray
    t: FloatArray
    score: FloatArray
    p: FloatArray
    maxima: FloatArray
    varies: npt.NDArray[np.bool_]


def permute(
    sides: Sides,
    comparison: Comparison,
    *,
    permutations: int,
    seed: int,
    score: Score = lambda t: t,
    tick: Callable[[int], None] = lambda done: None,
) -> Contrast:
    """Compare two sides with permutations of them.

    Parameters
    ----------
    sides : Sides
        The maps.
    comparison : Comparison
        What is computed of each arrangement.
    permutations : int
        How many are drawn.
    seed : int
        Of the draw; sides of the same patients are permuted alike.
    score : callable, optional
        What is made of t before its greatest size is taken.
    tick : callable, optional
        Called with the number of finished permutations.
    """
    difference, t = comparison.of(Arrangements.as_it_is(sides))
    own = score(t)[0]
    maxima: list[FloatArray] = []
    done = 0
    for ways in Arrangements.draw(sides, permutations, seed):
        maxima.append(np.abs(score(comparison.of(ways)[1])).max(axis=1))
        done += len(ways.order)
        tick(done)
    greatest = np.concatenate(maxima)
    p = corrected_p(np.abs(own), greatest)
    return Contrast(difference[0], t[0], own, p, greatest, comparison.varies)


def corrected_p(sizes: FloatArray, maxima: FloatArray) -> FloatArray:
    """Return (1 + #{maxima ≥ size}) / (1 + permutations) of each size."""
    ordered = np.sort(maxima)
    below = np.searchsorted(ordered, sizes * (1 - _ROUNDING), side="left")
    p = (1 + len(ordered) - below) / (1 + len(ordered))
    return np.asarray(np.where(sizes > 0, p, 1.0))


def mean_by_patient(
    maps: npt.NDArray[np.floating], patients: Sequence[str]
) -> dict[str, FloatArray]:
    """Return the mean of each patient's maps, (image, cell)."""
    names, patient = np.unique(np.asarray(patients, dtype=str), return_inverse=True)
    order = np.argsort(patient, kind="stable")
    starts = np.searchsorted(patient[order], np.arange(len(names)))
    sums = np.add.reduceat(maps[order], starts, axis=0, dtype=np.float64)
    means = sums / np.bincount(patient, minlength=len(names))[:, None]
    return dict(zip(names.tolist(), means, strict=True))
