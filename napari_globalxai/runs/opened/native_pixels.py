"""Images of a run, and its maps, in the pixels that the images' own files store."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from napari_globalxai.addresses import check_named, name_store, place
from napari_globalxai.errors import InputError
from napari_globalxai.images.image_file import is_there, local_copy
from napari_globalxai.runs import tables
from napari_globalxai.runs.opened.image_place import MovedImageError, find_image

if TYPE_CHECKING:
    from napari_globalxai.frame.placement import Placement
    from napari_globalxai.runs.run import Run


def to_native(run: Run, image: str | npt.ArrayLike, row: int) -> npt.NDArray[np.float32]:
    """Bring a map of the frame to the pixels that an image's file stores: `Run.to_native`."""
    if isinstance(image, str):
        if image not in run.maps:
            raise InputError(f"{run.folder}: has no map {image!r}, but {', '.join(run.maps)}.")
        image = run.maps[image]
    values = np.asarray(image, np.float32)
    if values.shape != run.stack.shape:
        raise InputError(
            f"The map has shape {values.shape}, but the frame of {run.folder} has "
            f"{run.stack.shape}."
        )
    return _placement(run, row).to_native(values)


def native_image(
    run: Run, row: int, store: str | None = None, folder: str | Path | None = None
) -> npt.NDArray[np.uint8]:
    """Read an image from its file, as it is stored: `Run.native_image`."""
    # Imports MONAI.
    from napari_globalxai.images.readers import read_stored

    placement, path = _placement(run, row), place(str(run.images[tables.PATH].iloc[row]))
    if store is not None:
        name_store(place(store))
    check_named(path, run.folder)
    if not is_there(path):
        if folder is None:
            raise MovedImageError(
                f"{path}: is not there any more; put the file back, or tell the folder in which "
                "the images are now (folder in Python)."
            )
        path = find_image(run, row, folder)
    with local_copy(path) as file:
        pixels = read_stored(file, run.record.settings.stored_bits)
    if pixels.shape[:2] != placement.shape:
        raise InputError(
            f"{path}: has another size than when the run was made; explain the cohort again."
        )
    return pixels


def _placement(run: Run, row: int) -> Placement:
    image = run.images.iloc[row]
    if image[tables.ERROR]:
        raise InputError(image[tables.ERROR])
    if row not in run.placements:
        raise InputError(
            f"{run.folder}: does not tell where the frame lies in {image[tables.FILE]}; "
            "explain the cohort again."
        )
    return run.placements[row]
