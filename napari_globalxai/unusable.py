"""Files of ours that are missing or damaged, in one sentence that says what makes them again."""

from __future__ import annotations

import errno
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from napari_globalxai.errors import InputError

# What files that somebody has changed give rise to: other values, types, keys; no text, no archive.
_NOT_AS_WE_WRITE = (
    ArithmeticError,
    AttributeError,
    EOFError,
    LookupError,
    NotImplementedError,
    RecursionError,
    TypeError,
    ValueError,
    zipfile.BadZipFile,
    zlib.error,
)
_EXPLAINED = "explain the cohort again with --resume"
_CHECKED = "check the cohort again into this folder"
# By the part of a result folder that a file lies in, or its name.
MADE_AGAIN = {
    "images.csv": _EXPLAINED,
    "performance.csv": _EXPLAINED,
    "coverage.tif": _EXPLAINED,
    "maps": _EXPLAINED,
    "attributions.zarr": _EXPLAINED,
    "aligned.zarr": _EXPLAINED,
    "selections": "make the selection again with `maps`",
    "contrasts": "run `contrast` again",
    "stability": "run `stability` again",
    "outliers": "run `outliers` again",
    "slices": "run `slices` again",
    "audit": "run `audit` again",
    "sanity": "run `sanity` again",
    "peppr": "run `peppr` again",
    "comparison.json": "run `compare` again",
    "regions": "put it back, or draw the region again",
    "quality.json": _CHECKED,
    "quality.csv": _CHECKED,
    "mean.tif": _CHECKED,
    "sd.tif": _CHECKED,
}
_ANEW = "make the folder anew"


def damaged(path: Path) -> InputError:
    """Return the error of a file of ours that is missing or not as we write it."""
    try:
        is_there = path.exists() or path.is_symlink()
    # A store that is not to be reached has not lost it.
    except Exception:
        is_there = True
    what = "is damaged or was not written by napari-globalxai" if is_there else "is missing"
    return InputError(f"{path}: {what}; {made_again(path)}.")


def changed(path: Path, what: str) -> InputError:
    """Return the error of a file of ours that another program changed, in words."""
    return InputError(f"{path}: {what}; put it back as it was, or {made_again(path)}.")


def made_again(path: Path) -> str:
    """Return what makes a file of a result folder again, in words."""
    home = next((each for each in path.parents if (each / "run.json").is_file()), path.parent)
    inside = path.relative_to(home).parts
    # A selection has a stability of its own, so the innermost counts.
    found = next((MADE_AGAIN[name] for name in reversed(inside) if name in MADE_AGAIN), "")
    if found == _EXPLAINED and (home / "quality.json").is_file():
        return _CHECKED
    if not found and path.name.endswith(".difference.tif"):
        return MADE_AGAIN["comparison.json"]
    return found or _ANEW


@contextmanager
def as_we_write(path: Path) -> Iterator[None]:
    """Say of a file of ours that it is missing or damaged, whatever the block meets in it."""
    try:
        yield
    except InputError:
        raise
    except (FileNotFoundError, *_NOT_AS_WE_WRITE) as why:
        raise damaged(path) from why
    except OSError as why:
        # An archive that names a place before its own beginning.
        if why.errno != errno.EINVAL:
            raise
        raise damaged(path) from why
