"""Read the elements of a DICOM file, and no more of it than a picture needs."""

from __future__ import annotations

import io
import zlib
from pathlib import Path
from typing import TYPE_CHECKING

from napari_globalxai.images.pixels import check_size

if TYPE_CHECKING:
    from pydicom.dataset import Dataset, FileDataset

_PIXELS = 0x7FE00010
# What a deflated file's picture may be of at the most: it is inflated as a whole, and copied.
_MOST_BYTES = 1 << 30
_LONGEST_HEADER = 4 << 20
# Zeros are elements, too, eight bytes each.
_MOST_ELEMENTS = 100_000


class DeflatedError(Exception):
    """Raised in place of inflating a file.

    Attributes
    ----------
    size : int
        Bytes that it would have.
    """

    def __init__(self, size: int) -> None:
        super().__init__()
        self.size = size


def read_elements(path: Path, inflate: bool = False) -> FileDataset:
    """Read a file up to its pixels, and these; what follows them is never needed.

    Parameters
    ----------
    path : pathlib.Path
        The file, with or without the preamble.
    inflate : bool, optional
        Whether a deflated file is inflated, whatever it becomes.

    Raises
    ------
    DeflatedError
        Where a file is deflated, with its size, unless that was asked for.
    ValueError
        Where it would become more than its picture needs.
    """
    from pydicom.filereader import read_partial

    stream = io.FileIO(path)
    with io.BufferedReader(stream) if inflate else _Stream(stream) as source:
        return read_partial(source, _Stop(_PIXELS + 1), force=True)


def picture_bytes(dataset: Dataset) -> int:
    """Return the bytes of a frame as a dataset tells them."""
    rows, columns, samples, bits = (
        int(dataset.get(name) or 0)
        for name in ("Rows", "Columns", "SamplesPerPixel", "BitsAllocated")
    )
    return rows * columns * samples * -(-bits // 8)


class _Stop:
    """Tells pydicom to stop at a tag; refuses, or stops at, more elements than any file has."""

    def __init__(self, tag: int, refuse: bool = True) -> None:
        self._tag, self._refuse, self._count = tag, refuse, 0
        self.reached = self._after_pixels = False

    def __call__(self, tag: int, *_: object) -> bool:
        self._count += 1
        if self._count > _MOST_ELEMENTS:
            if not self._refuse:
                return True
            raise ValueError(f"it has more than {_MOST_ELEMENTS} elements")
        self.reached = self._after_pixels or tag >= self._tag
        self._after_pixels = tag == _PIXELS
        return self.reached


class _Stream(io.BufferedReader):
    """A file for pydicom, which reads a file's rest at one time only where that is deflated."""

    def read(self, size: int | None = -1, /) -> bytes:
        """Read; raise `DeflatedError` for the rest of the file."""
        content = super().read(size)
        if size is None or size < 0:
            raise DeflatedError(_inflated_size(content))
        return content


def _inflated_size(deflated: bytes) -> int:
    """Return what a dataset inflates to; refuse what is more than its picture needs."""
    from pydicom.filereader import read_dataset

    inflate = zlib.decompressobj(-zlib.MAX_WBITS)
    head = inflate.decompress(deflated, _LONGEST_HEADER)
    stop = _Stop(_PIXELS, refuse=False)
    told = read_dataset(io.BytesIO(head), False, True, stop_when=stop)
    size, part = len(head), inflate.unconsumed_tail
    if part and not inflate.eof:
        if not stop.reached:
            raise ValueError(f"before its pixels it inflates to more than {size >> 20} MiB")
        check_size(int(told.get("Rows") or 0), int(told.get("Columns") or 0))
    frames = max(1, int(told.get("NumberOfFrames") or 1))
    most = min(picture_bytes(told) * frames, _MOST_BYTES) + _LONGEST_HEADER
    while part and not inflate.eof:
        size += len(inflate.decompress(part, 1 << 24))
        part = inflate.unconsumed_tail
        if size > most:
            raise ValueError(f"it inflates to more than the {most >> 20} MiB that its picture has")
    return size
