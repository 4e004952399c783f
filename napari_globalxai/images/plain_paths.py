"""Paths for ITK, which takes letters of other scripts on some systems alone.

Where a name is no text, as names of Linux need not be, it ends the whole process.
"""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def to_read_plainly(path: Path, ending: str) -> Iterator[Path]:
    """Give a file under a path of plain letters: itself, or a copy that is then deleted.

    Parameters
    ----------
    path : pathlib.Path
        The file.
    ending : str
        What the copy's name ends with, such as ``.nii.gz``: ITK goes by it.
    """
    if str(path).isascii():
        yield path
        return
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder, f"file{ending}")
        shutil.copyfile(path, copy)
        yield copy


@contextmanager
def to_write_plainly(path: Path, ending: str) -> Iterator[Path]:
    """Give a path of plain letters to write to: the file's own, or one that is then copied there.

    Parameters
    ----------
    path : pathlib.Path
        The file.
    ending : str
        As for `to_read_plainly`.
    """
    if str(path).isascii():
        yield path
        return
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder, f"file{ending}")
        yield copy
        shutil.copyfile(copy, path)
