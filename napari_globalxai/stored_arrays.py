"""Look at a Zarr store before it is opened: what we write is read, and nothing else.

A codec is code that a file asks for by name; older formats know one that unpickles. So a stranger's
folder is held against what we write ourselves before Zarr sees it.
"""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from napari_globalxai.addresses import is_remote
from napari_globalxai.errors import InputError
from napari_globalxai.storage import read_bytes

_CODECS = frozenset(("blosc", "bytes", "crc32c", "sharding_indexed"))
_OLD = (".zarray", ".zgroup", ".zattrs", ".zmetadata")
_MOST_BYTES = 64 << 20
# What a Blosc buffer can hold.
_MOST_CHUNK_BYTES = (1 << 31) - 32
_BYTES_A_NUMBER = {"bool": 1, "uint8": 1, "float32": 4}
# At most the images of a cohort and their colours, and three axes of space more than we know of.
_MOST_AXES = 8
_MOST_CHUNKS_A_FILE = 1 << 16
_INDEX = [
    {"name": "bytes", "configuration": {"endian": "little"}},
    {"name": "crc32c"},
]


@dataclass(frozen=True)
class ArrayLayout:
    """How an array of ours lies in its files.

    Attributes
    ----------
    shape : tuple of int
        Of the array.
    data_type : str
        ``bool``, ``uint8`` or ``float32``.
    fill : float
        Stands where nothing was written.
    file_shape : tuple of int
        Of the part that lies in one file.
    chunk_shape : tuple of int
        Of what is packed together; a file that is no shard is one chunk.
    is_sharded : bool
        Whether a file is a shard: several chunks and an index.
    """

    shape: tuple[int, ...]
    data_type: str
    fill: float
    file_shape: tuple[int, ...]
    chunk_shape: tuple[int, ...]
    is_sharded: bool

    @property
    def chunk_bytes(self) -> int:
        """Bytes of a chunk when it is unpacked."""
        return math.prod(self.chunk_shape) * _BYTES_A_NUMBER[self.data_type]

    @property
    def chunks_a_file(self) -> tuple[int, ...]:
        """Number of chunks in a file along each axis."""
        return tuple(
            whole // part for whole, part in zip(self.file_shape, self.chunk_shape, strict=True)
        )


def check_store(folder: Path) -> None:
    """Refuse a Zarr store that is not of version 3 with plain numbers, packed as we pack them.

    Parameters
    ----------
    folder : pathlib.Path
        The store: an array, or a group of arrays.

    Raises
    ------
    InputError
        When it is something else.
    FileNotFoundError
        When there is none.
    """
    if not folder.is_dir():
        raise FileNotFoundError(folder)
    places = [folder, *(place for place in folder.iterdir() if place.is_dir())]
    for place in places:
        if any((place / name).exists() for name in _OLD):
            raise _strange(place, "is of an old version of Zarr, whose codecs can run code")
    # A link that leads nowhere is not there, a device or a pipe is.
    found = [place for place in places if (place / "zarr.json").exists()]
    if folder not in found:
        raise FileNotFoundError(folder / "zarr.json")
    for place in found:
        content = _metadata(place)
        if content.get("node_type") != "group":
            layout_of(place)


def layout_of(folder: Path) -> ArrayLayout:
    """Return how an array lies in its files.

    Raises
    ------
    InputError
        When it is not laid out as we write it.
    """
    content, file = _metadata(folder), folder / "zarr.json"
    try:
        if content["node_type"] != "array":
            raise ValueError("no array")
        layout = _layout(file, content)
    except InputError:
        raise
    except (ValueError, KeyError, TypeError, AttributeError) as why:
        raise _not_ours(file, why) from why
    if content.get("storage_transformers"):
        raise _strange(file, "names storage transformers, which we do not write")
    return layout


