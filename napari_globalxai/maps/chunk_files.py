"""Chunks of a store as we write it, decoded without Zarr's machinery.

Going through a label of a whole cohort, Zarr spends fourteen times as long on finding a chunk as
on decoding it.
"""

from __future__ import annotations

import json
import math
import os
import stat
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from napari_globalxai.addresses import is_remote
from napari_globalxai.errors import InputError

# Sizes in the header of a Blosc buffer: of what it unpacks to, and its own.
_UNPACKED, _PACKED = slice(4, 8), slice(12, 16)
_HEADER = 16
# A pipe in the place of a chunk must not be waited for.
_FLAGS = os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)


class ChunkFiles:
    """The files of a Zarr array (image, label, *cells) whose chunks hold one label each.

    Parameters
    ----------
    folder : pathlib.Path
        The array.
    shape : tuple of int
        Of a chunk, without the axis of labels: images and cells.
    """

    def __init__(self, folder: Path, shape: tuple[int, ...]) -> None:
        self._root = str(folder / "c")
        self._shape = shape
        self._bytes = 4 * math.prod(shape)
        self._tail = "/0" * (len(shape) - 1)

    @classmethod
    def of(cls, folder: Path) -> ChunkFiles | None:
        """Return the files of an array; None where it is not laid out as we write it.

        Nor where they are none, but objects of a store.
        """
        if is_remote(folder):
            return None
        facts: dict[str, Any] = json.loads((folder / "zarr.json").read_bytes())
        chunk = facts["chunk_grid"].get("configuration", {}).get("chunk_shape", [])
        key = facts["chunk_key_encoding"]
        plain = (
            facts["data_type"] == "float32"
            and facts["fill_value"] == "NaN"
            and [codec["name"] for codec in facts["codecs"]] == ["bytes", "blosc"]
            and facts["codecs"][0].get("configuration") == {"endian": "little"}
            and facts["chunk_grid"]["name"] == "regular"
            and key["name"] == "default"
            and key.get("configuration", {}).get("separator", "/") == "/"
            # One chunk along every axis but those of images and labels, and each label alone.
            and chunk[1:] == [1, *facts["shape"][2:]]
        )
        return cls(folder, (chunk[0], *chunk[2:])) if plain else None

    def read(self, number: int, label: int) -> npt.NDArray[np.float32]:
        """Return a chunk, (image, *cells); NaN where nothing was written.

        Raises
        ------
        InputError
            When its file is not one that we wrote.
        """
        # Takes a moment to import, which reading global maps need not wait for.
        from numcodecs import blosc

        path = f"{self._root}/{number}/{label}{self._tail}"
        data = _read(path)
        if data is None:
            return np.full(self._shape, np.nan, np.float32)
        sizes = [int.from_bytes(data[part], "little") for part in (_UNPACKED, _PACKED)]
        # Before it is unpacked: what a few bytes unpack to may not fit into memory.
        if len(data) < _HEADER or sizes != [self._bytes, len(data)]:
            raise _damaged(path)
        try:
            unpacked = blosc.decompress(data)
        except RuntimeError as why:
            raise _damaged(path) from why
        return np.frombuffer(unpacked, "<f4").reshape(self._shape)


def _read(path: str) -> bytes | None:
    try:
        handle = os.open(path, _FLAGS)
    except FileNotFoundError:
        return None
    try:
        found = os.fstat(handle)
        if not stat.S_ISREG(found.st_mode):
            raise _damaged(path)
        # Cut short, it would not have the size that it claims.
        return os.read(handle, found.st_size)
    finally:
        os.close(handle)


def _damaged(path: str) -> InputError:
    return InputError(f"{path}: is damaged or was not written by us; explain the cohort again.")
