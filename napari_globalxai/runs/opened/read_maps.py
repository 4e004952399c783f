"""Maps of a run folder, read only where they are of the size that they must have."""

from __future__ import annotations

import struct
from pathlib import Path

import numpy as np
import numpy.typing as npt

from napari_globalxai.addresses import readable
from napari_globalxai.storage import check_regular
from napari_globalxai.unusable import damaged

_MOST_PLANES = 64


def read_map(path: Path, shape: tuple[int, ...] | None) -> npt.NDArray[np.float32]:
    """Read a map; a file of another size is not decoded.

    Parameters
    ----------
    path : pathlib.Path
        A TIFF file.
    shape : tuple of int, optional
        Of the frame; by default any.

    Raises
    ------
    InputError
        When it is no such map.
    """
    return _read(path, shape, planes=False)


def read_planes(path: Path, shape: tuple[int, int]) -> npt.NDArray[np.float32]:
    """Read the channels of an image of the frame, float32 (channel, height, width); see above."""
    image = _read(path, shape, planes=True)
    return image[None] if image.ndim == len(shape) else image


def _read(path: Path, shape: tuple[int, ...] | None, *, planes: bool) -> npt.NDArray[np.float32]:
    import tifffile

    check_regular(path)
    try:
        with tifffile.TiffFile(readable(path)) as file:
            found = file.series[0].shape if planes else file.pages[0].shape
            many = len(found) == 3 and found[0] <= _MOST_PLANES
            own = found[1:] if planes and many else found
            if shape is not None and own != shape:
                raise damaged(path)
            part = file.series[0] if planes else file.pages[0]
            return np.asarray(part.asarray(), np.float32)
    except no_tiff() as why:
        raise damaged(path) from why


def no_tiff() -> tuple[type[Exception], ...]:
    """Return what tifffile raises of a file that is no TIFF or not there: as many ways as parts."""
    import tifffile

    wrong = ValueError, IndexError, KeyError, RuntimeError, struct.error
    return tifffile.TiffFileError, *wrong, FileNotFoundError
