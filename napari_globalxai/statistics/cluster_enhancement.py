"""Threshold-free cluster enhancement (Smith and Nichols, 2009, NeuroImage 44, 83–98).

A cell's value becomes the integral over heights h up to it of e(h)^0.5 · h^2, where e(h) is how
many cells its cluster has at that height: what is broad gains, and no threshold is to be chosen.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from napari_globalxai.progress import may_stop_here

FloatArray = npt.NDArray[np.float64]

_EXTENT, _HEIGHT = 0.5, 2.0
STEPS = 100


def enhance(values: FloatArray, shape: Sequence[int], step: float) -> FloatArray:
    """Enhance maps by their clusters; negative values by those of their own sign.

    Parameters
    ----------
    values : numpy.ndarray
        (map, cell).
    shape : sequence of int
        Cells along each axis; those that share a side or face are neighbours.
    step : float
        Between heights, the same for all maps that are to be compared.
    """
    if step <= 0:
        return np.zeros_like(values)
    maps = values.reshape(len(values), *shape)
    enhanced = np.zeros_like(maps)
    for sign in (1.0, -1.0):
        enhanced += sign * _enhance_positive(sign * maps, step)
    return enhanced.reshape(values.shape)


def _enhance_positive(maps: FloatArray, step: float) -> FloatArray:
    from scipy import ndimage

    # Maps are labelled together, but none is another's neighbour.
    neighbours = np.zeros((3,) * maps.ndim, dtype=bool)
    neighbours[1] = ndimage.generate_binary_structure(maps.ndim - 1, 1)
    enhanced = np.zeros_like(maps)
    for number in range(1, int(maps.max(initial=0) / step) + 1):
        may_stop_here()
        height = number * step
        clusters, count = ndimage.label(maps >= height, structure=neighbours)
        if not count:
            break
        sizes = np.bincount(clusters.ravel(), minlength=count + 1).astype(np.float64)
        sizes[0] = 0
        enhanced += sizes[clusters] ** _EXTENT * height**_HEIGHT * step
    return enhanced
