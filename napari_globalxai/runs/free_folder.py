"""Whether a folder can take results: told by the work that takes it, and by panels before.

Light to import, as panels ask while a folder is chosen.
"""

from __future__ import annotations

from pathlib import Path

from napari_globalxai.errors import InputError
from napari_globalxai.runs.folder import LOCK_FILE
from napari_globalxai.runs.record import (
    AlignRecord,
    RunRecord,
    has_record,
    other_kind,
    read_record,
)
from napari_globalxai.storage import is_unused


def run_in(folder: Path) -> RunRecord | None:
    """Return the record of the run that a folder holds, None where it is free for one.

    Raises
    ------
    InputError
        When it holds something else.
    """
    if not has_record(folder):
        if not is_unused(folder, LOCK_FILE):
            raise InputError(f"{folder}: is not empty and not a run; choose another folder.")
        return None
    found = read_record(folder)
    if not isinstance(found, RunRecord):
        raise InputError(f"{other_kind(folder, found, 'a run')} Choose another folder for the run.")
    return found


def refuse_other_folder(folder: Path) -> None:
    """Refuse a folder that holds something else than aligned images.

    Raises
    ------
    InputError
        When it does.
    """
    if folder.is_file():
        raise InputError(f"{folder}: is a file; choose a folder.")
    if is_unused(folder):
        return
    if not has_record(folder):
        raise InputError(f"{folder}: holds something else than aligned images; choose another one.")
    found = read_record(folder)
    if not isinstance(found, AlignRecord):
        raise InputError(f"{other_kind(folder, found, 'aligned images')} Choose another folder.")
