"""Align a cohort without a model: the stack, a transform an image, and what was found out."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pandas as pd

from napari_globalxai.addresses import place
from napari_globalxai.cohort.table import Cohort, read_cohort
from napari_globalxai.errors import InputError
from napari_globalxai.execution.dask_workers import SAME_AGAIN, Workers, open_workers
from napari_globalxai.frame.alignment import align as align_stack
from napari_globalxai.frame.geometry import write_transform
from napari_globalxai.frame.modality import NEUTRAL, Modality, modality_of
from napari_globalxai.frame.stack import AlignedStack
from napari_globalxai.progress import JobProgress, ProgressCallback, ignore_progress
from napari_globalxai.runs import provenance, tables
from napari_globalxai.runs.clock import now
from napari_globalxai.runs.folder import IMAGES_TABLE, QUALITY_FILE, STACK_FOLDER
from napari_globalxai.runs.free_folder import refuse_other_folder
from napari_globalxai.runs.record import (
    AlignCounts,
    AlignmentRecordSettings,
    AlignRecord,
    write_record,
)
from napari_globalxai.settings.execution_settings import WorkerSettings
from napari_globalxai.settings.frame_settings import (
    AlignmentSettings,
    CohortFrameSettings,
    FrameSettings,
)
from napari_globalxai.storage import hash_value, read_json, write_json

# An image is said to be of the other side where it fits it this much better.
_CLEARLY_OTHER = -0.1
EFFORTS = {"Looking for": 0.3, "Aligning images": 1.0}


def align(
    cohort: Cohort | str | Path,
    out: str | Path,
    settings: CohortFrameSettings | None = None,
    *,
    workers: WorkerSettings | int | None = None,
    progress: ProgressCallback = ignore_progress,
    **keywords: Any,
) -> Path:
    """Align a cohort and write what an outside tool needs to do the same.

    Parameters
    ----------
    cohort : Cohort, str or pathlib.Path
        The cohort or its table.
    out : str or pathlib.Path
        Folder for ``run.json``, ``images.csv``, ``aligned.zarr`` and ``transforms/<row>.tfm``.
        What lies there of an earlier call is gone on with: only images of new content are aligned.
    settings : CohortFrameSettings, optional
        The frame.
    workers : WorkerSettings or int, optional
        Processes that share the work, or how many; by default this one does it.
    progress : callable, optional
        May raise `Cancelled`.
    **keywords
        Fields of `CohortFrameSettings`, in place of those of `settings`; ``height`` and ``width``
        stand for ``size``.

    Returns
    -------
    pathlib.Path
        The folder.

    Raises
    ------
    InputError
        When the folder holds something else, or no image can be read.
    """
    folder, frame = place(out), CohortFrameSettings.of(settings, keywords)
    if isinstance(cohort, str | Path):
        cohort = read_cohort(cohort)
    told = JobProgress(progress, EFFORTS)
    with open_workers(workers, told, SAME_AGAIN) as processes:
        align_into(folder, cohort, frame, "align", told, processes)
    return folder


def align_into(
    folder: Path,
    cohort: Cohort,
    frame: FrameSettings,
    kind: Literal["align", "check"],
    progress: ProgressCallback,
    workers: Workers | None = None,
) -> AlignRecord:
    """Align a cohort into a folder that is to hold that, or a quality control; see `align`."""
    refuse_other_folder(folder)
    record = AlignRecord(
        kind=kind,
        started=now(),
        cohort=provenance.describe_cohort(cohort),
        frame=provenance.describe_frame(frame),
        settings=AlignmentRecordSettings(
            **{name: getattr(frame, name) for name in AlignmentSettings.model_fields}
        ),
    )
    write_record(folder, record)
    # What an earlier quality control found out is of images that may be others now.
    (folder / QUALITY_FILE).unlink(missing_ok=True)
    stack = align_stack(cohort, frame, folder / STACK_FOLDER, progress, workers=workers)
    facts, errors = stack.facts(), stack.status()
    _write_transforms(folder / "transforms", stack, facts)
    table = describe_images(cohort, stack)
    columns = {str(name): table[name] for name in table}
    tables.write_images(folder / IMAGES_TABLE, tables.with_table_columns(columns, cohort.table))
    finished = {
        "counts": AlignCounts(
            images=len(cohort),
            aligned=int((table[tables.STATUS] == tables.OK).sum()),
            failed=int((table[tables.STATUS] == tables.FAILED).sum()),
            registered=int((table[tables.REGISTERED] == True).sum()),  # noqa: E712 - may be empty
            estimated_laterality=int((table[tables.LATERALITY_SOURCE] == "image").sum()),
            suspected_laterality=int(table[tables.LATERALITY_SUSPECTED].sum()),
        ),
        "problems": list(cohort.problems),
        "warnings": alignment_warnings(
            frame, stack, modality_of(sides=cohort.guesses["laterality"])
        ),
        "status": "finished",
        "finished": now(),
    }
    record = record.model_copy(update=finished)
    write_record(folder, record)
    if not record.counts.aligned:
        raise InputError(
            f"{cohort.source}: none of the {len(cohort)} images could be read; the first: "
            f"{errors[0]}"
        )
    return record


def alignment_warnings(
    frame: FrameSettings, stack: AlignedStack, words: Modality = NEUTRAL
) -> list[str]:
    """Return what was asked for in a frame and could not be done for any image, a sentence each."""
    warnings = []
    if frame.registration != "none" and not stack.atlas_file.is_file():
        warnings.append(
            f"The {words.many} are too few, or have too little in common, to learn where "
            f"{words.landmarks} lie; none was registered."
        )
    untold = sum(known.get("laterality") == "" for known in stack.facts().values())
    if frame.estimate_laterality and untold:
        warnings.append(
            f"The side of {words.counted(untold)} was not estimated: the {words.many} are too few, "
            "look like their mirror images, or seem to be all of one side."
        )
    return warnings


def _write_transforms(folder: Path, stack: AlignedStack, facts: Mapping[int, Any]) -> None:
    """Write the transforms of images that have none yet, or were another image's."""
    index = folder / "sources.json"
    written: dict[str, str] = read_json(index) if index.is_file() else {}
    now = {
        f"{row:06d}": hash_value([stack.frame_key, key])
        for row, key in stack.sources().items()
        if "matrix" in facts[row]
    }
    if now == written:
        return
    for stem in written.keys() - now.keys():
        (folder / f"{stem}.tfm").unlink(missing_ok=True)
    for stem, key in now.items():
        if written.get(stem) != key:
            write_transform(folder / f"{stem}.tfm", np.asarray(facts[int(stem)]["matrix"]))
    write_json(index, now)


