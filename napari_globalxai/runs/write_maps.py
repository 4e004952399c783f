"""Write the global maps of a run, and the table of their statistics."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pandas as pd
import tifffile

from napari_globalxai.maps.moments import Moments
from napari_globalxai.progress import Progress, ProgressCallback
from napari_globalxai.runs.folder import file_stem
from napari_globalxai.settings.aggregation_settings import AggregationSettings
from napari_globalxai.statistics.global_map import OVERALL, Averaging, GlobalMap
from napari_globalxai.statistics.map_statistics import Statistic
from napari_globalxai.statistics.recorded_statistics import CHOICES, MAP, WARNING
from napari_globalxai.storage import atomic_path


def write_maps(
    folder: Path,
    averaging: Averaging,
    members: Mapping[str, npt.NDArray[np.int64]],
    moments: Mapping[str, Moments] | None,
    coverage: npt.NDArray[np.float32],
    progress: ProgressCallback,
) -> list[GlobalMap]:
    """Make the global maps and write them with their table.

    Parameters
    ----------
    folder : pathlib.Path
        The run folder.
    averaging : Averaging
        What the maps are made from, and how.
    members : mapping of str to numpy.ndarray
        Images that enter each label's map.
    moments : mapping of str to Moments or None
        Mean and SD of each label's maps at full resolution, where the store keeps them pooled.
    coverage : numpy.ndarray
        Share of images whose field of view holds each pixel, (*frame).
    progress : callable
        Receives `Progress`.

    Returns
    -------
    list of GlobalMap
        The label-wise maps.
    """
    maps = []
    for number, (label, rows) in enumerate(members.items()):
        progress(Progress("Averaging maps", number, len(members)))
        own = None if moments is None else moments[label]
        maps.append(averaging.label_map(label, rows, own))
    overall = averaging.overall_map(maps)
    write_tiff(folder / "coverage.tif", coverage)
    write_tiff(folder / "maps" / f"{OVERALL}.tif", overall.mean)
    for image in maps:
        write_tiff(folder / "maps" / f"{file_stem(image.label)}.tif", image.mean)
        write_tiff(folder / "maps" / f"{file_stem(image.label)}.sd.tif", image.sd)
    table = table_of_maps([overall, *maps], averaging.statistics, averaging.settings)
    with atomic_path(folder / "maps" / "maps.csv") as path:
        table.to_csv(path, index=False)
    progress(Progress("Averaging maps", len(members), len(members)))
    return maps


def table_of_maps(
    maps: Sequence[GlobalMap], statistics: Sequence[Statistic], settings: AggregationSettings
) -> pd.DataFrame:
    """Return the statistics of maps, one row a map, with what was chosen and their warnings."""
    columns: dict[str, object] = {MAP: [image.label for image in maps]}
    for statistic in statistics:
        values = [image.statistics[statistic.name] for image in maps]
        columns[statistic.name] = _numbers(values, whole=statistic.format.endswith("d"))
    columns |= {name: [getattr(settings, name)] * len(maps) for name in CHOICES}
    columns[WARNING] = [
        "" if image.label == OVERALL else image.warning(settings.fewest_images) for image in maps
    ]
    return pd.DataFrame(columns)


def _numbers(values: Sequence[float], *, whole: bool) -> object:
    """Return a column in which whole numbers stay whole, also where one is missing."""
    known = [value for value in values if np.isfinite(value)]
    if not whole or not all(float(value).is_integer() for value in known):
        return list(values)
    whole_numbers = [int(value) if np.isfinite(value) else None for value in values]
    return pd.array(whole_numbers, dtype="Int64")


def write_tiff(path: Path, image: npt.NDArray[np.floating]) -> None:
    """Write a float32 map (height, width), or planes of one as pages, atomically."""
    with atomic_path(path) as temporary:
        tifffile.imwrite(temporary, np.asarray(image, np.float32), photometric="minisblack")
