"""Regions of the frame from any file that holds labels: TIFF, PNG, npy or NIfTI."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from napari_globalxai.errors import InputError
from napari_globalxai.images.labels_image import check_size, read_labels_image, regions_of
from napari_globalxai.images.plain_paths import to_read_plainly
from napari_globalxai.storage import check_regular

_NIFTI = (".nii", ".nii.gz")


def read_regions(path: Path, shape: Sequence[int]) -> dict[str, npt.NDArray[np.bool_]]:
    """Return the regions of a file, ``region-1`` and so on, bool (*frame).

    Parameters
    ----------
    path : pathlib.Path
        A TIFF, PNG, npy or NIfTI file of whole numbers in the frame; 0 is no region.
    shape : sequence of int
        Size of the frame, which the file must have.

    Raises
    ------
    InputError
        When it is not there, is no such file, or has another size.
    """
    if not path.name.lower().endswith(_NIFTI) or not path.exists():
        return read_labels_image(path, shape)
    check_regular(path)
    ending = next(each for each in _NIFTI if path.name.lower().endswith(each))
    try:
        with to_read_plainly(path, ending) as plain:
            values = _read_nifti(path, plain, shape)
    except RuntimeError as why:
        raise InputError(f"{path}: cannot be read as a NIfTI file; save the regions anew.") from why
    return regions_of(path, values.reshape(tuple(shape)))


def _read_nifti(path: Path, plain: Path, shape: Sequence[int]) -> npt.NDArray[Any]:
    import SimpleITK as sitk

    reader = sitk.ImageFileReader()
    reader.SetFileName(str(plain))
    reader.ReadImageInformation()
    # Axes are told in the other order; a flat image may have a third one of length 1.
    found = tuple(reversed(reader.GetSize()))
    while len(found) > len(shape) and found[0] == 1:
        found = found[1:]
    check_size(path, found, tuple(shape))
    return np.asarray(sitk.GetArrayFromImage(reader.Execute()))
