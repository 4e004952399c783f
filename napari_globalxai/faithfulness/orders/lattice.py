"""Shifts of a map by a lattice of offsets, among which the map and its shifts are exchangeable."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import product

import numpy as np
import numpy.typing as npt

from napari_globalxai.faithfulness.orders.map_orders import Mask, Order, order_by_map

# The fewest positions that can give p ≤ 0.05, and as many as are worth their forwards.
FEWEST_POSITIONS = 20
MOST_POSITIONS = 40
# How alike a map and its shift may still be; one step further they are less so.
_ALIKE = 0.3


def correlation_length(image: npt.NDArray[np.floating], valid: Mask) -> tuple[float, ...]:
    """Return by axis the lag in pixels at which a map is no longer like itself.

    Parameters
    ----------
    image : numpy.ndarray
        The map, (*spatial).
    valid : numpy.ndarray
        Pixels that count, bool (*spatial).
    """
    values = np.where(valid, image, 0.0).astype(np.float64)
    values = np.where(valid, values - values[valid].mean(), 0.0)
    axes = range(values.ndim)
    spectrum = np.fft.fftn(values, s=[2 * length for length in values.shape], axes=axes)
    similarity = np.fft.ifftn(np.abs(spectrum) ** 2, axes=axes).real
    lengths = []
    for axis, length in enumerate(values.shape):
        index: list[int | slice] = [0] * values.ndim
        index[axis] = slice(0, length)
        along = similarity[tuple(index)]
        below = np.flatnonzero(along <= _ALIKE * along[0]) if along[0] > 0 else np.array([1])
        lengths.append(float(below[0]) if len(below) else float(length))
    return tuple(lengths)


def choose_lattice(
    image: npt.NDArray[np.floating],
    valid: Mask,
    *,
    fewest: int = FEWEST_POSITIONS,
    most: int = MOST_POSITIONS,
) -> tuple[int, ...]:
    """Return the number of positions along each axis.

    Positions lie about a correlation length apart, so that no shift sits on the map; but there are
    at least as many as can give p ≤ 0.05.

    Parameters
    ----------
    image : numpy.ndarray
        The map, (*spatial).
    valid : numpy.ndarray
        Pixels that count, bool (*spatial).
    fewest, most : int, optional
        Bounds of the number of positions; a frame with fewer pixels has as many as it has.
    """
    lengths = correlation_length(image, valid)
    wanted = [
        max(size / max(lag, 1.0), 1.0) for size, lag in zip(image.shape, lengths, strict=True)
    ]
    counts = [1] * image.ndim
    while np.prod(counts) < most:
        # One more position where steps are still widest against what was wanted.
        room = [
            want / count if count < size else 0.0
            for want, count, size in zip(wanted, counts, image.shape, strict=True)
        ]
        axis = int(np.argmax(room))
        if room[axis] <= 0 or (np.prod(counts) >= fewest and room[axis] < 2):
            break
        if (
            np.prod(counts) >= fewest
            and np.prod(counts) // counts[axis] * (counts[axis] + 1) > most
        ):
            break
        counts[axis] += 1
    return tuple(counts)


def lattice_offsets(shape: tuple[int, ...], counts: tuple[int, ...]) -> list[tuple[int, ...]]:
    """Return all offsets but the identity, those far away first and near ones among them.

    They form a subgroup of the translations of the padded frame: the shift of a shift is a shift.
    Their sequence is fixed, so that no seed enters.
    """
    steps = [-(-size // count) for size, count in zip(shape, counts, strict=True)]
    every = list(product(*(range(count) for count in counts)))[1:]
    mixed = np.random.default_rng(0).permutation(len(every))
    return [
        tuple(place * step for place, step in zip(every[number], steps, strict=True))
        for number in mixed
    ]


def shifted_orders(
    image: npt.NDArray[np.floating], valid: Mask, counts: tuple[int, ...], seed: int
) -> Iterator[Order]:
    """Give orders by the map, circularly shifted to every other position of a lattice.

    Where the frame's size does not divide, the frame is padded with the map's own rim.

    Parameters
    ----------
    image : numpy.ndarray
        The map, (*spatial).
    valid : numpy.ndarray
        Pixels to rank, bool (*spatial).
    counts : tuple of int
        Positions along each axis.
    seed : int
        Of the field that breaks ties, the same as the map's.
    """
    whole = [-(-size // count) * count for size, count in zip(image.shape, counts, strict=True)]
    missing = [(0, due - size) for due, size in zip(whole, image.shape, strict=True)]
    padded = np.pad(image, missing, mode="edge")
    axes = tuple(range(image.ndim))
    frame = tuple(slice(0, size) for size in image.shape)
    for offset in lattice_offsets(image.shape, counts):
        moved = np.roll(padded, offset, axis=axes)[frame]
        # What is not finite outside the valid area ranks last inside.
        yield order_by_map(np.nan_to_num(moved, nan=-np.inf), valid, seed)
