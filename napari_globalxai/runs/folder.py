"""What lies where in a result folder."""

from __future__ import annotations

import re
import unicodedata
from pathlib import Path

from napari_globalxai.storage import hash_value

RUN_FILE = "run.json"
LOCK_FILE = "run.lock"
QUALITY_FILE = "quality.json"
STACK_FOLDER = "aligned.zarr"
STORE_FOLDER = "attributions.zarr"
MAPS_FOLDER = "maps"
PEPPR_FOLDER = "peppr"
SELECTIONS_FOLDER = "selections"
STABILITY_FOLDER = "stability"
OUTLIERS_FOLDER = "outliers"
SANITY_FOLDER = "sanity"
CONTRASTS_FOLDER = "contrasts"
REGIONS_FOLDER = "regions"
IMAGES_TABLE = "images.csv"


# Longer names are cut, so that suffixes and temporary names still fit into the 255 bytes of most
# file systems.
_LONGEST = 120
# Windows takes these for devices, whatever their suffix.
_DEVICES = re.compile(r"(con|prn|aux|nul|com\d|lpt\d)(\..*)?", re.IGNORECASE)


def whole_folder(path: Path) -> Path:
    """Return the result folder that a path of one of its parts, such as ``run.json``, means."""
    return path.parent if path.name in (RUN_FILE, STACK_FOLDER, STORE_FOLDER) else path


def file_stem(name: str) -> str:
    """Return a label or map name as a file name that any system takes.

    Anything unusual becomes an underscore, letters with accents have one form, and what had to be
    cut, or means a device to Windows, ends with a hash of the whole name.
    """
    stem = re.sub(r"[^\w.+-]", "_", unicodedata.normalize("NFC", name))
    cut = stem.encode()[:_LONGEST].decode(errors="ignore")
    is_device = _DEVICES.fullmatch(stem) is not None
    if cut != stem or is_device or stem.endswith("."):
        return f"{'_' * is_device}{cut.rstrip('.')}-{hash_value(name)[:8]}"
    return stem
