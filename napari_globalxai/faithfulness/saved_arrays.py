"""Arrays that NumPy has saved together, of a result that somebody may have changed."""

from __future__ import annotations

import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from napari_globalxai.addresses import readable
from napari_globalxai.storage import atomic_path, check_regular, is_regular
from napari_globalxai.unusable import as_we_write, damaged

# Results shrink when they are packed, zeros a thousandfold.
_MOST_TIMES, _MOST_MORE = 100, 256 << 20


@contextmanager
def open_arrays(path: Path) -> Iterator[Any]:
    """Open arrays, by name, of a regular file that unpacks to no more than arrays would.

    Raises
    ------
    InputError
        When it is no such file, claims to hold far more than its size, or the block does not find
        what it expects.
    """
    check_regular(path)
    with as_we_write(path):
        with zipfile.ZipFile(readable(path)) as archive:
            claimed = sum(entry.file_size for entry in archive.infolist())
        if claimed > _MOST_TIMES * path.stat().st_size + _MOST_MORE:
            raise damaged(path)
        with np.load(readable(path), allow_pickle=False) as arrays:
            yield arrays


def read_kept(path: Path, shape: tuple[int, ...]) -> npt.NDArray[Any] | None:
    """Return an array that was put by; what a power cut or a full disk spoilt is made again."""
    if not is_regular(path):
        return None
    try:
        array: npt.NDArray[Any] = np.load(readable(path), allow_pickle=False)
    except (EOFError, OSError, ValueError):
        return None
    return array if array.shape == shape else None


def keep_array(path: Path, array: npt.NDArray[np.floating]) -> None:
    """Put an array by."""
    with atomic_path(path) as temporary:
        np.save(temporary, array)
