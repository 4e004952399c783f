"""Where results go unless the user says otherwise."""

import re
from collections.abc import Callable, Iterable
from pathlib import Path

from napari_globalxai.errors import InputError
from napari_globalxai.runs.record import Record, has_record, read_record
from napari_globalxai.storage import hash_value, is_unused

_MOST_TRIED = 1000
_LONGEST_NAME = 120


def results_home() -> Path:
    """Return the folder in the home folder that results go into."""
    # Asked for each time, as tests and users move the home folder.
    return Path.home() / "napari-globalxai"


def default_folder(parts: Iterable[str], belongs: Callable[[Record], bool]) -> Path:
    """Return a folder in the home folder, which can be written to wherever the cohort lies.

    Parameters
    ----------
    parts : iterable of str
        Make up its name.
    belongs : callable
        Given the record of a folder, tells whether its results can be gone on with; a folder with
        other results is passed over.
    """
    # A table called cohort.csv in a folder called cohort need not be called cohort-cohort.
    name = "-".join(dict.fromkeys(part for part in parts if part))
    home = results_home()
    stem = re.sub(r"[^\w.-]", "_", name)
    if len(stem) > _LONGEST_NAME:
        stem = f"{stem[:_LONGEST_NAME]}-{hash_value(stem)[:8]}"
    for count in range(1, _MOST_TRIED):
        folder = home / (stem if count == 1 else f"{stem}-{count}")
        if _is_free(folder, belongs):
            return folder
    return home / stem


def _is_free(folder: Path, belongs: Callable[[Record], bool]) -> bool:
    try:
        if has_record(folder):
            return belongs(read_record(folder))
        return is_unused(folder)
    except (OSError, InputError):
        return False
