"""Chunks of an array as we write it, decoded without Zarr's machinery.

Going through a label of a whole cohort, Zarr spends fourteen times as long on finding a chunk as
on decoding it; and it unpacks what a chunk claims to hold without a look at how much that is.
"""

from __future__ import annotations

import math
import os
import stat
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from napari_globalxai.addresses import is_remote
from napari_globalxai.errors import InputError
from napari_globalxai.stored_arrays import ArrayLayout, layout_of

# Sizes in the header of a Blosc buffer: of what it unpacks to, and its own.
_UNPACKED, _PACKED = slice(4, 8), slice(12, 16)
_HEADER = 16
# A pipe in the place of a chunk must not be waited for.
_FLAGS = os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)
# At the end of a shard: where each chunk begins and its length, then a checksum.
_PLACE, _CHECKSUM = 16, 4
_NOT_THERE = (1 << 64) - 1


class ChunkFiles:
    """The files of an array, each a chunk or a shard of several chunks.

    Parameters
    ----------
    folder : pathlib.Path
        The array.

    Attributes
    ----------
    layout : ArrayLayout
        How the array lies in them.

    Raises
    ------
    InputError
        When it is not laid out as we write it.
    """

    def __init__(self, folder: Path) -> None:
        self.layout: ArrayLayout = layout_of(folder)
        address: Any = folder if is_remote(folder) else None
        self._objects: Any = None if address is None else address.fs
        self._root = f"{folder if address is None else address.path}/c"
        self._per_file = self.layout.chunks_a_file
        self._index_bytes = math.prod(self._per_file) * _PLACE + _CHECKSUM

    def read(self, place: Sequence[int]) -> npt.NDArray[np.generic]:
        """Return the chunk at a place on the grid of chunks; the fill where nothing was written.

        Raises
        ------
        InputError
            When its file is not one that we wrote.
        IndexError
            When the array has no such chunk.
        """
        layout = self.layout
        extents = zip(place, layout.shape, layout.chunk_shape, strict=True)
        if not all(0 <= at * part < whole for at, whole, part in extents):
            raise IndexError(f"no chunk {tuple(place)} in an array of shape {layout.shape}")
        path = self._path(place)
        with self._opened(path) as file:
            data = None if file is None else self._packed(path, file, place)
        if data is None:
            return np.full(layout.chunk_shape, layout.fill, layout.data_type)
        return np.frombuffer(self._unpacked(path, data), layout.data_type).reshape(
            layout.chunk_shape
        )

    def is_gone(self, place: Sequence[int]) -> bool:
        """Return whether the file of a chunk is not there; objects of a store are not asked for."""
        return self._objects is None and not os.path.exists(self._path(place))  # noqa: PTH110

    def file_of(self, place: Sequence[int]) -> Path:
        """Return the file that a chunk lies in."""
        return Path(self._path(place))

    def force_to_disk(self, places: Sequence[Sequence[int]]) -> None:
        """Wait until the files of some chunks are on the disk, so that a journal may say so."""
        if self._objects is not None:
            return
        for path in {self._path(place) for place in places}:
            with _opened(path) as handle:
                if handle is not None:
                    os.fsync(handle)

    def _path(self, place: Sequence[int]) -> str:
        file = (at // count for at, count in zip(place, self._per_file, strict=True))
        return f"{self._root}/{'/'.join(map(str, file))}"

    @contextmanager
    def _opened(self, path: str) -> Iterator[_Bytes | None]:
        """Open the file of a chunk, or the object that stands for one; None where there is none."""
        if self._objects is None:
            with _opened(path) as handle:
                yield None if handle is None else _FileBytes(path, handle)
            return
        try:
            size = int(self._objects.size(path))
        except FileNotFoundError:
            yield None
            return
        yield _ObjectBytes(self._objects, path, size)

    def _packed(self, path: str, file: _Bytes, place: Sequence[int]) -> bytes | None:
        """Return the bytes of a chunk as they lie in its file; None where it was not written."""
        size = file.size
        if not self.layout.is_sharded:
            return file.part(0, size)
        if size < self._index_bytes:
            raise _damaged(path)
        index = size - self._index_bytes
        inside = [at % count for at, count in zip(place, self._per_file, strict=True)]
        number = 0
        for at, count in zip(inside, self._per_file, strict=True):
            number = number * count + at
        entry = file.part(index + number * _PLACE, _PLACE)
        start, length = (int.from_bytes(entry[half], "little") for half in _HALVES)
        if start == length == _NOT_THERE:
            return None
        if start + length > index:
            raise _damaged(path)
        return file.part(start, length)

    def _unpacked(self, path: str, data: bytes) -> bytes:
        # Takes a moment to import, which reading global maps need not wait for.
        from numcodecs import blosc

        sizes = [int.from_bytes(data[part], "little") for part in (_UNPACKED, _PACKED)]
        # Before it is unpacked: what a few bytes unpack to may not fit into memory.
        if len(data) < _HEADER or sizes != [self.layout.chunk_bytes, len(data)]:
            raise _damaged(path)
        try:
            unpacked: bytes = blosc.decompress(data)
        except RuntimeError as why:
            raise _damaged(path) from why
        return unpacked


_HALVES = slice(0, 8), slice(8, 16)


@contextmanager
def _opened(path: str) -> Iterator[int | None]:
    """Open a regular file; None where there is none."""
    try:
        handle = os.open(path, _FLAGS)
    except FileNotFoundError:
        yield None
        return
    try:
        if not stat.S_ISREG(os.fstat(handle).st_mode):
            raise _damaged(path)
        yield handle
    finally:
        os.close(handle)


class _Bytes(Protocol):
    """What holds a chunk, or several."""

    @property
    def size(self) -> int: ...

    def part(self, start: int, length: int) -> bytes: ...


class _FileBytes:
    """A file of this machine."""

    def __init__(self, path: str, handle: int) -> None:
        self._path, self._handle = path, handle
        self.size = os.fstat(handle).st_size

    def part(self, start: int, length: int) -> bytes:
        os.lseek(self._handle, start, os.SEEK_SET)
        data = os.read(self._handle, length)
        if len(data) != length:
            raise _damaged(self._path)
        return data


class _ObjectBytes:
    """An object of a store that lies elsewhere."""

    def __init__(self, objects: Any, path: str, size: int) -> None:
        self._objects, self._path, self.size = objects, path, size

    def part(self, start: int, length: int) -> bytes:
        data: bytes = self._objects.cat_file(self._path, start=start, end=start + length)
        if len(data) != length:
            raise _damaged(self._path)
        return data


def _damaged(path: str) -> InputError:
    return InputError(f"{path}: is damaged or was not written by us; explain the cohort again.")
