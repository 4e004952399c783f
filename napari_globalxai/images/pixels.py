"""Decoded pictures: samples of any kind as RGB in 0–255, and where their pixels lie in the file."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

# Larger pictures than any camera takes: a file that claims more is broken, or wants the memory.
MOST_PIXELS = 400_000_000
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
    """

    values: Array
    native_shape: tuple[int, int]
    affine: npt.NDArray[np.float64]
    laterality: str = ""


def upright(values: Array, native_shape: tuple[int, int], orientation: int, scale: int) -> Picture:
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
    return Picture(values, native_shape, to_full @ to_stored)


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


def to_255(samples: Array) -> Array:
    """Scale samples to 0–255 by their type.

    uint8 stays; bool and uint16 are scaled by their full range; floats in 0–1 are multiplied by
    255; other numbers must lie in 0–255.

    Raises
    ------
    ValueError
        When other numbers lie outside: nothing says what is black and what is white.
    """
    if samples.dtype == np.uint8:
        return samples
    if samples.dtype == np.bool_:
        return samples * np.uint8(255)
    if samples.dtype == np.uint16:
        return samples.astype(np.float32) / 257
    low, high = float(samples.min()), float(samples.max())
    # Written so that NaN is refused, too.
    if not (low >= 0 and high <= 255):
        raise ValueError(
            f"its values lie between {low:g} and {high:g}, so that black and white are unknown; "
            "save it with 8 or 16 bit"
        )
    scale = 255 if samples.dtype.kind == "f" and high <= 1 else 1
    return samples.astype(np.float32) * scale


def to_rgb(values: Array, alpha: Array | None = None) -> Array:
    """Return (row, column, 3) from grey or RGB in 0–255, on black where `alpha` (0–255) is low."""
    if values.ndim == 2:
        values = values[..., None]
    if values.shape[2] == 1:
        values = np.broadcast_to(values, (*values.shape[:2], 3))
    if alpha is None or (alpha == 255).all():
        return values
    return values * (alpha[..., None] / np.float32(255))
