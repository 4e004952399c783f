"""Filters of single images that the search for landmarks is made of."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import fft, ndimage

FloatImage = npt.NDArray[np.float32]
Mask = npt.NDArray[np.bool_]
Point = npt.NDArray[np.float64]

# Shares of an image's width.
_LIGHT = 0.10  # SD of what counts as a slow change of light
_RIM = 0.04  # left out along the border of the field


def shrink(image: FloatImage, size: tuple[int, int]) -> FloatImage:
    """Return the area average of an image at a smaller size, (height, width)."""
    if image.shape == size:
        return image
    from torch import from_numpy
    from torch.nn.functional import interpolate

    small = interpolate(from_numpy(np.ascontiguousarray(image))[None, None], size, mode="area")
    return np.asarray(small[0, 0].numpy(), np.float32)


def masked_mean(image: FloatImage, weight: FloatImage, sigma: float) -> FloatImage:
    """Return the Gaussian mean over what counts."""
    # Three box filters come close to a Gaussian at a fraction of the price for wide ones.
    size = max(3, round(np.sqrt(4 * sigma**2 + 1)) | 1)

    def blur(values: FloatImage) -> FloatImage:
        for _ in range(3):
            values = ndimage.uniform_filter(values, size, mode="constant")
        return values

    return np.asarray(blur(image * weight) / np.maximum(blur(weight), 1e-3), np.float32)


@dataclass(frozen=True)
class Detail:
    """What is left of an image without slow changes of light.

    Attributes
    ----------
    values : numpy.ndarray
        Differences from the mean around, in units of the local SD; 0 outside `inside`.
    inside : numpy.ndarray
        The field of view without its rim, where lids and the border outshine the retina.
    from_border : numpy.ndarray
        Distance of each pixel from the border of the field, a share of the width.
    scale : float
        Width of the image over that of `values`.
    """

    values: FloatImage
    inside: Mask
    from_border: FloatImage
    scale: float

    @property
    def width(self) -> int:
        """Width of `values` in pixels."""
        return int(self.values.shape[1])


def detail_of(image: npt.NDArray[np.generic], field: Mask, width: int) -> Detail:
    """Take slow changes of light away from an image, at a working width.

    Parameters
    ----------
    image : numpy.ndarray
        Green channel, or what is nearest to it, (height, width).
    field : numpy.ndarray
        Field of view, bool (height, width).
    width : int
        Width in pixels to work at; a narrower image is taken as it is.
    """
    scale = max(1.0, image.shape[1] / width)
    size = (round(image.shape[0] / scale), round(image.shape[1] / scale))
    green = shrink(np.asarray(image, np.float32), size)
    whole = shrink(field.astype(np.float32), size) > 0.5
    distance = ndimage.distance_transform_edt(np.pad(whole, 1))[1:-1, 1:-1]
    inside: Mask = distance > _RIM * size[1]
    share = np.asarray(distance / size[1], np.float32)
    weight = inside.astype(np.float32)
    slow = masked_mean(green, weight, _LIGHT * size[1])
    rest = (green - slow) * weight
    spread = np.sqrt(masked_mean(rest**2, weight, _LIGHT * size[1]) + 1)
    values = np.asarray(rest / spread, np.float32)
    return Detail(values, inside, share, scale)


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
