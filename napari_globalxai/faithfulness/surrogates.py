"""Random maps that are as smooth as a map within the valid area, and fade at its rim as it does.

A shift over the frame brings in what lies outside the valid area, so a map that fades towards the
rim does better than its shifts wherever it is strong. Surrogates live on the valid area: the map's
trend over the depth below the rim is kept, the rest is written in the Laplacian's eigenvectors of
the area, and the coefficients are drawn anew with the power that they have.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import numpy.typing as npt
from scipy.linalg import eigh
from scipy.ndimage import distance_transform_edt, map_coordinates
from scipy.sparse import coo_matrix

from napari_globalxai.faithfulness.orders import Mask

FloatArray = npt.NDArray[np.float64]

# Eigenvectors of more cells take minutes.
_MOST_CELLS = 1200
# Of the greatest depth: how far the rim reaches, and the knots of the trend there.
_RIM = 1 / 3
_KNOTS = 6
# Eigenvectors a band: few where they are long, more where they are short.
_FIRST_BANDS, _WIDTH, _LATER_BANDS = 5, 4, 24


@dataclass(frozen=True)
class ValidArea:
    """A valid area in cells, with what surrogates on it are made of.

    Attributes
    ----------
    valid : numpy.ndarray
        bool (*spatial).
    cell_of : numpy.ndarray
        Cell of every valid pixel.
    grid : tuple of int
        Cells along each axis.
    inside : numpy.ndarray
        Flat positions in the grid of the cells that hold valid pixels.
    side : int
        Pixels along a cell's side.
    vectors : numpy.ndarray
        Eigenvectors of the Laplacian, (cell, vector), long waves first, without the constant.
    trend : numpy.ndarray
        Basis of the trend over depth, (pixel, knot).
    """

    valid: Mask
    cell_of: npt.NDArray[np.int64]
    grid: tuple[int, ...]
    inside: npt.NDArray[np.int64]
    side: int
    vectors: FloatArray
    trend: FloatArray

    @classmethod
    def of(cls, valid: Mask) -> ValidArea:
        """Return the area of a mask; the last few are remembered."""
        return _area_of(valid.tobytes(), valid.shape)

    def surrogate(
        self, image: npt.NDArray[np.floating], generator: np.random.Generator
    ) -> npt.NDArray[np.float64]:
        """Draw a surrogate of a map, (*spatial); outside the valid area it is 0.

        Parameters
        ----------
        image : numpy.ndarray
            The map, (*spatial), finite on the valid area.
        generator : numpy.random.Generator
            Of the same state gives the same directions for any map.
        """
        values = np.asarray(image[self.valid], np.float64)
        mean, spread = self._trend(values)
        standard = (values - mean) / spread
        cells = self._cell_means(standard)
        coarse = self._spread_out(cells)
        drawn = self._spread_out(self._redrawn(cells, generator))
        # What is finer than a cell is shuffled.
        fine = generator.permutation(standard - coarse)
        result = np.zeros(self.valid.shape)
        result[self.valid] = mean + spread * (drawn + fine)
        return result

    def _trend(self, values: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Return mean and spread of a map over the depth below the rim."""
        mean = self.trend @ np.linalg.lstsq(self.trend, values, rcond=None)[0]
        square = (values - mean) ** 2
        variance = self.trend @ np.linalg.lstsq(self.trend, square, rcond=None)[0]
        # A constant map has no spread to divide by.
        least = max(1e-6 * float(square.max()), np.finfo(float).tiny)
        return mean, np.sqrt(np.maximum(variance, least))

    def _cell_means(self, values: FloatArray) -> FloatArray:
        count = len(self.inside)
        sums = np.bincount(self.cell_of, weights=values, minlength=count)
        return np.asarray(sums / np.bincount(self.cell_of, minlength=count))

    def _redrawn(self, cells: FloatArray, generator: np.random.Generator) -> FloatArray:
        """Turn the coefficients of each band in a random direction, keeping its power."""
        coefficients = self.vectors.T @ (cells - cells.mean())
        drawn = generator.standard_normal(len(coefficients))
        for first, last in _bands(len(coefficients)):
            power = np.linalg.norm(coefficients[first:last])
            drawn[first:last] *= power / np.linalg.norm(drawn[first:last])
        return np.asarray(self.vectors @ drawn)

    def _spread_out(self, cells: FloatArray) -> FloatArray:
        """Interpolate cells to the valid pixels."""
        field = np.zeros(int(np.prod(self.grid)))
        field[self.inside] = cells
        empty = np.ones(field.shape, bool)
        empty[self.inside] = False
        # Cells outside take the value of the nearest one inside.
        nearest = distance_transform_edt(
            empty.reshape(self.grid), return_distances=False, return_indices=True
        )
        whole = field.reshape(self.grid)[tuple(nearest)]
        places = [(at + 0.5) / self.side - 0.5 for at in np.nonzero(self.valid)]
        return np.asarray(map_coordinates(whole, places, order=1, mode="nearest"))


