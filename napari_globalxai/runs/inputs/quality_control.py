"""Quality control of a cohort: align it, measure every image, and keep what was found."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
from pydantic import BaseModel

from napari_globalxai.addresses import place
from napari_globalxai.cohort.table import Cohort, read_cohort
from napari_globalxai.cohort.wording import counted, form, named
from napari_globalxai.errors import InputError
from napari_globalxai.execution.dask_workers import SAME_AGAIN, open_workers
from napari_globalxai.frame.alignment import absence
from napari_globalxai.frame.modality import Modality, modality_of
from napari_globalxai.frame.plausibility import look_at_stack
from napari_globalxai.frame.quality_measures import OUTLIER_SCORE, measure_quality, measure_sides
from napari_globalxai.frame.stack import AlignedStack
from napari_globalxai.images.image_file import split_page
from napari_globalxai.progress import JobProgress, ProgressCallback, ignore_progress
from napari_globalxai.runs import tables
from napari_globalxai.runs.folder import QUALITY_FILE, STACK_FOLDER
from napari_globalxai.runs.inputs.align_cohort import EFFORTS as ALIGN_EFFORTS
from napari_globalxai.runs.inputs.align_cohort import align_into, describe_images
from napari_globalxai.runs.opened.read_maps import read_map, read_planes
from napari_globalxai.runs.record import (
    AlignRecord,
    has_record,
    other_kind,
    read_record,
    read_record_of,
)
from napari_globalxai.runs.turns import made_aside
from napari_globalxai.runs.write_maps import write_tiff
from napari_globalxai.settings.execution_settings import WorkerSettings
from napari_globalxai.settings.frame_settings import CohortFrameSettings
from napari_globalxai.storage import read_json, write_json, write_table
from napari_globalxai.unusable import as_we_write

EFFORTS = {
    **ALIGN_EFFORTS,
    "Averaging images": 0.2,
    "Comparing each image": 0.4,
    "Checking sides": 0.4,
}


class Findings(BaseModel):
    """What quality control found out about a cohort as a whole.

    Attributes
    ----------
    sharpness : float or None
        Of the mean image.
    counts : dict of str to int
        Images by kind of problem.
    outlier_reasons : dict of str to int
        Images by what they differ in.
    sides_compared : bool
        Whether images could be compared with their mirror images.
    likeness : list of float or None
        Median likeness of the images to the cohort's median one, before and after registration;
        None without one.
    problems : list of str
        A sentence each.
    """

    sharpness: float | None
    counts: dict[str, int]
    outlier_reasons: dict[str, int]
    sides_compared: bool
    likeness: list[float | None]
    problems: list[str]


class Quality:
    """What quality control found out about a cohort.

    Parameters
    ----------
    folder : pathlib.Path
        Folder that `check_quality` wrote.

    Attributes
    ----------
    findings : Findings
        Content of ``quality.json``.
    record : AlignRecord
        Content of ``run.json``.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        with as_we_write(folder / QUALITY_FILE):
            self.findings = Findings.model_validate(read_json(folder / QUALITY_FILE))
        self.record = read_record_of(folder, AlignRecord)

    @property
    def info(self) -> dict[str, Any]:
        """Content of ``quality.json`` as plain values, for scripts."""
        return self.findings.model_dump(mode="json")

    @cached_property
    def images(self) -> pd.DataFrame:
        """Content of ``quality.csv`` in the order of the cohort table, indexed by row."""
        table = tables.read_images(self.folder / "quality.csv")
        return table.set_index(tables.ROW).sort_index()

    @property
    def outliers(self) -> pd.DataFrame:
        """The images that differ: those of a suspected side first, then the farthest first."""
        ranked = rank(self.images)
        return ranked[
            ranked[tables.LATERALITY_SUSPECTED] | (ranked[tables.OUTLIER_SCORE] > OUTLIER_SCORE)
        ]

    @cached_property
    def modality(self) -> Modality:
        """What the images show, in words."""
        return modality_of(sides=self.record.cohort.columns.get("laterality", ""))

    @cached_property
    def stack(self) -> AlignedStack:
        """The images in the frame."""
        with as_we_write(self.folder / STACK_FOLDER):
            return AlignedStack(self.folder / STACK_FOLDER)

    @property
    def _shape(self) -> tuple[int, int]:
        return self.record.frame.height, self.record.frame.width

    @cached_property
    def coverage(self) -> npt.NDArray[np.float32]:
        """Share of images whose field of view holds each pixel, (height, width)."""
        return read_map(self.folder / "coverage.tif", self._shape)

    @cached_property
    def mean(self) -> npt.NDArray[np.float32]:
        """Mean of the images, (channel, height, width) in 0–255."""
        return read_planes(self.folder / "mean.tif", self._shape)

    @cached_property
    def sd(self) -> npt.NDArray[np.float32]:
        """Standard deviation over the images, (channel, height, width) in 0–255."""
        return read_planes(self.folder / "sd.tif", self._shape)


