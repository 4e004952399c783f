"""Orders in which the valid pixels are erased or restored.

An order is an array of flat pixel indices of the frame, most important first; it holds every valid
pixel exactly once. The frame may have any number of spatial axes.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache, reduce

import numpy as np
import numpy.typing as npt

Order = npt.NDArray[np.int64]
Mask = npt.NDArray[np.bool_]


def order_by_map(image: npt.NDArray[np.floating], valid: Mask, seed: int) -> Order:
    """Rank valid pixels by a map, highest first; ties fall in a seeded random order.

    A stable sort would erase a plateau row by row from the top.

    Parameters
    ----------
    image : numpy.ndarray
        (*spatial).
    valid : numpy.ndarray
        Pixels to rank, bool (*spatial).
    seed : int
        Of the random field that breaks ties.
    """
    shuffled = _shuffled(np.asarray(valid, bool).tobytes(), seed)
    falling = -image.ravel()[shuffled]
    # Several times quicker than a stable sort, and the same where no two pixels are equal.
    ranked = np.argsort(falling)
    values = falling[ranked]
    if not (values[:-1] < values[1:]).all():
        ranked = np.argsort(falling, kind="stable")
    return shuffled[ranked]


@lru_cache(maxsize=16)
def _shuffled(valid: bytes, seed: int) -> Order:
    """Return the valid pixels in the random order in which ties fall."""
    mask = np.frombuffer(valid, bool)
    pixels = np.flatnonzero(mask)
    shuffled: Order = pixels[np.argsort(np.random.default_rng(seed).random(mask.size)[pixels])]
    shuffled.setflags(write=False)
    return shuffled


def random_orders(valid: Mask, count: int, seed: int) -> Iterator[Order]:
    """Give random pixel-wise orders, the same for every image and map."""
    pixels = np.flatnonzero(valid)
    for child in np.random.SeedSequence([seed, 1]).spawn(count):
        yield np.random.default_rng(child).permutation(pixels)


def centre_distance_order(valid: Mask, seed: int) -> Order:
    """Rank pixels by nearness to the centre of the valid area."""
    gaps = [
        index - places.mean()
        for index, places in zip(np.indices(valid.shape), np.nonzero(valid), strict=True)
    ]
    distance = reduce(np.hypot, gaps[1:], np.abs(gaps[0]))
    return order_by_map(-distance, valid, seed)


def mean_intensity_order(mean_image: npt.NDArray[np.floating], valid: Mask, seed: int) -> Order:
    """Rank pixels by brightness of the cohort's mean image, (channel, *spatial)."""
    return order_by_map(mean_image.mean(axis=0), valid, seed)


def step_counts(pixels: int, steps: int) -> npt.NDArray[np.int64]:
    """Return the numbers of pixels K_t, from 0 to all, crowded at both ends.

    Curves bend early, erasing along a poor order also late. The counts are symmetric, K and all − K
    together: only then is the expected Δ of a random order 0, and a reversed order gives the same
    curves mirrored.

    Parameters
    ----------
    pixels : int
        Number of valid pixels.
    steps : int
        Number of steps, rounded up to even; two fifths of them lie below a fraction of 0.2 and as
        many above 0.8. Counts are distinct, so a small area may get fewer; an odd number of
        pixels gets one more, as its middle lies between two counts.
    """
    half = -(-steps // 2)
    early = min(round(0.8 * half), half - 1)
    fractions = np.concatenate(
        [np.linspace(0, 0.2, early, endpoint=False), np.linspace(0.2, 0.5, half - early + 1)]
    )
    lower = np.rint(fractions * pixels).astype(np.int64)
    return np.unique(np.concatenate([lower, pixels - lower]))


def mask_of_first(order: Order, count: int, shape: tuple[int, ...]) -> Mask:
    """Return a mask (*spatial) of the first `count` pixels of an order: exactly `count`."""
    mask = np.zeros(shape, dtype=bool)
    mask.ravel()[order[:count]] = True
    return mask


def kept_pixels(order: Order, count: int, arm: str, shape: tuple[int, ...]) -> Mask:
    """Return which pixels show the image at one step; all others show the fill.

    Pixels that are not in the order, outside the valid area, show the fill in both arms: otherwise
    what lies outside would leak into the end points.

    Parameters
    ----------
    order : numpy.ndarray
        The order.
    count : int
        Number of pixels erased or restored.
    arm : str
        ``erase`` or ``restore``.
    shape : tuple of int
        Size of the frame along each axis.
    """
    if arm == "restore":
        return mask_of_first(order, count, shape)
    return mask_of_first(order[::-1], len(order) - count, shape)
