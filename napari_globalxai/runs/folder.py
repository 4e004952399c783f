"""What lies where in a result folder."""

from __future__ import annotations

import re

RUN_FILE = "run.json"
QUALITY_FILE = "quality.json"
STACK_FOLDER = "aligned.zarr"
STORE_FOLDER = "attributions.zarr"
MAPS_FOLDER = "maps"
PEPPR_FOLDER = "peppr"
IMAGES_TABLE = "images.csv"


def file_stem(name: str) -> str:
    """Return a label or map name as a file name: anything unusual becomes an underscore."""
    return re.sub(r"[^\w.+-]", "_", name)
