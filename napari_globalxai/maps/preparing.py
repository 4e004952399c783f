"""What of an image-wise map enters a global map: its part, its scale."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    from napari_globalxai.settings.aggregation_settings import AggregationSettings

Maps = TypeVar("Maps", npt.NDArray[np.float32], npt.NDArray[np.float64])


def prepare_maps(
    maps: npt.NDArray[np.float32], settings: AggregationSettings
) -> npt.NDArray[np.float64]:
    """Take the chosen part of each image-wise map and scale it, (image, *cells)."""
    values = part_of(maps.astype(np.float64), settings)
    if settings.scale != "none":
        size = np.abs(values)
        cells = tuple(range(1, values.ndim))
        norm = (
            size.max(axis=cells, keepdims=True)
            if settings.scale == "max"
            else size.sum(axis=cells, keepdims=True)
        )
        # An all-zero map has no scale; it stays zero.
        values = values / np.where(norm > 0, norm, 1)
    return values


def part_of(maps: Maps, settings: AggregationSettings) -> Maps:
    """Take the chosen part of each image-wise map, (image, *cells), unscaled and exactly."""
    if settings.part == "positive":
        return np.maximum(maps, 0)
    return np.abs(maps) if settings.part == "absolute" else maps


def is_constant(maps: npt.NDArray[np.floating]) -> npt.NDArray[np.bool_]:
    """Return which maps (image, *cells) have one value only."""
    cells = tuple(range(1, maps.ndim))
    constant: npt.NDArray[np.bool_] = maps.max(axis=cells) == maps.min(axis=cells)
    return constant
