"""Take a run folder, or refuse it: results of two runs are never mixed."""

from __future__ import annotations

from pathlib import Path

from napari_globalxai.addresses import move
from napari_globalxai.cohort.table import Cohort
from napari_globalxai.errors import InputError
from napari_globalxai.frame.reuse import continues
from napari_globalxai.runs.folder import PEPPR_FOLDER, STACK_FOLDER
from napari_globalxai.runs.free_folder import run_in
from napari_globalxai.runs.record import (
    CohortRecord,
    RunRecord,
    has_record,
    read_record,
)
from napari_globalxai.settings.frame_settings import FrameSettings
from napari_globalxai.storage import hash_value


def claim_folder(
    folder: Path, record: RunRecord, cohort: Cohort, frame: FrameSettings, resume: bool
) -> RunRecord | None:
    """Take a run folder for a run with this record.

    Parameters
    ----------
    folder : pathlib.Path
        The run folder.
    record : RunRecord
        Of the run to come.
    cohort : Cohort
        What is explained.
    frame : FrameSettings
        What its images are brought into.
    resume : bool
        Whether to go on with a run that is there.

    Returns
    -------
    RunRecord or None
        The record of the run that is gone on with, if any.

    Raises
    ------
    InputError
        When the folder holds something else, or a run that differs in more than new images.
    """
    before = run_in(folder)
    if before is not None:
        if not resume:
            raise _taken(folder)
        if frame.is_outdated(before.settings.alignment):
            raise InputError(
                f"{folder}: its images were aligned by a version that read some files otherwise; "
                "explain into another folder."
            )
        if (other := _differs(before, record)) is not None:
            raise made_with_another(folder, other)
        _check_cohort(folder, before.cohort, record.cohort, cohort)
    return before


def refuse_taken(folder: Path) -> None:
    """Refuse a folder that holds a run, for one that goes on with none; `claim_folder` does, too.

    Told before the model is loaded, a person need not wait for it.
    """
    if has_record(folder) and isinstance(read_record(folder), RunRecord):
        raise _taken(folder)


def _taken(folder: Path) -> InputError:
    return InputError(
        f"{folder}: holds a run already; use --resume to go on, or choose another folder."
    )


def recorded_weights(folder: Path) -> str | None:
    """Return the hash of the weights that a folder's run was made with; None where there is none.

    A model can then be held against it before its file is opened.
    """
    found = read_record(folder) if has_record(folder) else None
    return found.model.sha256 if isinstance(found, RunRecord) else None


def made_with_another(folder: Path, what: str) -> InputError:
    """Return the error of a run that was made with something else."""
    return InputError(f"{folder}: its run was made with another {what}; choose another folder.")


def _differs(before: RunRecord, now: RunRecord) -> str | None:
    """Return what two runs differ in that decides what comes out, or None."""
    if before.model.identity != now.model.identity:
        return "model"
    if before.frame != now.frame:
        return "frame"
    earlier, chosen = before.settings.decisive, now.settings.decisive
    # By hash: what was read from JSON has lists for tuples.
    names = [name for name in chosen if hash_value(earlier[name]) != hash_value(chosen[name])]
    return f"settings ({', '.join(names)})" if names else None


def _check_cohort(folder: Path, before: CohortRecord, now: CohortRecord, cohort: Cohort) -> None:
    """Refuse another cohort; put by what was computed on fewer images of a grown one."""
    if before.sha256 == now.sha256 and before.columns == now.columns:
        return
    if before.sha256 == now.sha256:
        read = [
            f"{role}: {column}"
            for role, column in before.columns.items()
            if now.columns.get(role) != column
        ]
        raise InputError(
            f"{folder}: its run was made with another cohort: it read the same table otherwise "
            f"({', '.join(read)}); read it so, or choose another folder."
        )
    if before.columns != now.columns or not continues(cohort, folder / STACK_FOLDER):
        raise InputError(
            f"{folder}: its run was made with another cohort; only rows at the end of its table "
            "may be new. Choose another folder."
        )
    results = folder / PEPPR_FOLDER
    if results.exists():
        move(results, _unused(folder / f"peppr-of-{before.images}-images"))


def _unused(path: Path) -> Path:
    """Return a path that does not exist, by a number at its end if need be."""
    candidates = (path.with_name(f"{path.name}-{number}") for number in range(2, 10_000))
    return next(found for found in (path, *candidates) if not found.exists())
