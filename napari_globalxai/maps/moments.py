"""Mean and SD of maps that come one group after the other."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt


class Moments:
    """Mean and sum of squared deviations of maps that come in groups (Chan et al., 1983).

    Parameters
    ----------
    shape : tuple of int
        Of a map.

    Attributes
    ----------
    n : int
        How many maps have come.
    mean, squares : numpy.ndarray
        Their mean, and their squared deviations from it, summed; float64.
    """

    def __init__(self, shape: tuple[int, ...]) -> None:
        self.n = 0
        self.mean = np.zeros(shape)
        self.squares = np.zeros(shape)

    def add(self, maps: npt.NDArray[np.float64]) -> None:
        """Take a group of maps in, (map, ...)."""
        count = len(maps)
        if count == 0:
            return
        mean = maps.mean(axis=0)
        away = maps - mean
        self._merge(count, mean, np.einsum("m...,m...->...", away, away))

    def merge(self, other: Moments) -> None:
        """Take in all that others hold."""
        if other.n:
            self._merge(other.n, other.mean, other.squares)

    def _merge(
        self, count: int, mean: npt.NDArray[np.float64], squares: npt.NDArray[np.float64]
    ) -> None:
        total = self.n + count
        delta = mean - self.mean
        self.squares += squares + delta**2 * (self.n * count / total)
        self.mean += delta * (count / total)
        self.n = total

    def sd(self) -> npt.NDArray[np.float64]:
        """Return the SD (n − 1); NaN for fewer than two maps."""
        if self.n < 2:
            return np.full(self.mean.shape, np.nan)
        return np.asarray(np.sqrt(self.squares / (self.n - 1)))