def _metadata(folder: Path) -> dict[str, Any]:
    file = folder / "zarr.json"
    try:
        if file.is_file() and file.stat().st_size > _MOST_BYTES:
            raise ValueError("too large")
        content = json.loads(read_bytes(file))
        if not isinstance(content, dict) or content.get("zarr_format") != 3:
            raise ValueError("not of version 3")
        if content.get("consolidated_metadata") is not None:
            # They would count in place of what each array says of itself.
            raise ValueError("metadata of other arrays inside")
        if not isinstance(content.get("attributes", {}), dict):
            raise ValueError("attributes that are none")
    except (ValueError, RecursionError) as why:
        raise _not_ours(file, why) from why
    return content


def _layout(file: Path, content: dict[str, Any]) -> ArrayLayout:
    grid, keys = content["chunk_grid"], content["chunk_key_encoding"]
    if grid["name"] != "regular":
        raise ValueError("another grid")
    if keys["name"] != "default" or keys.get("configuration", {}).get("separator", "/") != "/":
        raise ValueError("other names of files")
    if content["data_type"] not in _BYTES_A_NUMBER:
        raise ValueError("no plain numbers")
    shape = _sizes(content["shape"], least=0)
    in_file = _sizes(grid["configuration"]["chunk_shape"])
    codecs = content["codecs"]
    _check_names(file, codecs)
    is_sharded = [codec["name"] for codec in codecs] == ["sharding_indexed"]
    chunk = in_file
    if is_sharded:
        shard = codecs[0]["configuration"]
        chunk, codecs = _sizes(shard["chunk_shape"]), shard["codecs"]
        if shard["index_codecs"] != _INDEX or shard.get("index_location", "end") != "end":
            raise ValueError("another index of shards")
    # Numbers with the least byte first, packed by Blosc.
    if [codec["name"] for codec in codecs] != ["bytes", "blosc"]:
        raise ValueError("packed otherwise")
    if codecs[0].get("configuration", {}).get("endian", "little") != "little":
        raise ValueError("another order of bytes")
    layout = ArrayLayout(
        shape, content["data_type"], _fill(content["fill_value"]), in_file, chunk, is_sharded
    )
    if not len(shape) == len(in_file) == len(chunk):
        raise ValueError("axes that differ")
    if any(whole % part for whole, part in zip(in_file, chunk, strict=True)):
        raise ValueError("chunks that do not fill a shard")
    if layout.chunk_bytes > _MOST_CHUNK_BYTES:
        raise ValueError("chunks that are too large")
    if math.prod(layout.chunks_a_file) > _MOST_CHUNKS_A_FILE:
        raise ValueError("too many chunks in a shard")
    return layout


def _sizes(values: Any, least: int = 1) -> tuple[int, ...]:
    if not isinstance(values, list) or not 0 < len(values) <= _MOST_AXES:
        raise ValueError("a shape that is none")
    if not all(type(value) is int and value >= least for value in values):
        raise ValueError("a shape that is none")
    return tuple(values)


def _fill(value: Any) -> float:
    if value != "NaN" and (isinstance(value, str) or not value == 0):
        raise ValueError("another fill value")
    return float(value)


def _check_names(file: Path, codecs: list[dict[str, Any]]) -> None:
    for codec in codecs:
        name = codec["name"]
        if name not in _CODECS:
            raise _strange(file, f"names the codec {name!r}, which we do not write")
        inner = codec.get("configuration", {})
        for key in ("codecs", "index_codecs"):
            _check_names(file, inner.get(key, []))


def _not_ours(file: Path, why: Exception) -> InputError:
    if isinstance(why, InputError):
        return why
    return _strange(file, f"is not as we write it ({why})")


def _strange(place: Path, reason: str) -> InputError:
    return InputError(f"{place}: {reason}; it is not opened. Make the folder anew.")


def zarr_store(path: Path) -> Any:
    """Return what Zarr opens a path or an address by."""
    if not is_remote(path):
        return path
    from zarr.storage import FsspecStore

    address: Any = path
    return FsspecStore.from_url(str(address), storage_options=dict(address.storage_options))
