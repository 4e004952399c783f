"""What a cohort's entry for an image names: a file, or one page of it; and why it cannot be read.

Light on imports: tables are read without MONAI, torch or any decoder.
"""

from __future__ import annotations

import os
import re
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from napari_globalxai.addresses import is_remote
from napari_globalxai.errors import InputError
from napari_globalxai.storage import is_regular

_PAGE = re.compile(r"(?P<file>.+)#(?P<page>[1-9][0-9]{0,5})")
_LONGEST_REASON = 200


class UnreadableImageError(InputError):
    """An image file that is not read, and why.

    Attributes
    ----------
    reason : str
        Why, without the file's name and without a full stop.
    """

    def __init__(self, name: str, reason: str) -> None:
        super().__init__(f"{name}: cannot be read as an image ({reason}).")
        self.reason = reason


def split_page(path: str | Path) -> tuple[Path, int | None]:
    """Return the file that an entry names, and the page of it.

    ``file.tif#2`` is the second page of ``file.tif``, unless a file of that very name exists.

    Parameters
    ----------
    path : str or pathlib.Path
        The entry.

    Returns
    -------
    file : pathlib.Path
        It may not exist.
    page : int or None
        Counted from 1.
    """
    whole = Path(path) if isinstance(path, str) else path
    match = _PAGE.fullmatch(whole.name)
    if match is None or _exists(whole):
        return whole, None
    return whole.with_name(match["file"]), int(match["page"])


def _exists(path: Path) -> bool:
    # Unlike Path.exists, os.path.exists takes names that no disk has.
    return path.exists() if is_remote(path) else os.path.exists(path)  # noqa: PTH110


@contextmanager
def local_copy(path: Path) -> Iterator[Path]:
    """Give an entry as decoders read it: itself, or, of an address, a copy that is then deleted."""
    if not is_remote(path):
        yield path
        return
    file, _ = split_page(path)
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / file.name).write_bytes(file.read_bytes())
        yield Path(folder) / path.name


def is_there(path: str | Path) -> bool:
    """Return whether an entry, with or without a page, names a regular file that exists."""
    # As text, not as Path objects: a big cohort has thousands of files.
    return is_regular(path) or is_regular(split_page(path)[0])


def one_line(why: BaseException) -> str:
    """Return the last line of an error's text, or its kind where it has no text."""
    lines = [line.strip() for line in str(why).splitlines() if line.strip()]
    return lines[-1].rstrip(".")[:_LONGEST_REASON] if lines else type(why).__name__
