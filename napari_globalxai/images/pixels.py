"""Decoded pictures: samples of any kind as RGB in 0–255, and where their pixels lie in the file."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

# Larger pictures than any camera takes: a file that claims more is broken, or wants the memory.
MOST_PIXELS = 400_000_000
# Beyond this a picture is brought to a lower resolution while it is read, where one will do.
HUGE = 64_000_000
# Alpha below which white does not rise above the field's threshold.
MOST_HIDDEN = 14
# Pixels that are converted together: a hundred megabytes or so.
_BAND = 4_000_000
Array = npt.NDArray[Any]


@dataclass(frozen=True)
class Picture:
    """A decoded picture.

    Attributes
    ----------
    values : numpy.ndarray
        RGB in 0–255, uint8 or float32, (row, column, channel).
    native_shape : tuple of int
        Rows and columns as stored in the file.
    affine : numpy.ndarray
        3 × 3: takes (row, column, 1) of `values` to that of the stored pixels; centres of pixels
        are whole numbers.
    laterality : str
        ``"L"``, ``"R"`` or ``""``, as the file says.
    note : str
        What had to be decided to read it, as ``its alpha is …``; empty where the file left nothing
        open.
    """

    values: Array
    native_shape: tuple[int, int]
    affine: npt.NDArray[np.float64]
    laterality: str = ""
    note: str = ""


@dataclass(frozen=True)
class Wanted:
    """What a reader was asked for.

    Attributes
    ----------
    at_least : tuple of int or None
        Height and width that will be needed of the upright picture.
    stored_bits : int or None
        How many bits whole numbers have in files of more than 8 bit that do not tell.
    """

    at_least: tuple[int, int] | None = None
    stored_bits: int | None = None

    def as_stored(self, orientation: int) -> tuple[int, int] | None:
        """Return rows and columns that will be needed as the file stores them."""
        if self.at_least is None or orientation not in (5, 6, 7, 8):
            return self.at_least
        return self.at_least[1], self.at_least[0]


def upright(
    values: Array, native_shape: tuple[int, int], orientation: int, scale: int, note: str = ""
) -> Picture:
    """Turn a picture as its EXIF orientation says.

    Parameters
    ----------
    values : numpy.ndarray
        RGB as stored, (row, column, channel), perhaps decoded at reduced scale.
    native_shape : tuple of int
        Rows and columns as stored, at full scale.
    orientation : int
        1–8 as in EXIF; anything else is taken as 1.
    scale : int
        How many stored pixels, in rows and in columns, make one of `values`.
    note : str, optional
        See `Picture`.
    """
    rows, columns = values.shape[:2]
    # Index of the stored picture from index of the upright one.
    swap = np.eye(3)[[1, 0, 2]] if orientation in (5, 6, 7, 8) else np.eye(3)
    last_row_first = np.array([[-1.0, 0, rows - 1], [0, 1, 0], [0, 0, 1]])
    last_column_first = np.array([[1.0, 0, 0], [0, -1, columns - 1], [0, 0, 1]])
    to_stored = swap
    if orientation in (3, 4, 6, 7):
        to_stored = last_row_first @ to_stored
        values = values[::-1]
    if orientation in (2, 3, 7, 8):
        to_stored = last_column_first @ to_stored
        values = values[:, ::-1]
    if orientation in (5, 6, 7, 8):
        values = values.swapaxes(0, 1)
    half = (scale - 1) / 2
    to_full = np.array([[scale, 0, half], [0, scale, half], [0, 0, 1.0]])
    return Picture(values, native_shape, to_full @ to_stored, note=note)


def as_stored(picture: Picture) -> Array:
    """Return the values of a picture, decoded at full scale, as its file stores them.

    The inverse of `upright`, by the picture's affine.
    """
    values = picture.values
    turn = picture.affine[:2, :2]
    # A stored index follows one index of the picture, forwards or backwards.
    if turn[0, 0] == 0:
        values = values.swapaxes(0, 1)
    if turn[0].sum() < 0:
        values = values[::-1]
    if turn[1].sum() < 0:
        values = values[:, ::-1]
    return values


def check_size(rows: int, columns: int) -> None:
    """Refuse sizes that no photograph has, before anything is decoded."""
    if rows < 1 or columns < 1:
        raise ValueError(f"its size is {rows} × {columns}")
    if rows * columns > MOST_PIXELS:
        raise ValueError(
            f"its size is {rows} × {columns}; more than {MOST_PIXELS // 10**6} million pixels "
            "are not read"
        )


def choose_page(page: int | None, shapes: list[tuple[int, int]], name: str) -> int:
    """Return the index of the page to read.

    Parameters
    ----------
    page : int or None
        The page asked for, counted from 1.
    shapes : list of tuple of int
        Rows and columns of all pages.
    name : str
        The file's name, for the message.

    Raises
    ------
    ValueError
        When there is no such page; or none was asked for and others are as large as the first:
        smaller ones are its thumbnails or a pyramid.
    """
    if not shapes:
        raise ValueError("it holds no picture")
    if page is not None:
        if page > len(shapes):
            raise ValueError(f"it holds {len(shapes)} pages, so that there is no page {page}")
        return page - 1
    rows, columns = shapes[0]
    if any(other[0] >= rows and other[1] >= columns for other in shapes[1:]):
        raise ValueError(
            f"it holds {len(shapes)} pages or frames; name one by its number, as in {name}#1"
        )
    return 0


def to_rgb(values: Array, alpha: Array | None = None) -> Array:
    """Return (row, column, 3) from grey or RGB in 0–255, on black where `alpha` (0–255) is low."""
    if values.ndim == 2:
        values = values[..., None]
    if values.shape[2] == 1:
        values = np.broadcast_to(values, (*values.shape[:2], 3))
    if alpha is None or (alpha == 255).all():
        return values
    return values * (alpha[..., None] / np.float32(255))


def hides_all(alpha: float, colours: Iterable[tuple[float, float]]) -> bool:
    """Return whether an alpha channel leaves nothing of a picture to be seen.

    Parameters
    ----------
    alpha : float
        Its largest value, in 0–255.
    colours : iterable of tuple of float
        Lowest and highest value of each colour, before it lies on black.

    Raises
    ------
    ValueError
        When there is no picture behind it, either: then it is no broken alpha channel.
    """
    if alpha > MOST_HIDDEN:
        return False
    if all(low == high for low, high in colours):
        raise ValueError("it is transparent everywhere, and there is no picture behind that")
    return True


def reduction(shape: tuple[int, int], at_least: tuple[int, int] | None) -> int:
    """Return how many pixels of a huge picture, in rows and in columns, are to be made one.

    Parameters
    ----------
    shape, at_least : tuple of int
        Rows and columns that there are, and that will be needed. Twice as many are kept.
    """
    if at_least is None or math.prod(shape) <= HUGE:
        return 1
    return max(1, min(side // (2 * needed) for side, needed in zip(shape, at_least, strict=True)))


def in_bands(samples: Array, convert: Callable[[Array], Array], factor: int) -> Array:
    """Convert samples and average them over squares, a band of rows at a time.

    Parameters
    ----------
    samples : numpy.ndarray
        (row, column) or (row, column, sample).
    convert : callable
        Makes (row, column, 3) of a band.
    factor : int
        Side of the squares; those at the far borders may be smaller.
    """
    if factor == 1:
        return convert(samples)
    rows = factor * max(1, _BAND // (factor * samples.shape[1]))
    return np.concatenate(
        [
            _averaged(convert(samples[first : first + rows]), factor)
            for first in range(0, len(samples), rows)
        ]
    )


def _averaged(values: Array, factor: int) -> Array:
    if values.strides[2] == 0:
        # Grey that is repeated.
        grey = _averaged(values[..., :1].copy(), factor)
        return np.broadcast_to(grey, (*grey.shape[:2], values.shape[2]))
    total: Array = values
    for axis in (0, 1):
        starts = np.arange(0, values.shape[axis], factor)
        sizes = np.diff(np.append(starts, values.shape[axis])).astype(np.float32)
        total = np.add.reduceat(total, starts, axis, np.float32)
        total = total / np.expand_dims(sizes, tuple({0, 1, 2} - {axis}))
    return total
