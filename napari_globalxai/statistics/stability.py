"""Whether a global map is stable: whether other patients would have given the same map.

Everything here is a reduction of one matrix, patient × cell: the sums of each patient's image-wise
maps. Patients are the unit throughout; images of one patient stay together.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from napari_globalxai.statistics.ranks import row_spearman

FloatArray = npt.NDArray[np.float64]
# Maps made from patients with these weights: (draw, patient) to (draw, cell).
MapMaker = Callable[[FloatArray], FloatArray]

_INTERVAL = (2.5, 97.5)
_SMALLEST_GROUP = 2
_GROWTH_POINTS = 10
_WEIGHTS_AT_ONCE = 16 << 20
# Of a batch of draws, so that it takes less than a second.
_PRODUCTS_AT_ONCE, _CELLS_AT_ONCE = 1 << 30, 4 << 20
Tick = Callable[[int], None]


@dataclass(frozen=True)
class PatientMaps:
    """The sums of each patient's maps, from which the mean over any patients follows.

    Attributes
    ----------
    sums : numpy.ndarray
        (patient, cell).
    sizes : numpy.ndarray
        Images of each patient; 0 for one who has none.
    """

    sums: FloatArray
    sizes: npt.NDArray[np.int64]

    def __call__(self, weights: FloatArray) -> FloatArray:
        """Return the mean map of patients with these weights, (draw, patient) to (draw, cell)."""
        images = (weights @ self.sizes)[:, None]
        return np.asarray((weights @ self.sums) / np.where(images > 0, images, 1))


@dataclass(frozen=True)
class SomePatients:
    """Maps of some of the patients that weights are given for.

    Attributes
    ----------
    maps : PatientMaps
        Theirs.
    places : numpy.ndarray
        Where they stand among all patients.
    """

    maps: PatientMaps
    places: npt.NDArray[np.int64]

    def __call__(self, weights: FloatArray) -> FloatArray:
        """Return the mean map of patients with these weights; see `PatientMaps`."""
        return self.maps(weights[:, self.places])


@dataclass(frozen=True)
class OverallMaps:
    """The overall map of patients: the mean of labels' maps, each first scaled to mass 1."""

    labels: Sequence[MapMaker]

    def __call__(self, weights: FloatArray) -> FloatArray:
        """Return the overall map of patients with these weights; see `PatientMaps`."""
        total, present = np.zeros(1), np.zeros(1)
        for label in self.labels:
            maps = label(weights)
            mass = np.abs(maps).sum(axis=1, keepdims=True)
            total = total + maps / np.where(mass > 0, mass, 1)
            present = present + (mass > 0)
        return np.asarray(total / np.maximum(present, 1))


@dataclass(frozen=True)
class Agreement:
    """How alike the maps of two groups of patients are that share nobody.

    Attributes
    ----------
    patients : int
        In each group.
    correlation, low, high : float
        Mean over the draws of Spearman's correlation over the cells, and the interval that holds
        95 % of them; NaN where every draw had a constant map.
    draws : int
        How many draws had none.
    """

    patients: int
    correlation: float
    low: float
    high: float
    draws: int


@dataclass(frozen=True)
class Stability:
    """Whether a map is stable.

    Attributes
    ----------
    split_half : Agreement
        Of the maps of random halves of the patients.
    reliability, low, high : float
        The same, brought to all patients by Spearman and Brown: how alike the maps of two cohorts
        of this size would be; with the interval over the splits.
    growth : tuple of Agreement
        The same for groups of growing size.
    settled : float
        The reliability from which a map is called settled.
    settles_at : int or None
        With how many patients it is, or would be, reached; None where nothing points there.
    """

    split_half: Agreement
    reliability: float
    low: float
    high: float
    growth: tuple[Agreement, ...]
    settled: float
    settles_at: int | None

    @property
    def has_settled(self) -> bool:
        """Whether the reliability of all patients reaches what is called settled."""
        return bool(self.reliability >= self.settled)


def ignore_draws(count: int) -> None:
    """Do nothing: the default of what is told of draws."""


def spearman_brown(correlation: float, times: float = 2.0) -> float:
    """Return the reliability of a map of `times` as many patients.

    A correlation of 0 or less is left as it is: there is nothing to grow.
    """
    if not correlation > 0:
        return correlation
    return times * correlation / (1 + (times - 1) * correlation)


def measure_stability(
    maker: MapMaker,
    patients: int,
    inside: npt.NDArray[np.bool_],
    *,
    splits: int = 200,
    settled: float = 0.9,
    seed: int = 0,
    tick: Tick = ignore_draws,
) -> Stability:
    """Return how stable a map is.

    Parameters
    ----------
    maker : callable
        Makes maps of patients: `PatientMaps` or `OverallMaps`.
    patients : int
        How many there are.
    inside : numpy.ndarray
        Cells that are compared, bool (cell,).
    splits : int, optional
        Random splits into halves, and draws of each size.
    settled : float, optional
        Reliability from which a map is called settled.
    seed : int, optional
        Of the draws.
    tick : callable, optional
        Receives how many were made since it was called last; may raise `Cancelled`.
    """
    generator = np.random.default_rng(seed)
    half = patients // 2
    split_half = split_halves(maker, patients, inside, splits, generator, tick)
    growth = tuple(
        _agreement(maker, patients, (size, size), inside, splits, generator, tick)
        for size in _sizes(half)
    )
    return Stability(
        split_half=split_half,
        reliability=spearman_brown(split_half.correlation),
        low=spearman_brown(split_half.low),
        high=spearman_brown(split_half.high),
        growth=growth,
        settled=settled,
        settles_at=_settles_at(growth, split_half, patients, settled),
    )


