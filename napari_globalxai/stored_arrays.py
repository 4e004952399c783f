"""Look at a Zarr store before it is opened: what we write is read, and nothing else.

A codec is code that a file asks for by name; older formats know one that unpickles. So a stranger's
folder is held against what we write ourselves before Zarr sees it.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from napari_globalxai.addresses import is_remote
from napari_globalxai.errors import InputError

_CODECS = frozenset(("blosc", "bytes", "crc32c", "gzip", "sharding_indexed", "transpose", "zstd"))
_OLD = (".zarray", ".zgroup", ".zattrs", ".zmetadata")
_MOST_BYTES = 64 << 20


def check_store(folder: Path) -> None:
    """Refuse a Zarr store that is not of version 3 with plain numbers and the codecs we write.

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
    found = [place / "zarr.json" for place in places if (place / "zarr.json").is_file()]
    if not (folder / "zarr.json").is_file():
        raise FileNotFoundError(folder / "zarr.json")
    for file in found:
        _check_metadata(file)


def _check_metadata(file: Path) -> None:
    try:
        if file.stat().st_size > _MOST_BYTES:
            raise ValueError("too large")
        content = json.loads(file.read_bytes())
        if content["zarr_format"] != 3:
            raise ValueError("another version")
        codecs = content.get("codecs", [])
        _check_codecs(file, codecs)
        if content["node_type"] == "array" and not isinstance(content["data_type"], str):
            raise ValueError("no plain numbers")
    except (ValueError, KeyError, TypeError, RecursionError) as why:
        if isinstance(why, InputError):
            raise
        raise _strange(file, f"is not as we write it ({why})") from why
    if content.get("storage_transformers"):
        raise _strange(file, "names storage transformers, which we do not write")


def _check_codecs(file: Path, codecs: list[dict[str, Any]]) -> None:
    for codec in codecs:
        name = codec["name"]
        if name not in _CODECS:
            raise _strange(file, f"names the codec {name!r}, which we do not write")
        inner = codec.get("configuration", {})
        for key in ("codecs", "index_codecs"):
            _check_codecs(file, inner.get(key, []))


def _strange(place: Path, reason: str) -> InputError:
    return InputError(f"{place}: {reason}; it is not opened. Make the folder anew.")


def zarr_store(path: Path) -> Any:
    """Return what Zarr opens a path or an address by."""
    if not is_remote(path):
        return path
    from zarr.storage import FsspecStore

    address: Any = path
    return FsspecStore.from_url(str(address), storage_options=dict(address.storage_options))
