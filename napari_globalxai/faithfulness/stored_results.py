"""Which results of PEPPR lie in a folder, and what their files are called."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from napari_globalxai.errors import InputError
from napari_globalxai.storage import read_json
from napari_globalxai.unusable import as_we_write, damaged

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


def _stored(path: Path, summary: dict[str, Any]) -> StoredResult:
    fill = str(summary.get("settings", {}).get("fill", DEFAULT_FILL))
    return StoredResult(str(summary.get("map", path.stem)), fill, path.stem)


def check_record_is_there(folder: Path, map_name: str, fill: str | None) -> None:
    """Raise `InputError` where a result lacks its record alone, without which no list knows it."""
    record = folder / f"{result_stem(map_name, fill or DEFAULT_FILL)}.json"
    if not record.exists() and record.with_suffix(".npz").is_file():
        raise damaged(record)


def stored_results(folder: Path) -> list[StoredResult]:
    """Return the results in a folder, by name of map and then of fill, the default fill first."""
    found = []
    for path in sorted(folder.glob("*.json")):
        is_whole = path.with_suffix(".npz").is_file()
        try:
            with as_we_write(path):
                summary = read_json(path)
                each = _stored(path, summary)
        except InputError:
            if is_whole:
                raise
            continue
        # Others are of regions, of images one by one, of several maps. Of a result that lost its
        # numbers, whoever opens it is told.
        is_one = "map" in summary and result_stem(each.map_name, each.fill) == path.stem
        if is_whole or is_one:
            found.append(each)
    return sorted(found, key=lambda each: (each.map_name, each.fill != DEFAULT_FILL, each.fill))
