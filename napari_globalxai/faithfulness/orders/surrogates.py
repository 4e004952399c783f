"""Random maps that are as smooth as a map within the valid area, and fade at its rim as it does.

A shift over the frame brings in what lies outside the valid area, so a map that fades towards the
rim does better than its shifts wherever it is strong. Surrogates live on the valid area: the map's
trend over the depth below the rim is kept, the rest is written in the Laplacian's eigenvectors of
the area, and the coefficients are drawn anew with the power that they have.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property, lru_cache

import numpy as np
import numpy.typing as npt
from scipy.linalg import eigh
from scipy.ndimage import distance_transform_edt, map_coordinates
from scipy.sparse import coo_matrix

from napari_globalxai.faithfulness.orders.map_orders import Mask

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
        return self.source(image).draw(generator)

    def source(self, image: npt.NDArray[np.floating]) -> SurrogateSource:
        """Return what all surrogates of a map have in common, for when many are drawn."""
        values = np.asarray(image[self.valid], np.float64)
        mean, spread = self._trend(values)
        standard = (values - mean) / spread
        cells = self._cell_means(standard)
        return SurrogateSource(
            area=self,
            mean=mean,
            spread=spread,
            coefficients=self.vectors.T @ (cells - cells.mean()),
            fine=standard - self.spread_out(cells),
        )

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

    def spread_out(self, cells: FloatArray) -> FloatArray:
        """Interpolate cells to the valid pixels."""
        field = np.zeros(int(np.prod(self.grid)))
        field[self.inside] = cells
        whole = field.reshape(self.grid)[self._nearest]
        return np.asarray(map_coordinates(whole, self._places, order=1, mode="nearest"))

    @cached_property
    def _nearest(self) -> tuple[npt.NDArray[np.int32], ...]:
        """For each cell of the grid the nearest one inside, along each axis."""
        empty = np.ones(int(np.prod(self.grid)), bool)
        empty[self.inside] = False
        found = distance_transform_edt(
            empty.reshape(self.grid), return_distances=False, return_indices=True
        )
        return tuple(found)

    @cached_property
    def _places(self) -> FloatArray:
        """Where the valid pixels lie, in cells, (axis, pixel)."""
        return np.stack([(at + 0.5) / self.side - 0.5 for at in np.nonzero(self.valid)])


@dataclass(frozen=True)
class SurrogateSource:
    """What all surrogates of a map have in common.

    Attributes
    ----------
    area : ValidArea
        The valid area.
    mean, spread : numpy.ndarray
        The trend of the map, (pixel,).
    coefficients : numpy.ndarray
        Of the map without its trend, in the area's eigenvectors.
    fine : numpy.ndarray
        What is finer than a cell, (pixel,).
    """

    area: ValidArea
    mean: FloatArray
    spread: FloatArray
    coefficients: FloatArray
    fine: FloatArray

    def draw(self, generator: np.random.Generator) -> npt.NDArray[np.float64]:
        """Draw a surrogate, (*spatial); outside the valid area it is 0."""
        drawn = self.area.spread_out(self.area.vectors @ self._redrawn(generator))
        # What is finer than a cell is shuffled.
        fine = generator.permutation(self.fine)
        result = np.zeros(self.area.valid.shape)
        result[self.area.valid] = self.mean + self.spread * (drawn + fine)
        return result

    def _redrawn(self, generator: np.random.Generator) -> FloatArray:
        """Turn the coefficients of each band in a random direction, keeping its power."""
        drawn = generator.standard_normal(len(self.coefficients))
        for first, last in _bands(len(self.coefficients)):
            power = np.linalg.norm(self.coefficients[first:last])
            drawn[first:last] *= power / np.linalg.norm(drawn[first:last])
        return drawn


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
