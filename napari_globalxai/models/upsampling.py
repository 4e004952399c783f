"""From cells to pixels, once, at the end, with every cell where it lies."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from scipy.ndimage import gaussian_filter

from napari_globalxai.models.geometry import CellGrid

FloatArray = npt.NDArray[np.floating]


def interpolation_weights(centres: FloatArray, length: int) -> npt.NDArray[np.float64]:
    """Return weights (length, len(centres)) of linear interpolation at pixels 0 to length − 1.

    Pixels beyond the outermost cells take the value of the nearest cell. Each row sums to 1.
    """
    weights = np.zeros((length, len(centres)))
    pixels = np.arange(length)
    for cell in range(len(centres)):
        unit = np.zeros(len(centres))
        unit[cell] = 1.0
        weights[:, cell] = np.interp(pixels, centres, unit)
    return weights


def upsample(maps: FloatArray, grid: CellGrid) -> npt.NDArray[np.float32]:
    """Bring maps from their cells to the pixels of the frame, bilinearly.

    Parameters
    ----------
    maps : numpy.ndarray
        (..., rows, columns).
    grid : CellGrid
        Where the cells lie.

    Returns
    -------
    numpy.ndarray
        float32, (..., height, width).
    """
    if grid.is_frame:
        return np.asarray(maps, dtype=np.float32)
    along_y = interpolation_weights(grid.y, grid.height)
    along_x = interpolation_weights(grid.x, grid.width)
    return (along_y @ maps @ along_x.T).astype(np.float32)


def smooth(image: FloatArray, sigma: float) -> npt.NDArray[np.float32]:
    """Smooth a map of the frame with a Gaussian of SD `sigma` pixels; 0 leaves it as it is."""
    if sigma <= 0:
        return np.asarray(image, dtype=np.float32)
    return np.asarray(gaussian_filter(image.astype(np.float64), sigma, mode="nearest"), np.float32)


def cells_inside(mask: npt.NDArray[np.bool_], grid: CellGrid) -> npt.NDArray[np.bool_]:
    """Return which cells have their centre on a pixel inside `mask`, (rows, columns)."""
    y = np.clip(np.rint(grid.y).astype(int), 0, grid.height - 1)
    x = np.clip(np.rint(grid.x).astype(int), 0, grid.width - 1)
    inside: npt.NDArray[np.bool_] = mask[np.ix_(y, x)]
    return inside
