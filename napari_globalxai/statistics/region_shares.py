"""How much of the maps' mass lies in a region, image by image, against the region's area.

A region is a part of the frame, and the frame is the whole: a share is never measured over the
field of view alone, since a mark burnt into a corner lies outside of it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import reduce
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from napari_globalxai.maps.preparing import is_constant, prepare_maps
from napari_globalxai.maps.upsampling import interpolation_weights

if TYPE_CHECKING:
    from napari_globalxai.maps.cell_grid import CellGrid
    from napari_globalxai.maps.store import AttributionStore
    from napari_globalxai.settings.aggregation_settings import AggregationSettings

FloatArray = npt.NDArray[np.float64]
Mask = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class RegionShares:
    """Mass of the maps of one label in regions of the frame.

    Attributes
    ----------
    names : tuple of str
        The regions.
    areas : numpy.ndarray
        Share of the frame that each covers, (region,).
    rows : numpy.ndarray
        Images, (image,).
    mass : numpy.ndarray
        Mass of each image's map in each region, (image, region), once it is brought to the frame.
    total : numpy.ndarray
        Mass of each image's map, (image,); 0 where nothing speaks for the label.
    """

    names: tuple[str, ...]
    areas: FloatArray
    rows: npt.NDArray[np.int64]
    mass: FloatArray
    total: FloatArray

    @property
    def has_mass(self) -> Mask:
        """Images whose map has any mass, (image,)."""
        return np.asarray(self.total > 0)

    @property
    def by_image(self) -> FloatArray:
        """Share of each image's mass in each region, (image, region); NaN without any mass."""
        with np.errstate(invalid="ignore"):
            return np.asarray(self.mass / np.where(self.total > 0, self.total, np.nan)[:, None])

    def of(self, chosen: Mask) -> RegionShares:
        """Return the shares of some of the images, by a truth value for each."""
        return RegionShares(
            self.names, self.areas, self.rows[chosen], self.mass[chosen], self.total[chosen]
        )

    def only(self, names: Sequence[str]) -> RegionShares:
        """Return the shares in some of the regions."""
        columns = [self.names.index(name) for name in names]
        return RegionShares(
            tuple(names), self.areas[columns], self.rows, self.mass[:, columns], self.total
        )


@dataclass(frozen=True)
class Regions:
    """Regions of the frame, made ready to weigh the cells of maps.

    Attributes
    ----------
    names : tuple of str
        They.
    areas : numpy.ndarray
        Share of the frame that each covers, (region,).
    weights : numpy.ndarray
        See `cell_weights`; the last are those of the whole frame, (region + 1, cell).
    """

    names: tuple[str, ...]
    areas: FloatArray
    weights: FloatArray

    @classmethod
    def on(cls, grid: CellGrid, regions: Mapping[str, Mask]) -> Regions:
        """Make regions, bool (*frame) by name, ready for maps on a grid; they may overlap."""
        everywhere = np.ones(grid.frame, dtype=bool)
        weights = [cell_weights(mask, grid).ravel() for mask in (*regions.values(), everywhere)]
        areas = np.array([mask.mean() for mask in regions.values()])
        return cls(tuple(regions), areas, np.stack(weights))


def measure_shares(
    store: AttributionStore,
    label: str,
    rows: npt.NDArray[np.int64],
    regions: Regions | Mapping[str, Mask],
    settings: AggregationSettings,
) -> RegionShares:
    """Measure the mass of image-wise maps in regions, without bringing any map to the frame.

    Interpolation is linear, so a region's mass is a weighted sum over the cells. Of signed maps the
    mass is that of the absolute values of the cells.

    Parameters
    ----------
    store : AttributionStore
        Image-wise maps.
    label : str
        Which label.
    rows : numpy.ndarray
        Which images.
    regions : Regions or mapping of str to numpy.ndarray
        Made ready on the store's grid, which several labels can share; or bool (*frame) by name.
    settings : AggregationSettings
        What of each map enters, and how it is scaled; smoothing is left out.
    """
    if not isinstance(regions, Regions):
        regions = Regions.on(store.grid, regions)
    found_rows, mass = [rows[:0]], [np.zeros((0, len(regions.weights)))]
    for part, raw in store.chunks(rows, store.labels.index(label)):
        maps = np.abs(prepare_maps(raw, settings))
        if settings.constant_maps == "left-out":
            keep = ~is_constant(maps)
            part, maps = part[keep], maps[keep]
        found_rows.append(part)
        mass.append(maps.reshape(len(maps), -1) @ regions.weights.T)
    measured = np.concatenate(mass)
    return RegionShares(
        regions.names,
        regions.areas,
        np.concatenate(found_rows),
        measured[:, :-1],
        measured[:, -1],
    )


def cell_weights(region: Mask, grid: CellGrid) -> FloatArray:
    """Return how much a cell's value adds to the mass of a map in a region, (*cells).

    Parameters
    ----------
    region : numpy.ndarray
        bool (*frame).
    grid : CellGrid
        Where the cells lie.
    """
    weights = region.astype(np.float64)
    if grid.is_frame:
        return weights
    for axis, (centres, length) in enumerate(zip(grid.centres, grid.frame, strict=True)):
        along = interpolation_weights(centres, length)
        weights = np.moveaxis(np.moveaxis(weights, axis, -1) @ along, -1, axis)
    return weights


def tiles(frame: Sequence[int], count: int = 100) -> dict[str, Mask]:
    """Split a frame into about `count` tiles of one shape, named by their place."""
    along = max(2, round(count ** (1 / len(frame))))
    numbers = [np.arange(length) * min(along, length) // length for length in frame]
    found = {}
    for place in np.ndindex(*(int(each[-1]) + 1 for each in numbers)):
        inside = [each == at for each, at in zip(numbers, place, strict=True)]
        found["tile-" + "-".join(map(str, place))] = reduce(np.logical_and.outer, inside)
    return found