def check_quality(
    cohort: Cohort | str | Path,
    out: str | Path,
    settings: CohortFrameSettings | None = None,
    *,
    problems: Sequence[str] | None = None,
    workers: WorkerSettings | int | None = None,
    progress: ProgressCallback = ignore_progress,
    **keywords: Any,
) -> Quality:
    """Align a cohort, measure every image beside the others, and write what was found.

    Parameters
    ----------
    cohort : Cohort, str or pathlib.Path
        The cohort or its table.
    out : str or pathlib.Path
        Folder for all that `align` writes, and ``quality.json``, ``quality.csv`` (the images that
        differ most first), ``mean.tif``, ``sd.tif`` and ``coverage.tif``. What lies there of an
        earlier call is gone on with.
    settings : CohortFrameSettings, optional
        The frame.
    problems : sequence of str, optional
        What is known to be wrong already; by default the problems of the cohort.
    workers : WorkerSettings or int, optional
        Processes that share the aligning, or how many; by default this one does it.
    progress : callable, optional
        May raise `Cancelled`.
    **keywords
        As for `align`.

    Returns
    -------
    Quality

    Raises
    ------
    InputError
        When the folder holds something else, or no image can be read.
    """
    folder, frame = place(out), CohortFrameSettings.of(settings, keywords)
    if isinstance(cohort, str | Path):
        cohort = read_cohort(cohort)
    progress = JobProgress(progress, EFFORTS)
    with open_workers(workers, progress, SAME_AGAIN) as processes:
        record = align_into(folder, cohort, frame, "check", progress, processes)
    stack = AlignedStack(folder / STACK_FOLDER)
    errors = stack.status()
    rows = [row for row in range(len(cohort)) if not errors[row]]
    quality = measure_quality(stack, rows, progress)
    margins = measure_sides(stack, rows, progress, frame.registration)
    # All columns stay, whatever failed; an image that failed has no measures.
    table = describe_images(cohort, stack, margins).join(quality.measures)
    table[tables.OUTLIER_REASONS] = table[tables.OUTLIER_REASONS].fillna("")
    reasons = Counter(
        reason for text in table[tables.OUTLIER_REASONS] if text for reason in text.split("; ")
    )
    findings = Findings(
        sharpness=quality.sharpness,
        counts=_counts(table, frame.registration),
        outlier_reasons=dict(reasons.most_common()),
        sides_compared=bool(margins),
        likeness=table[[tables.LIKENESS_BEFORE, tables.LIKENESS_AFTER]]
        .astype(float)
        .median()
        .to_list(),
        problems=[
            *(cohort.problems if problems is None else problems),
            *record.warnings,
            *look_at_stack(stack, rows, cohort.names),
            *_identical_files(cohort, stack),
            # Files that are not there are a problem of the table, which is listed already.
            *(errors[row] for row in sorted(errors) if errors[row] and not absence(cohort, row)),
        ],
    )
    with made_aside(folder, whole=False) as aside:
        write_tiff(aside / "mean.tif", quality.mean)
        write_tiff(aside / "sd.tif", quality.sd)
        write_tiff(aside / "coverage.tif", quality.coverage)
        write_table(aside / "quality.csv", rank(table), index_label=tables.ROW)
        write_json(aside / QUALITY_FILE, findings.model_dump())
    return Quality(folder)


def open_quality(folder: str | Path) -> Quality:
    """Open what `check_quality` wrote.

    Raises
    ------
    InputError
        When the folder holds no finished quality control.
    """
    path = place(folder)
    if not has_record(path):
        raise InputError(f"{path}: holds no quality control, it has no {QUALITY_FILE}.")
    record = read_record(path)
    if not isinstance(record, AlignRecord) or record.kind != "check":
        raise InputError(other_kind(path, record, "a quality control"))
    # Which goes first where a cohort is checked again.
    if record.status != "finished" or not (path / QUALITY_FILE).is_file():
        raise InputError(f"{path}: its quality control was stopped; check the cohort again.")
    return Quality(path)


def rank(table: pd.DataFrame) -> pd.DataFrame:
    """Order images: those of a suspected side first, then those that differ most."""
    by = [tables.LATERALITY_SUSPECTED, tables.OUTLIER_SCORE]
    return table.sort_values(by, ascending=False, kind="stable", na_position="last")


def _counts(table: pd.DataFrame, registration: str) -> dict[str, int]:
    """Return numbers of images by kind of problem."""
    fine = table[tables.STATUS] == tables.OK
    counts = {
        "images": len(table),
        "unreadable": int((~fine).sum()),
        "laterality unknown": int((fine & (table[tables.LATERALITY] == "")).sum()),
        "laterality estimated": int((fine & (table[tables.LATERALITY_SOURCE] == "image")).sum()),
        "laterality suspected": int(table[tables.LATERALITY_SUSPECTED].sum()),
        "outliers": int((table[tables.OUTLIER_SCORE] > OUTLIER_SCORE).sum()),
    }
    if registration != "none":
        counts["not registered"] = int((fine & (table[tables.REGISTERED] != True)).sum())  # noqa: E712
    return counts


def _identical_files(cohort: Cohort, stack: AlignedStack) -> list[str]:
    """List files of other names that hold the same image; the cohort lists those of one name."""
    groups: dict[tuple[str, int | None], dict[Path, str]] = {}
    for row, content in stack.contents().items():
        if content:
            file, page = split_page(cohort.files[row])
            groups.setdefault((content, page), {})[file] = cohort.names[row]
    several = [list(names.values()) for names in groups.values() if len(names) > 1]
    if not several:
        return []
    texts = (" = ".join(names) for names in several)
    return [
        f"{cohort.source}: {counted(len(several), 'image')} "
        f"{form(len(several), 'lies', 'lie')} in several files and "
        f"{form(len(several), 'counts', 'count')} several times ({named(texts)})."
    ]
