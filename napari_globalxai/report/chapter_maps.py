"""Maps that chapters of the report show: their files, and what is said of those without use."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from napari_globalxai.audit.strategy_files import map_file
from napari_globalxai.errors import InputError
from napari_globalxai.report.chapter import damaged_sentence, entries, named_entries
from napari_globalxai.runs.folder import file_stem
from napari_globalxai.runs.opened.read_maps import read_map

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt
    import pandas as pd

    from napari_globalxai.runs.run import Run


def selection_maps(folder: Path, record: Mapping[str, Any]) -> dict[str, Path]:
    """Return by label the map of a selection that is shown."""
    return {label: folder / f"{file_stem(label)}.tif" for label in _labels(record)}


def contrast_maps(folder: Path, record: Mapping[str, Any]) -> dict[str, tuple[Path, Path]]:
    """Return by label the difference that a contrast shows, and its p."""
    stems = {label: file_stem(label) for label in _labels(record)}
    return {
        label: (folder / f"{stem}.difference.tif", folder / f"{stem}.p.tif")
        for label, stem in stems.items()
    }


def comparison_maps(folder: Path, record: Mapping[str, Any]) -> dict[str, Path]:
    """Return by label the difference that a comparison shows; none of too few patients."""
    return {
        label: folder / f"{file_stem(label)}.difference.tif"
        for label, each in named_entries(record.get("labels")).items()
        if each.get("moved_share") is not None
    }


def strategy_maps(folder: Path, clusters: pd.DataFrame, run: Run) -> dict[tuple[str, int], Path]:
    """Return the map of each group of images, by label and number.

    Parameters
    ----------
    folder : pathlib.Path
        Of the audit.
    clusters : pandas.DataFrame
        Content of ``clusters.csv``; its labels that the run does not have are left out.
    run : Run
        The run.
    """
    groups = clusters[["label", "cluster"]].drop_duplicates()
    return {
        (label, number): folder / map_file(label, number)
        for label in run.labels
        for number in sorted(groups.loc[groups["label"] == label, "cluster"].tolist())
    }


def slice_maps(folder: Path, record: Mapping[str, Any]) -> list[tuple[Mapping[str, Any], Path]]:
    """Return the slices that have a map, each with its file."""
    # What a file says of where its map lies must not lead out of the folder.
    named = ((each, str(each.get("map") or "")) for each in entries(record.get("slices")))
    return [(each, folder / name) for each, name in named if name and Path(name).name == name]


def image_in(path: Path, run: Run) -> npt.NDArray[np.float32] | None:
    """Read a map of the frame; None where it is not there or does not fit."""
    frame = run.record.frame
    try:
        return read_map(path, (frame.height, frame.width))
    except (OSError, InputError):
        return None


def unusable_maps(paths: Iterable[Path], run: Run) -> list[str]:
    """Return what a chapter says of maps that it cannot show: which, and what makes them again.

    Parameters
    ----------
    paths : iterable of pathlib.Path
        Maps that were written together.
    run : Run
        The run whose frame they are to have.
    """
    unusable = [path for path in paths if image_in(path, run) is None]
    missing = [path for path in unusable if not path.exists()]
    others = [path for path in unusable if path not in missing]
    return [damaged_sentence(each) for each in (missing, others) if each]


def _labels(record: Mapping[str, Any]) -> list[str]:
    return list(named_entries(record.get("labels")))