def describe_images(
    cohort: Cohort, stack: AlignedStack, margins: Mapping[int, float] | None = None
) -> pd.DataFrame:
    """Return how each image of a cohort was aligned, a row an image.

    Parameters
    ----------
    cohort : Cohort
        The cohort.
    stack : AlignedStack
        Its stack.
    margins : mapping of int to float, optional
        `Sides.margin` by row, for images whose sides were not looked at when they were aligned.
    """
    facts, errors = stack.facts(), stack.status()
    rows = []
    for row in range(len(cohort)):
        known = facts.get(row, {})
        margin = known.get("side_margin", (margins or {}).get(row))
        native = known.get("native_shape", (None, None))
        rows.append(
            {
                tables.FILE: cohort.names[row],
                tables.PATH: str(cohort.files[row].absolute()),
                tables.PATIENT: cohort.patients[row],
                tables.LATERALITY: known.get("laterality", cohort.laterality[row]),
                tables.LATERALITY_SOURCE: known.get(
                    "laterality_source", cohort.laterality_source[row]
                ),
                tables.LATERALITY_CONFIDENCE: known.get("side_confidence"),
                tables.LATERALITY_SUSPECTED: bool(
                    margin is not None
                    and margin < _CLEARLY_OTHER
                    and known.get("laterality_source") not in ("", "image")
                ),
                tables.NATIVE_HEIGHT: native[0],
                tables.NATIVE_WIDTH: native[1],
                tables.REGISTERED: known.get("registered"),
                tables.REGISTRATION_NOTE: known.get("registration_note", ""),
                tables.LIKENESS_BEFORE: known.get("likeness_before"),
                tables.LIKENESS_AFTER: known.get("likeness_after"),
                tables.STATUS: tables.FAILED if errors.get(row) else tables.OK,
                tables.ERROR: errors.get(row, ""),
            }
        )
    return pd.DataFrame(rows)
