"""Align a cohort without a model: the stack, a transform an image, and what was found out."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from napari_globalxai.cohort.table import Cohort, read_cohort
from napari_globalxai.errors import InputError
from napari_globalxai.frame.alignment import align as align_stack
from napari_globalxai.frame.geometry import write_transform
from napari_globalxai.frame.modality import NEUTRAL, Modality, modality_of
from napari_globalxai.frame.stack import AlignedStack
from napari_globalxai.progress import ProgressCallback, ignore_progress
from napari_globalxai.runs import provenance
from napari_globalxai.runs.folder import RUN_FILE, STACK_FOLDER
from napari_globalxai.settings.declared import Size
from napari_globalxai.settings.frame_settings import FrameSettings
from napari_globalxai.storage import atomic_path, hash_value, read_json, write_json

KIND = "alignment"
# An image is said to be of the other side where it fits it this much better.
_CLEARLY_OTHER = -0.1


def align(
    cohort: Cohort | str | Path,
    out: str | Path,
    *,
    height: int = 384,
    width: int = 512,
    channels: tuple[str, ...] = ("red", "green", "blue"),
    registration: str = "landmarks",
    estimate_laterality: bool = True,
    template: str | Path | None = None,
    progress: ProgressCallback = ignore_progress,
) -> Path:
    """Align a cohort and write what an outside tool needs to do the same.

    Parameters
    ----------
    cohort : Cohort, str or pathlib.Path
        The cohort or its table.
    out : str or pathlib.Path
        Folder for ``run.json``, ``images.csv``, ``aligned.zarr`` and ``transforms/<row>.tfm``.
        What lies there of an earlier call is gone on with: only images of new content are aligned.
    height, width : int, optional
        Size of the frame in pixels.
    channels : tuple of str, optional
        Channels to keep.
    registration : str, optional
        ``none``, ``landmarks``, ``similarity`` or ``affine``.
    estimate_laterality : bool, optional
        Whether sides that neither table, DICOM nor file name tell are estimated from the image.
    template : str or pathlib.Path, optional
        An image of the cohort's kind that the others are moved onto; by default the landmarks of
        all are moved to their median place.
    progress : callable, optional
        May raise `Cancelled`.

    Returns
    -------
    pathlib.Path
        The folder.

    Raises
    ------
    InputError
        When the folder holds something else, or no image can be read.
    """
    folder = Path(out)
    if isinstance(cohort, str | Path):
        cohort = read_cohort(cohort)
    frame = FrameSettings(
        size=Size((height, width)),
        channels=tuple(channels),
        registration=registration,
        estimate_laterality=estimate_laterality,
        template=Path(template) if template else None,
    )
    _claim(folder)
    info: dict[str, Any] = {
        "kind": KIND,
        "status": "running",
        "started": provenance.now(),
        "cohort": provenance.describe_cohort(cohort),
        "frame": {"height": height, "width": width, "channels": list(channels)},
        "settings": {
            "registration": registration,
            "estimate_laterality": estimate_laterality,
            "template": template and str(template),
        },
    }
    write_json(folder / RUN_FILE, info)
    stack = align_stack(cohort, frame, folder / STACK_FOLDER, progress)
    facts, errors = stack.facts(), stack.status()
    _write_transforms(folder / "transforms", stack, facts)
    table = describe_images(cohort, stack)
    with atomic_path(folder / "images.csv") as path:
        table.to_csv(path, index_label="row")
    info["counts"] = {
        "images": len(cohort),
        "aligned": int((table["status"] == "ok").sum()),
        "failed": int((table["status"] == "failed").sum()),
        "registered": int((table["registered"] == True).sum()),  # noqa: E712 - may be empty
        "estimated_laterality": int((table["laterality_source"] == "image").sum()),
        "suspected_laterality": int(table["laterality_suspected"].sum()),
    }
    words = modality_of(sides=cohort.guesses["laterality"])
    info["problems"] = list(cohort.problems)
    info["warnings"] = alignment_warnings(frame, stack, words)
    info["status"] = "finished"
    info["finished"] = provenance.now()
    write_json(folder / RUN_FILE, info)
    if not info["counts"]["aligned"]:
        raise InputError(
            f"{cohort.source}: none of the {len(cohort)} images could be read; the first: "
            f"{errors[0]}"
        )
    return folder


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
                "file": cohort.names[row],
                "path": str(cohort.files[row].absolute()),
                "patient": cohort.patients[row],
                "laterality": known.get("laterality", cohort.laterality[row]),
                "laterality_source": known.get("laterality_source", cohort.laterality_source[row]),
                "laterality_confidence": known.get("side_confidence"),
                "laterality_suspected": bool(
                    margin is not None
                    and margin < _CLEARLY_OTHER
                    and known.get("laterality_source") not in ("", "image")
                ),
                "native_height": native[0],
                "native_width": native[1],
                "registered": known.get("registered"),
                "registration_note": known.get("registration_note", ""),
                "likeness_before": known.get("likeness_before"),
                "likeness_after": known.get("likeness_after"),
                "status": "failed" if errors.get(row) else "ok",
                "error": errors.get(row, ""),
            }
        )
    return pd.DataFrame(rows)


def _claim(folder: Path) -> None:
    """Refuse a folder that holds something else."""
    if folder.is_file():
        raise InputError(f"{folder}: is a file; choose a folder.")
    if not folder.exists() or not any(folder.iterdir()):
        return
    path = folder / RUN_FILE
    if not path.is_file() or read_json(path).get("kind") != KIND:
        raise InputError(f"{folder}: holds something else than an alignment; choose another one.")
