"""Which results of PEPPR lie in a folder, and what their files are called."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from napari_globalxai.storage import as_we_write, read_json

DEFAULT_FILL = "mean-image"


@dataclass(frozen=True)
class StoredResult:
    """A result of PEPPR on disk.

    Attributes
    ----------
    map_name : str
        Its map, as its files call it.
    fill : str
        Its fill.
    stem : str
        Name of its files, without a suffix.
    """

    map_name: str
    fill: str
    stem: str


def result_stem(map_name: str, fill: str) -> str:
    """Return the name of a result's files: a fill other than the default is part of it."""
    return map_name if fill == DEFAULT_FILL else f"{map_name}.{fill_stem(fill)}"


def fill_stem(fill: str) -> str:
    """Return a fill's name as part of a file name; of a picture, its own name."""
    kind, colon, file = fill.partition(":")
    return re.sub(r"[^\w.+-]", "_", f"{kind}-{Path(file).stem}" if colon else kind)


def stored_results(folder: Path) -> list[StoredResult]:
    """Return the results in a folder, by name of map and then of fill, the default fill first."""
    found = []
    for path in sorted(folder.glob("*.json")):
        if not path.with_suffix(".npz").is_file():
            # Of regions, of images one by one, of several maps.
            continue
        with as_we_write(path):
            summary = read_json(path)
            fill = str(summary.get("settings", {}).get("fill", DEFAULT_FILL))
            found.append(StoredResult(str(summary.get("map", path.stem)), fill, path.stem))
    return sorted(found, key=lambda each: (each.map_name, each.fill != DEFAULT_FILL, each.fill))
