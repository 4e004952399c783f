"""Tables of ours that somebody takes for a cohort's, told by the result folder that they lie in."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from napari_globalxai.addresses import is_remote
from napari_globalxai.storage import is_regular, read_json
from napari_globalxai.unusable import MADE_AGAIN

_RECORD = "run.json"
_OF_ANY_VERSION = frozenset(("kind", "format", "cohort", "frame"))
# As selections/NAME/stability/stability.csv.
_DEEPEST = 4
_OF_IMAGES = frozenset(("row", "file", "path", "patient", "status", "error"))


@dataclass(frozen=True)
class OwnTable:
    """A table that a command of ours wrote.

    Attributes
    ----------
    folder : pathlib.Path
        The result folder that it lies in.
    made_of : str
        The cohort table that the folder was made of; empty where its record does not tell.
    """

    folder: Path
    made_of: str


def own_table(path: Path) -> OwnTable | None:
    """Return what a table is a result of; None where it is nobody's result where it lies.

    A copy elsewhere is its owner's, whatever its columns are.
    """
    if path.suffix.lower() != ".csv" or is_remote(path):
        return None
    for home in path.absolute().parents[:_DEEPEST]:
        if not is_regular(home / _RECORD):
            continue
        inside = path.absolute().relative_to(home).parts
        if inside[0] not in MADE_AGAIN:
            return None
        try:
            values = read_json(home / _RECORD)
        except (OSError, ValueError, RecursionError):
            return None
        return OwnTable(home, _made_of(values)) if is_record(values) else None
    return None


def is_record(values: Any) -> bool:
    """Return whether the content of a ``run.json`` is a record of any version of ours."""
    return isinstance(values, dict) and not values.keys().isdisjoint(_OF_ANY_VERSION)


def is_copy_of_images(columns: Collection[str]) -> bool:
    """Return whether a table has the columns of a run's table of images."""
    return set(columns) >= _OF_IMAGES and any(
        str(name).startswith("probability_") for name in columns
    )


def _made_of(values: dict[str, Any]) -> str:
    cohort = values.get("cohort")
    table = cohort.get("table") if isinstance(cohort, dict) else None
    return table if isinstance(table, str) else ""
