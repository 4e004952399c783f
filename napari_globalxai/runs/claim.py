"""Take a run folder, or refuse it: results of two runs are never mixed."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from napari_globalxai.cohort.table import Cohort
from napari_globalxai.errors import InputError
from napari_globalxai.frame.reuse import continues
from napari_globalxai.models.card import facts_that_matter
from napari_globalxai.runs.folder import RUN_FILE, STACK_FOLDER
from napari_globalxai.storage import read_json, write_json


def claim_folder(
    folder: Path, info: dict[str, Any], cohort: Cohort, resume: bool
) -> dict[str, Any] | None:
    """Take a run folder for a run with this provenance.

    Parameters
    ----------
    folder : pathlib.Path
        The run folder.
    info : dict
        Provenance of the run to come; it is written into the folder.
    cohort : Cohort
        What is explained.
    resume : bool
        Whether to go on with a run that is there.

    Returns
    -------
    dict or None
        Provenance of the run that is gone on with, if any.

    Raises
    ------
    InputError
        When the folder holds something else, or a run that differs in more than new images.
    """
    path = folder / RUN_FILE
    before: dict[str, Any] | None = None
    if path.is_file():
        if not resume:
            raise InputError(
                f"{folder}: holds a run already; use --resume to go on, or choose another folder."
            )
        before = read_json(path)
        assert before is not None
        for key in ("settings", "model", "frame"):
            if _compared(key, before.get(key)) != _compared(key, info[key]):
                raise InputError(
                    f"{folder}: its run was made with another {key}; choose another folder."
                )
        # The store is known by the name that the model had when it was begun.
        info["model"]["card"]["name"] = before["model"]["card"]["name"]
        _check_cohort(folder, before["cohort"], info["cohort"], cohort)
    elif folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise InputError(f"{folder}: is not empty and not a run; choose another folder.")
    write_json(path, info)
    return before


def _check_cohort(
    folder: Path, before: Mapping[str, Any], now: Mapping[str, Any], cohort: Cohort
) -> None:
    """Refuse another cohort; put by what was computed on fewer images of a grown one."""
    if before["sha256"] == now["sha256"] and before["columns"] == now["columns"]:
        return
    if before["columns"] != now["columns"] or not continues(cohort, folder / STACK_FOLDER):
        raise InputError(
            f"{folder}: its run was made with another cohort; only rows at the end of its table "
            "may be new. Choose another folder."
        )
    results = folder / "peppr"
    if results.exists():
        results.rename(_unused(folder / f"peppr-of-{before['images']}-images"))


def _unused(path: Path) -> Path:
    """Return a path that does not exist, by a number at its end if need be."""
    candidates = (path.with_name(f"{path.name}-{number}") for number in range(2, 10_000))
    return next(found for found in (path, *candidates) if not found.exists())


def _compared(key: str, value: Any) -> Any:
    """Return what of a part of the provenance is the same in runs that may be gone on with."""
    if key == "model" and value:
        value = {**value, "card": facts_that_matter(value["card"])}
    return without_circumstances(value)


def without_circumstances(value: Any) -> Any:
    """Leave out what may differ between equal runs: where files lie, how it was computed.

    Stores know their runs by a hash of what is left, so what was left earlier stays.
    """
    if isinstance(value, dict):
        skipped = ("batch_size", "modality", "precision", "source", "table", "trusted", "warnings")
        return {
            key: without_circumstances(item) for key, item in value.items() if key not in skipped
        }
    return list(value) if isinstance(value, tuple) else value
