"""Images that are read when somebody looks at them, as an array that napari takes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt

from napari_globalxai.errors import InputError

Rows = npt.NDArray[np.int64]
Pixels = npt.NDArray[np.uint8]


class LazyImages:
    """Images of which only those that are asked for are read.

    Not a Dask array, which takes a hundred times as long to give one image of thousands as it takes
    to read it: napari asks in the GUI thread.

    Parameters
    ----------
    read : callable
        Takes row numbers and returns these images, uint8 (len(rows), height, width, 3).
    shape : tuple of int
        How many there are, height, width, 3.
    """

    dtype = np.dtype(np.uint8)

    def __init__(self, read: Callable[[Rows], Pixels], shape: tuple[int, ...]) -> None:
        self._read = read
        self.shape, self.ndim = shape, len(shape)

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, place: Any) -> Pixels:
        rows, *inside = _in_full(place, self.ndim)
        chosen = np.arange(len(self))[rows]
        images = self._read(np.atleast_1d(chosen))
        return images[(slice(None) if chosen.ndim else 0, *inside)]

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> npt.NDArray[Any]:
        """Read all of them, as whoever saves the layer does."""
        return np.asarray(self[:], dtype)

    def __deepcopy__(self, memo: dict[int, Any]) -> LazyImages:
        """Return the same, which nobody can change: napari copies a layer's data with the layer."""
        return self


def at_rows(images: npt.NDArray[np.uint8] | LazyImages, rows: Rows) -> LazyImages:
    """Return some images in another order, and black ones where a row is below 0."""

    def read(asked: Rows) -> Pixels:
        wanted = rows[asked]
        is_there = wanted >= 0
        pixels = np.zeros((len(wanted), *images.shape[1:]), np.uint8)
        pixels[is_there] = images[wanted[is_there]]
        return pixels

    return LazyImages(read, (len(rows), *images.shape[1:]))


def black_where_lost(
    read: Callable[[Rows], Pixels], shape: tuple[int, ...], tell: Callable[[str], None]
) -> Callable[[Rows], Pixels]:
    """Return what reads images, and black ones for those that cannot be read any more.

    napari asks while it draws, where an error would be a traceback at every step.

    Parameters
    ----------
    read : callable
        Reads images, as `LazyImages` takes it.
    shape : tuple of int
        How many there are, height, width, 3.
    tell : callable
        Is told why an image cannot be read, once an image.
    """
    lost: set[int] = set()

    def read_what_is_there(rows: Rows) -> Pixels:
        try:
            return read(rows)
        except (InputError, OSError):
            images = np.zeros((len(rows), *shape[1:]), np.uint8)
        for place, row in enumerate(rows):
            try:
                images[place] = read(rows[place : place + 1])[0]
            except (InputError, OSError) as why:
                if int(row) not in lost:
                    lost.add(int(row))
                    tell(str(why))
        return images

    return read_what_is_there


def _in_full(place: Any, count: int) -> tuple[Any, ...]:
    """Return an index with a part for each axis."""
    parts = place if isinstance(place, tuple) else (place,)
    given = len([part for part in parts if part is not Ellipsis])
    rest = (slice(None),) * (count - given)
    at = next((at for at, part in enumerate(parts) if part is Ellipsis), len(parts))
    return (*parts[:at], *rest, *parts[at + 1 :])
