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
import tifffile

from napari_globalxai.cohort.table import Cohort, read_cohort
from napari_globalxai.cohort.wording import counted, form, named
from napari_globalxai.errors import InputError
from napari_globalxai.frame.alignment import absence
from napari_globalxai.frame.modality import Modality, modality_of
from napari_globalxai.frame.quality_measures import OUTLIER_SCORE, measure_quality, measure_sides
from napari_globalxai.frame.stack import AlignedStack
from napari_globalxai.images.image_file import split_page
from napari_globalxai.progress import ProgressCallback, ignore_progress
from napari_globalxai.runs.align_cohort import align, describe_images
from napari_globalxai.runs.folder import RUN_FILE, STACK_FOLDER
from napari_globalxai.runs.results import write_tiff
from napari_globalxai.storage import atomic_path, read_json, read_table, write_json

QUALITY_FILE = "quality.json"
_TEXT = {
    "file": str,
    "path": str,
    "patient": str,
    "laterality": str,
    "laterality_source": str,
    "registration_note": str,
    "outlier_reasons": str,
    "status": str,
    "error": str,
}


class Quality:
    """What quality control found out about a cohort.

    Parameters
    ----------
    folder : pathlib.Path
        Folder that `check_quality` wrote.

    Attributes
    ----------
    info : dict
        Content of ``quality.json``: ``sharpness`` of the mean, ``counts`` of images by kind of
        problem, ``outlier_reasons`` with their counts, ``problems``, a sentence each,
        ``sides_compared``, and ``likeness``, the median likeness of the images to the cohort's
        median one, before and after registration (None without one).
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.info: dict[str, Any] = read_json(folder / QUALITY_FILE)

    @cached_property
    def images(self) -> pd.DataFrame:
        """Content of ``quality.csv`` in the order of the cohort table, indexed by row."""
        table = read_table(self.folder / "quality.csv", dtype=_TEXT).fillna(
            dict.fromkeys(_TEXT, "")
        )
        return table.set_index("row").sort_index()

    @property
    def outliers(self) -> pd.DataFrame:
        """The images that differ: those of a suspected side first, then the farthest first."""
        ranked = rank(self.images)
        return ranked[ranked["laterality_suspected"] | (ranked["outlier_score"] > OUTLIER_SCORE)]

    @cached_property
    def modality(self) -> Modality:
        """What the images show, in words."""
        cohort = read_json(self.folder / RUN_FILE)["cohort"]
        return modality_of(sides=cohort.get("columns", {}).get("laterality", ""))

    @cached_property
    def stack(self) -> AlignedStack:
        """The images in the frame."""
        return AlignedStack(self.folder / STACK_FOLDER)

    @cached_property
    def coverage(self) -> npt.NDArray[np.float32]:
        """Share of images whose field of view holds each pixel, (height, width)."""
        return np.asarray(tifffile.imread(self.folder / "coverage.tif"), np.float32)

    @cached_property
    def mean(self) -> npt.NDArray[np.float32]:
        """Mean of the images, (channel, height, width) in 0–255."""
        return _planes(self.folder / "mean.tif")

    @cached_property
    def sd(self) -> npt.NDArray[np.float32]:
        """Standard deviation over the images, (channel, height, width) in 0–255."""
        return _planes(self.folder / "sd.tif")


def check_quality(
    cohort: Cohort | str | Path,
    out: str | Path,
    *,
    height: int = 384,
    width: int = 512,
    channels: tuple[str, ...] = ("red", "green", "blue"),
    registration: str = "landmarks",
    estimate_laterality: bool = True,
    template: str | Path | None = None,
    problems: Sequence[str] | None = None,
    progress: ProgressCallback = ignore_progress,
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
    height, width, channels, registration, estimate_laterality, template
        As for `align`.
    problems : sequence of str, optional
        What is known to be wrong already; by default the problems of the cohort.
    progress : callable, optional
        May raise `Cancelled`.

    Returns
    -------
    Quality

    Raises
    ------
    InputError
        When the folder holds something else, or no image can be read.
    """
    if isinstance(cohort, str | Path):
        cohort = read_cohort(cohort)
    folder = align(
        cohort,
        out,
        height=height,
        width=width,
        channels=channels,
        registration=registration,
        estimate_laterality=estimate_laterality,
        template=template,
        progress=progress,
    )
    # What an earlier call found out is of images that may be others now.
    (folder / QUALITY_FILE).unlink(missing_ok=True)
    stack = AlignedStack(folder / STACK_FOLDER)
    errors = stack.status()
    rows = [row for row in range(len(cohort)) if not errors[row]]
    quality = measure_quality(stack, rows, progress)
    margins = measure_sides(stack, rows, progress, registration)
    # All columns stay, whatever failed; an image that failed has no measures.
    table = describe_images(cohort, stack, margins).join(quality.measures)
    table["outlier_reasons"] = table["outlier_reasons"].fillna("")
    write_tiff(folder / "mean.tif", quality.mean)
    write_tiff(folder / "sd.tif", quality.sd)
    write_tiff(folder / "coverage.tif", quality.coverage)
    with atomic_path(folder / "quality.csv") as path:
        rank(table).to_csv(path, index_label="row")
    reasons = Counter(
        reason for text in table["outlier_reasons"] if text for reason in text.split("; ")
    )
    info = {
        "sharpness": quality.sharpness,
        "counts": _counts(table, registration),
        "outlier_reasons": dict(reasons.most_common()),
        "sides_compared": bool(margins),
        "likeness": table[["likeness_before", "likeness_after"]].astype(float).median().to_list(),
        "problems": [
            *(cohort.problems if problems is None else problems),
            *read_json(folder / RUN_FILE)["warnings"],
            *_identical_files(cohort, stack),
            # Files that are not there are a problem of the table, which is listed already.
            *(errors[row] for row in sorted(errors) if errors[row] and not absence(cohort, row)),
        ],
    }
    write_json(folder / QUALITY_FILE, info)
    return Quality(folder)


def open_quality(folder: str | Path) -> Quality:
    """Open what `check_quality` wrote.

    Raises
    ------
    InputError
        When the folder holds no finished quality control.
    """
    path = Path(folder)
    for name in (QUALITY_FILE, RUN_FILE):
        if not (path / name).is_file():
            raise InputError(f"{path}: holds no quality control, it has no {name}.")
    if read_json(path / RUN_FILE).get("status") != "finished":
        raise InputError(f"{path}: its quality control was stopped; check the cohort again.")
    return Quality(path)


def rank(table: pd.DataFrame) -> pd.DataFrame:
    """Order images: those of a suspected side first, then those that differ most."""
    by = ["laterality_suspected", "outlier_score"]
    return table.sort_values(by, ascending=False, kind="stable", na_position="last")


def _counts(table: pd.DataFrame, registration: str) -> dict[str, int]:
    """Return numbers of images by kind of problem."""
    fine = table["status"] == "ok"
    counts = {
        "images": len(table),
        "unreadable": int((~fine).sum()),
        "laterality unknown": int((fine & (table["laterality"] == "")).sum()),
        "laterality estimated": int((fine & (table["laterality_source"] == "image")).sum()),
        "laterality suspected": int(table["laterality_suspected"].sum()),
        "outliers": int((table["outlier_score"] > OUTLIER_SCORE).sum()),
    }
    if registration != "none":
        counts["not registered"] = int((fine & (table["registered"] != True)).sum())  # noqa: E712
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


def _planes(path: Path) -> npt.NDArray[np.float32]:
    image = np.asarray(tifffile.imread(path), np.float32)
    return image[None] if image.ndim == 2 else image
