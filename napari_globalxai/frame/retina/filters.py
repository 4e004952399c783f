"""Filters of single images that the search for landmarks is made of."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
from scipy import fft, ndimage

from napari_globalxai.frame.local_detail import FloatImage, Mask

Point = npt.NDArray[np.float64]


class Spectrum:
    """The transform of an image, made once for several kernels of one size."""

    def __init__(self, image: FloatImage, kernel_shape: tuple[int, ...]) -> None:
        self.shape = image.shape
        self.half = tuple(side // 2 for side in kernel_shape)
        whole = [side + kernel - 1 for side, kernel in zip(image.shape, kernel_shape, strict=True)]
        self.padded = tuple(fft.next_fast_len(side, real=True) for side in whole)
        self.values = fft.rfft2(image, self.padded)

    def correlate(self, kernel: FloatImage) -> FloatImage:
        """Return the correlation with a kernel, zeros outside the image."""
        product = self.values * fft.rfft2(kernel[::-1, ::-1], self.padded)
        full = fft.irfft2(product, self.padded)
        (top, left), (height, width) = self.half, self.shape
        return np.asarray(full[top : top + height, left : left + width], np.float32)


def masked_correlation(image: FloatImage, inside: Mask, patch: FloatImage) -> FloatImage:
    """Return the normalised correlation with a patch, Gaussian weighted, over what lies inside.

    -1 where less than 70 % of the weight does.
    """
    half = patch.shape[0] // 2
    rows, columns = np.mgrid[-half : half + 1, -half : half + 1]
    weight = np.exp(-0.5 * (rows**2 + columns**2) / (half / 2) ** 2).astype(np.float32)
    weight /= weight.sum()
    centred = patch - (patch * weight).sum()
    size = np.sqrt((centred**2 * weight).sum())
    counted = image * inside
    mask, first = Spectrum(inside.astype(np.float32), patch.shape), Spectrum(counted, patch.shape)
    share = np.maximum(mask.correlate(weight), 1e-6)
    mean = first.correlate(weight) / share
    square = Spectrum(counted * counted, patch.shape).correlate(weight) / share
    deviation = np.sqrt(np.maximum(square - mean**2, 1e-4))
    product = first.correlate(weight * centred) - mean * mask.correlate(weight * centred)
    result = product / share / deviation / max(size, 1e-6)
    return np.where(share < 0.7, np.float32(-1), result).astype(np.float32)


def patch_at(image: FloatImage, centre: Point, half: int) -> FloatImage:
    """Return the square of side 2 `half` + 1 around a point (x, y); zeros outside the image."""
    rows, columns = np.mgrid[-half : half + 1, -half : half + 1]
    x, y = centre
    return np.asarray(ndimage.map_coordinates(image, [rows + y, columns + x], order=1), np.float32)


def median_patch(
    images: Sequence[FloatImage], centres: npt.NDArray[np.float64], half: int
) -> FloatImage:
    """Return the pixel-wise median of what lies around a point in each image."""
    patches = [patch_at(image, centre, half) for image, centre in zip(images, centres, strict=True)]
    return np.asarray(np.median(patches, axis=0), np.float32)


def distance_to(shape: tuple[int, ...], point: Point) -> FloatImage:
    """Return the distance of every pixel from a point (x, y)."""
    rows, columns = np.ogrid[: shape[0], : shape[1]]
    return np.asarray(np.hypot(rows - point[1], columns - point[0]), np.float32)


def argmax(image: npt.NDArray[np.floating]) -> tuple[int, int]:
    """Return column and row of the greatest value."""
    y, x = np.unravel_index(int(image.argmax()), image.shape)
    return int(x), int(y)


def parabola_top(image: npt.NDArray[np.floating], x: int, y: int) -> Point:
    """Return where a parabola through the neighbours of a maximum has its top."""

    def step(before: float, here: float, after: float) -> float:
        bend = 2 * here - before - after
        if not np.isfinite(bend) or bend <= 0:
            return 0.0
        return float(np.clip((after - before) / 2 / bend, -0.5, 0.5))

    height, width = image.shape
    across = step(*image[y, x - 1 : x + 2]) if 0 < x < width - 1 else 0.0
    down = step(*image[y - 1 : y + 2, x]) if 0 < y < height - 1 else 0.0
    return np.array([x + across, y + down])