def split_halves(
    maker: MapMaker,
    patients: int,
    inside: npt.NDArray[np.bool_],
    splits: int,
    generator: np.random.Generator,
    tick: Tick = ignore_draws,
) -> Agreement:
    """Return how alike the maps of random halves of the patients are; see `measure_stability`."""
    half = patients // 2
    return _agreement(maker, patients, (half, patients - half), inside, splits, generator, tick)


def count_draws(patients: int, splits: int) -> int:
    """Return of how many draws `measure_stability` tells at most."""
    return splits * (1 + len(_sizes(patients // 2)))


def bootstrap_bands(
    maker: MapMaker,
    patients: int,
    resamples: int,
    seed: int = 0,
    tick: Tick = ignore_draws,
) -> tuple[FloatArray, FloatArray]:
    """Return the 2.5th and 97.5th percentile of a map over resampled patients, (cell,) each.

    Parameters
    ----------
    maker : callable
        Makes maps of patients.
    patients : int
        How many there are; with fewer than two, the bands are NaN.
    resamples : int
        How often as many patients are drawn with replacement.
    seed : int, optional
        Of the draws.
    tick : callable, optional
        As for `measure_stability`.
    """
    cells = maker(np.zeros((1, patients))).shape[1]
    if patients < 2:
        nowhere = np.full(cells, np.nan)
        return nowhere, nowhere
    drawn = []
    for weights in _resamples(patients, resamples, seed, _at_once(maker, patients, cells)):
        drawn.append(maker(weights))
        tick(len(weights))
    low, high = np.percentile(np.concatenate(drawn), _INTERVAL, axis=0)
    return low, high


def _resamples(
    patients: int, count: int, seed: int, at_once: int = 1 << 10
) -> Iterator[FloatArray]:
    """Draw patients with replacement; give how often each comes, some draws at a time."""
    generator = np.random.default_rng(seed)
    for start in range(0, count, at_once):
        draws = min(at_once, count - start)
        drawn = generator.integers(0, patients, (draws, patients))
        drawn += np.arange(draws)[:, None] * patients
        times = np.bincount(drawn.ravel(), minlength=draws * patients)
        yield times.reshape(draws, patients).astype(np.float64)


def _agreement(
    maker: MapMaker,
    patients: int,
    sizes: tuple[int, int],
    inside: npt.NDArray[np.bool_],
    draws: int,
    generator: np.random.Generator,
    tick: Tick,
) -> Agreement:
    """Compare the maps of random groups of so many patients that share nobody."""
    first, second = sizes
    if min(first, second) < 1 or not inside.any():
        return _unknown(first)
    found = []
    group = np.repeat(np.array([1, 2, 0], np.int8), [first, second, patients - first - second])
    # Of each draw, two maps.
    at_once = max(1, _at_once(maker, patients, inside.size) // 2)
    for start in range(0, draws, at_once):
        count = min(at_once, draws - start)
        groups = np.tile(group, (count, 1))
        generator.permuted(groups, axis=1, out=groups)
        # Both groups of all draws at once: the sums of patients are gone through once.
        maps = maker(np.concatenate([groups == 1, groups == 2]).astype(np.float64))[:, inside]
        found.append(row_spearman(maps[:count], maps[count:]))
        tick(count)
    values = np.concatenate(found)
    values = values[np.isfinite(values)]
    if len(values) == 0:
        return _unknown(first)
    low, high = np.percentile(values, _INTERVAL)
    return Agreement(first, float(values.mean()), float(low), float(high), len(values))


def _at_once(maker: MapMaker, patients: int, cells: int) -> int:
    """Return of how many draws maps are made at once."""
    labels = len(maker.labels) if isinstance(maker, OverallMaps) else 1
    return max(
        1,
        min(
            _WEIGHTS_AT_ONCE // patients,
            _PRODUCTS_AT_ONCE // (patients * cells * max(1, labels)),
            _CELLS_AT_ONCE // cells,
        ),
    )


def _unknown(patients: int) -> Agreement:
    nan = float("nan")
    return Agreement(patients, nan, nan, nan, 0)


def _sizes(half: int) -> list[int]:
    """Return sizes of groups up to half of the patients, evenly on a logarithmic scale."""
    if half < _SMALLEST_GROUP:
        return []
    sizes = np.geomspace(_SMALLEST_GROUP, half, _GROWTH_POINTS)
    return sorted({round(size) for size in sizes})


def _settles_at(
    growth: Sequence[Agreement], split_half: Agreement, patients: int, settled: float
) -> int | None:
    """Return with how many patients a map settles: as seen, else by Spearman and Brown."""
    below = [each.patients for each in growth if not each.correlation >= settled]
    seen = [each.patients for each in growth if each.patients > max(below, default=0)]
    if seen:
        return min(seen)
    correlation = split_half.correlation
    if not correlation > 0:
        return None
    if correlation >= 1:
        return split_half.patients
    times = settled * (1 - correlation) / (correlation * (1 - settled))
    return int(np.ceil(times * patients / 2))
