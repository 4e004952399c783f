"""The phantom cohort as napari's sample data."""

from __future__ import annotations

from typing import Any

import numpy as np
from PIL import Image

from napari_globalxai.cohort.table import read_cohort
from napari_globalxai.samples import sample_folder
from napari_globalxai.widgets.layer_roles import METADATA_KEY
from napari_globalxai.widgets.layers import IMAGES

MODEL = "honest.yaml"


def open_phantom() -> list[tuple[Any, dict[str, Any], str]]:
    """Return the phantom cohort as one stack, right sides mirrored.

    A few hundred small JPEG files, read in a fraction of a second, without MONAI or torch: napari
    calls this in the GUI thread. The layer's metadata tell the widgets where cohort and model lie.
    """
    folder = sample_folder()
    table = folder / "cohort" / "cohort.csv"
    cohort = read_cohort(table)
    images = []
    for path, side in zip(cohort.files, cohort.laterality, strict=True):
        with Image.open(path) as image:
            pixels = np.asarray(image.convert("RGB"))
        images.append(pixels[:, ::-1] if side == "R" else pixels)
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
    return [(np.stack(images), meta, "image")]
