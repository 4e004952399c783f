"""Read a labels image: a number a pixel of the frame, of which each but 0 names a region."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from napari_globalxai.errors import InputError
from napari_globalxai.storage import check_regular

# More are hardly regions, but a photograph.
MOST_REGIONS = 64


def read_labels_image(path: Path, shape: Sequence[int]) -> dict[str, npt.NDArray[np.bool_]]:
    """Return the regions of a labels image, ``region-1`` and so on, bool (*frame).

    Parameters
    ----------
    path : pathlib.Path
        A TIFF, PNG or npy file of whole numbers; 0 is no region.
    shape : sequence of int
        Size of the frame, which the file must have.

    Raises
    ------
    InputError
        When it is not there, is no such file, or has another size.
    """
    if not path.exists():
        raise InputError(f"{path}: does not exist; name a TIFF, PNG or npy file with regions.")
    check_regular(path)
    readers = {b"\x93NUMPY": _npy, b"\x89PNG": _png}
    with path.open("rb") as stream:
        head = stream.read(6)
    read = next((each for start, each in readers.items() if head.startswith(start)), _tiff)
    try:
        values = read(path, tuple(shape))
    except InputError:
        raise
    # Readers of damaged files raise all sorts of things.
    except Exception as why:
        raise InputError(
            f"{path}: cannot be read as a TIFF, PNG or npy file ({type(why).__name__}); save the "
            "regions anew."
        ) from why
    return regions_of(path, values)


def _npy(path: Path, shape: tuple[int, ...]) -> npt.NDArray[Any]:
    # Looked at before it is read: nothing says how large it is.
    values = np.load(path, mmap_mode="r", allow_pickle=False)
    check_size(path, values.shape, shape)
    return np.array(values)


def _png(path: Path, shape: tuple[int, ...]) -> npt.NDArray[Any]:
    from PIL import Image

    with Image.open(path) as image:
        check_size(path, (image.height, image.width), shape)
        if image.mode not in ("1", "L", "P", "I", "I;16", "I;16B"):
            raise InputError(f"{path}: has colours; save one number a pixel.")
        return np.asarray(image)


def _tiff(path: Path, shape: tuple[int, ...]) -> npt.NDArray[Any]:
    import tifffile

    with tifffile.TiffFile(path) as tiff:
        found = tiff.series[0].shape
        check_size(path, found, shape)
        return np.asarray(tiff.series[0].asarray())


def check_size(path: Path, found: tuple[int, ...], wanted: tuple[int, ...]) -> None:
    """Refuse an image of another size than the frame."""
    if tuple(found) != wanted:
        sizes = ["×".join(map(str, each)) for each in (found, wanted)]
        raise InputError(
            f"{path}: is {sizes[0]}, but the frame is {sizes[1]}; draw the regions in the frame."
        )


def regions_of(path: Path, values: npt.NDArray[Any]) -> dict[str, npt.NDArray[np.bool_]]:
    """Return the regions that an image numbers, refusing what numbers none."""
    if values.dtype.kind not in "biuf" or not (np.isfinite(values) & (values == values // 1)).all():
        raise InputError(f"{path}: has other values than whole numbers; save one a region.")
    numbers = np.unique(values)
    numbers = numbers[numbers != 0]
    if len(numbers) == 0 or numbers[0] < 0 or len(numbers) > MOST_REGIONS:
        what = "holds no region" if len(numbers) == 0 else f"holds {len(numbers)} numbers"
        what = "holds numbers below 0" if len(numbers) and numbers[0] < 0 else what
        raise InputError(
            f"{path}: {what}; give each region a number from 1 on, at most {MOST_REGIONS} of them."
        )
    return {f"region-{int(number)}": values == number for number in numbers}
