"""Zip archives that swell: what is in one may not be much larger than the archive."""

from __future__ import annotations

import struct
import zipfile
import zlib
from pathlib import Path

from napari_globalxai.errors import InputError

# How Python's reader of archives fails: on damaged ones, unknown versions and packings.
DAMAGED_ARCHIVE = (
    zipfile.BadZipFile,
    EOFError,
    NotImplementedError,
    OSError,
    OverflowError,
    UnicodeDecodeError,
    struct.error,
    zlib.error,
)
# Weights hardly shrink; text does, but there is little of it.
_MOST_TIMES = 4
_MOST_MORE = 256 << 20


def check_archive(archive: zipfile.ZipFile, size: int, path: Path) -> None:
    """Refuse an archive whose entries together are much larger than itself.

    Parameters
    ----------
    archive : zipfile.ZipFile
        The archive.
    size : int
        Its own bytes.
    path : pathlib.Path
        Its file, for messages.

    Raises
    ------
    InputError
        When its entries claim more than four times its size and 256 MiB.
    """
    claimed = sum(entry.file_size for entry in archive.infolist())
    if claimed > _MOST_TIMES * size + _MOST_MORE:
        raise InputError(
            f"{path}: would swell from {_in_mib(size)} to {_in_mib(claimed)}, as no weights do; it "
            "is not opened. Pack it without compression if it is what it should be."
        )


def _in_mib(size: int) -> str:
    return f"{size / (1 << 20):,.0f} MiB"
