"""The phantom cohort as napari's sample data."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image

from napari_globalxai.cohort.table import read_cohort
from napari_globalxai.samples import sample_folder
from napari_globalxai.widgets.layer_roles import METADATA_KEY
from napari_globalxai.widgets.layers import IMAGES

MODEL = "honest.yaml"


def open_phantom() -> list[tuple[Any, dict[str, Any], str]]:
    """Return the phantom cohort as one stack, right sides mirrored.

    napari calls this in the GUI thread, so only the table is read here, and each image when it
    comes into view: a small JPEG file, without MONAI or torch. The layer's metadata tell the
    widgets where cohort and model lie.
    """
    import dask.array

    folder = sample_folder()
    table = folder / "cohort" / "cohort.csv"
    cohort = read_cohort(table)
    count = len(cohort)
    height, width, _ = _read(cohort.files[0], "").shape

    def read(block: npt.NDArray[np.int64]) -> npt.NDArray[np.uint8]:
        return np.stack([_read(cohort.files[row], cohort.laterality[row]) for row in block.ravel()])

    rows = dask.array.from_array(np.arange(count)[:, None, None, None], chunks=(1, 1, 1, 1))  # type: ignore[no-untyped-call]
    images = dask.array.map_blocks(  # type: ignore[no-untyped-call]
        read, rows, dtype=np.uint8, chunks=((1,) * count, (height,), (width,), (3,))
    )
    where = {
        "role": "images",
        "cohort": str(table),
        "model": str(folder / "models" / MODEL),
    }
    meta = {
        "name": IMAGES,
        "rgb": True,
        "axis_labels": ("image", "y", "x"),
        "metadata": {METADATA_KEY: where},
    }
    return [(images, meta, "image")]


def _read(path: Path, side: str) -> npt.NDArray[np.uint8]:
    with Image.open(path) as image:
        pixels = np.asarray(image.convert("RGB"))
    return pixels[:, ::-1] if side == "R" else pixels