@lru_cache(maxsize=4)
def _area_of(packed: bytes, shape: tuple[int, ...]) -> ValidArea:
    valid = np.frombuffer(packed, bool).reshape(shape)
    side = 1
    while len(np.unique(_cells(valid, side))) > _MOST_CELLS:
        side += 1
    inside, cell_of = np.unique(_cells(valid, side), return_inverse=True)
    grid = tuple(-(-size // side) for size in shape)
    return ValidArea(
        valid=valid,
        cell_of=cell_of,
        grid=grid,
        inside=inside,
        side=side,
        vectors=_eigenvectors(inside, grid),
        trend=_depth_basis(valid),
    )


def _cells(valid: Mask, side: int) -> npt.NDArray[np.int64]:
    """Return the flat position in the grid of the cell of every valid pixel."""
    grid = tuple(-(-size // side) for size in valid.shape)
    places = tuple(at // side for at in np.nonzero(valid))
    return np.asarray(np.ravel_multi_index(places, grid))


def _eigenvectors(inside: npt.NDArray[np.int64], grid: tuple[int, ...]) -> FloatArray:
    """Return the eigenvectors of the graph of neighbouring cells, without the constant one."""
    number = np.full(int(np.prod(grid)), -1)
    number[inside] = np.arange(len(inside))
    numbers = number.reshape(grid)
    pairs = []
    for axis in range(len(grid)):
        first = np.take(numbers, range(grid[axis] - 1), axis).ravel()
        second = np.take(numbers, range(1, grid[axis]), axis).ravel()
        both = (first >= 0) & (second >= 0)
        pairs.append((first[both], second[both]))
    first, second = (np.concatenate(side) for side in zip(*pairs, strict=True))
    count = len(inside)
    links = coo_matrix((np.ones(len(first)), (first, second)), shape=(count, count)).toarray()
    links = links + links.T
    _, vectors = eigh(np.diag(links.sum(axis=1)) - links)
    return np.asarray(vectors[:, 1:])


def _depth_basis(valid: Mask) -> FloatArray:
    """Return the basis of a piecewise linear function of the depth, flat beyond the rim."""
    depth = distance_transform_edt(np.pad(valid, 1))[tuple(slice(1, -1) for _ in valid.shape)]
    below = depth[valid]
    reach = max(_RIM * float(below.max()), 1.0)
    knots = np.linspace(0, reach, _KNOTS)
    shallow = np.minimum(below, reach)
    return np.stack([np.interp(shallow, knots, one) for one in np.eye(_KNOTS)], axis=1)


def _bands(count: int) -> list[tuple[int, int]]:
    """Return first and last eigenvectors of each band."""
    low = np.arange(_FIRST_BANDS) * _WIDTH
    high = np.geomspace(_FIRST_BANDS * _WIDTH, max(count, _FIRST_BANDS * _WIDTH + 1), _LATER_BANDS)
    edges = np.unique(np.minimum(np.concatenate([low, high.astype(int), [count]]), count))
    return list(zip(edges[:-1].tolist(), edges[1:].tolist(), strict=True))
