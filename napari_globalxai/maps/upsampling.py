"""From cells to pixels, once, at the end, with every cell where it lies."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from napari_globalxai.maps.cell_grid import CellGrid

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
    """Bring maps from their cells to the pixels of the frame, linearly along each axis.

    Parameters
    ----------
    maps : numpy.ndarray
        (..., *cells).
    grid : CellGrid
        Where the cells lie.

    Returns
    -------
    numpy.ndarray
        float32, (..., *frame).
    """
    if grid.is_frame:
        return np.asarray(maps, dtype=np.float32)
    axes = len(grid.frame)
    for axis, (centres, length) in enumerate(zip(grid.centres, grid.frame, strict=True)):
        weights = interpolation_weights(centres, length)
        if axis == axes - 1:
            maps = maps @ weights.T
        else:
            # A product of matrices works on the last two axes.
            place = axis - axes
            maps = np.moveaxis(weights @ np.moveaxis(maps, place, -2), -2, place)
    return maps.astype(np.float32)


def smooth(image: FloatArray, sigma: float) -> npt.NDArray[np.float32]:
    """Smooth a map of the frame with a Gaussian of SD `sigma` pixels; 0 leaves it as it is."""
    if sigma <= 0:
        return np.asarray(image, dtype=np.float32)
    # Takes a moment to import, and most maps are not smoothed.
    from scipy.ndimage import gaussian_filter

    return np.asarray(gaussian_filter(image.astype(np.float64), sigma, mode="nearest"), np.float32)


def cells_inside(mask: npt.NDArray[np.bool_], grid: CellGrid) -> npt.NDArray[np.bool_]:
    """Return which cells (*cells) have their centre on a pixel inside `mask` (*frame)."""
    nearest = [
        np.clip(np.rint(along).astype(int), 0, length - 1)
        for along, length in zip(grid.centres, grid.frame, strict=True)
    ]
    inside: npt.NDArray[np.bool_] = mask[np.ix_(*nearest)]
    return inside
