"""One MONAI reader for every image file that a clinic exports."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from monai.config import PathLike
from monai.data.image_reader import ImageReader
from monai.utils import MetaKeys, ensure_tuple

from napari_globalxai.images.dicom import is_dicom, read_dicom
from napari_globalxai.images.image_file import UnreadableImageError, one_line, split_page
from napari_globalxai.images.pixels import Array, Picture, Wanted, as_stored
from napari_globalxai.images.rasters import is_raster, read_raster
from napari_globalxai.images.tiff_pictures import is_tiff, read_tiff
from napari_globalxai.storage import oddity

_HEAD = 256


class FundusReader(ImageReader):
    """Read a picture as RGB in 0–255, upright, with where its pixels lie in the file.

    The content chooses the decoder, not the file's name. Nothing in a file is run or unpickled.
    Grey is repeated; what is transparent lies on black, and an alpha channel that is opaque
    everywhere, or hides everything, is dropped. 8-bit samples stay as they are; deeper ones are
    scaled by the range that the file tells (`BitsStored` of DICOM, after the window that it may
    give for grey values; ``sBIT`` of PNG; bits and ranges of samples in TIFF), else by
    `stored_bits`, else 16-bit ones are divided by 257, unless they use the lower bits alone, which
    is refused. Floats within 0–1 are multiplied by 255; other numbers must lie within 0–255.

    An entry may name one page or frame: ``file.tif#2``. Without a name the first is taken where
    all others are smaller; several of full size are refused.

    Parameters
    ----------
    at_least : tuple of int, optional
        Height and width that will be needed of the upright picture. JPEGs are decoded at 1/2, 1/4
        or 1/8 of their size as long as they stay twice as large.
    frame : int, optional
        Page or frame to read of files that have several, counted from 1, where the entry names
        none.
    stored_bits : int, optional
        How many bits whole numbers have in files of more than 8 bit that do not tell.

    Notes
    -----
    `get_data` gives float32 or uint8 (3, rows, columns), and as metadata ``affine``, 3 × 3, which
    takes (row, column, 1) of the array to that of the pixels as stored in the file, at full size
    and before any EXIF orientation, centres of pixels being whole numbers; ``native_shape``, rows
    and columns as stored; ``laterality``, ``"L"``, ``"R"`` or ``""``, as a DICOM file says;
    ``note``, what had to be decided where a file contradicts itself.
    """

    def __init__(
        self,
        at_least: tuple[int, int] | None = None,
        frame: int | None = None,
        stored_bits: int | None = None,
    ) -> None:
        super().__init__()
        self.stored_bits = stored_bits
        self.at_least = at_least
        self.frame = frame

    def verify_suffix(self, filename: Sequence[PathLike] | PathLike) -> bool:
        """Return true: names tell nothing."""
        return True

    def read(self, data: Sequence[PathLike] | PathLike, **kwargs: Any) -> Picture:
        """Read one file.

        Raises
        ------
        UnreadableImageError
            When it is not a picture that can be read, with the reason.
        """
        (name,) = ensure_tuple(data)
        path, page = split_page(name)
        try:
            return self._read(path, self.frame if page is None else page)
        # Decoders fail in as many ways as files can be broken.
        except Exception as why:
            raise UnreadableImageError(str(name), one_line(why)) from why

    def _read(self, path: Path, page: int | None) -> Picture:
        if why := oddity(path):
            raise ValueError(f"it {why}")
        with path.open("rb") as stream:
            # Some systems call a stream a regular file, of no size.
            head = stream.read(min(_HEAD, os.fstat(stream.fileno()).st_size))
        wanted = Wanted(self.at_least, self.stored_bits)
        # A file may be both DICOM and TIFF; DICOM knows more.
        if is_dicom(head):
            return read_dicom(path, page, wanted)
        if is_tiff(head):
            return read_tiff(path, page, wanted)
        if is_raster(head):
            return read_raster(path, page, wanted)
        raise ValueError("it is not a JPEG, PNG, TIFF, BMP, DICOM or other picture that is known")

    def get_data(self, img: Picture) -> tuple[Array, dict[str, Any]]:
        """Return the picture, channel first, and its metadata."""
        values = np.moveaxis(img.values, -1, 0)
        return values, {
            MetaKeys.AFFINE: img.affine,
            MetaKeys.ORIGINAL_CHANNEL_DIM: 0,
            MetaKeys.SPATIAL_SHAPE: np.asarray(values.shape[1:]),
            "native_shape": img.native_shape,
            "laterality": img.laterality,
            "note": img.note,
        }


def read_stored(path: PathLike, stored_bits: int | None = None) -> npt.NDArray[np.uint8]:
    """Read a picture at full size as its file stores it, without turning it upright.

    Parameters
    ----------
    path : str or pathlib.Path
        A file, or one page of it.
    stored_bits : int, optional
        As for `FundusReader`.

    Returns
    -------
    numpy.ndarray
        RGB, uint8 (height, width, 3); grey is repeated.

    Raises
    ------
    UnreadableImageError
        When it is not a picture that can be read, with the reason.
    """
    values = as_stored(FundusReader(stored_bits=stored_bits).read(path))
    return np.ascontiguousarray(np.rint(values), np.uint8)
