"""What a file or folder is that somebody drops on napari or on a field."""

from __future__ import annotations

from enum import Enum
from pathlib import Path

from napari_globalxai.errors import InputError
from napari_globalxai.models.card.model_card import MODEL_SUFFIXES
from napari_globalxai.own_tables import own_table
from napari_globalxai.runs.folder import STACK_FOLDER, STORE_FOLDER, whole_folder
from napari_globalxai.runs.record import RunRecord, has_record, is_another_programs, read_record

# Taken as tables, of which is said how they are to be saved.
SPREADSHEETS = (".xlsx", ".xls", ".ods")
_TABLES = (".csv", ".tsv", ".txt", *SPREADSHEETS)


class Recognised(Enum):
    """Kinds of things that panels take."""

    RUN = "run"
    QUALITY = "quality"
    COHORT = "cohort"
    MODEL = "model"
    NOTHING = "nothing"


def result_folder(path: Path) -> Path | None:
    """Return the folder of results that a path is, or is a part of, None where it is neither.

    Parameters
    ----------
    path : pathlib.Path
        A run folder, its ``run.json``, its ``aligned.zarr`` or ``attributions.zarr``, or a table
        of results in it.
    """
    own = own_table(path)
    folder = whole_folder(path) if own is None else own.folder
    if not has_record(folder) or (is_another_programs(folder) and not _has_parts(folder)):
        return None
    return folder


def _has_parts(folder: Path) -> bool:
    return any((folder / name).is_dir() for name in (STACK_FOLDER, STORE_FOLDER))


def recognise(path: Path) -> Recognised:
    """Return what a path is, by its name and what stands beside it."""
    folder = result_folder(path)
    if folder is not None:
        try:
            is_run = isinstance(read_record(folder), RunRecord)
        except (InputError, OSError):
            # What is wrong with it is said where it is opened.
            is_run = True
        return Recognised.RUN if is_run else Recognised.QUALITY
    if path.is_dir():
        if _has_parts(path):
            # Copied in part, or still on its way.
            return Recognised.RUN
        is_bundle = (path / "configs" / "metadata.json").is_file()
        return Recognised.MODEL if is_bundle else Recognised.NOTHING
    if path.suffix.lower() in _TABLES:
        return Recognised.COHORT
    return Recognised.MODEL if path.suffix.lower() in MODEL_SUFFIXES else Recognised.NOTHING
