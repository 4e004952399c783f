"""What is left of an image without slow changes of light: what images are compared by."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import ndimage

FloatImage = npt.NDArray[np.float32]
Mask = npt.NDArray[np.bool_]

# The channel that shows most where there are several; green is the sharpest of colour photographs.
_PLAINEST = ("green", "grey", "red", "blue")
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
        The field of view without its rim, where the border outshines what the image shows.
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
        One channel, see `plain_channel`, (height, width).
    field : numpy.ndarray
        Field of view, bool (height, width).
    width : int
        Width in pixels to work at; a narrower image is taken as it is.
    """
    scale = max(1.0, image.shape[1] / width)
    size = (round(image.shape[0] / scale), round(image.shape[1] / scale))
    plane = shrink(np.asarray(image, np.float32), size)
    whole = shrink(field.astype(np.float32), size) > 0.5
    distance = ndimage.distance_transform_edt(np.pad(whole, 1))[1:-1, 1:-1]
    inside: Mask = distance > _RIM * size[1]
    share = np.asarray(distance / size[1], np.float32)
    weight = inside.astype(np.float32)
    slow = masked_mean(plane, weight, _LIGHT * size[1])
    rest = (plane - slow) * weight
    spread = np.sqrt(masked_mean(rest**2, weight, _LIGHT * size[1]) + 1)
    values = np.asarray(rest / spread, np.float32)
    return Detail(values, inside, share, scale)


def plain_channel(channels: Sequence[str]) -> int:
    """Return the place of the channel by which images are compared."""
    known = [name for name in _PLAINEST if name in channels]
    return list(channels).index(known[0]) if known else 0
