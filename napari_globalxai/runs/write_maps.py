"""Write the global maps of a run, and the table of their statistics."""

from __future__ import annotations

from collections.abc import Sequence
from numbers import Integral
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pandas as pd
import tifffile

from napari_globalxai.runs.folder import file_stem
from napari_globalxai.settings.aggregation_settings import AggregationSettings
from napari_globalxai.statistics.global_map import OVERALL, GlobalMap
from napari_globalxai.statistics.recorded_statistics import CHOICES, FILE, MAP, WARNING
from napari_globalxai.storage import atomic_path, write_table


def write_maps(
    folder: Path, overall: GlobalMap, maps: Sequence[GlobalMap], settings: AggregationSettings
) -> None:
    """Write global maps and the table of their statistics.

    Parameters
    ----------
    folder : pathlib.Path
        Where to write them.
    overall : GlobalMap
        The overall map.
    maps : sequence of GlobalMap
        The label-wise maps that it was made of.
    settings : AggregationSettings
        How they were made.
    """
    write_tiff(folder / f"{OVERALL}.tif", overall.mean)
    for image in maps:
        write_tiff(folder / f"{file_stem(image.label)}.tif", image.mean)
        write_tiff(folder / f"{file_stem(image.label)}.sd.tif", image.sd)
    write_table(folder / "maps.csv", table_of_maps([overall, *maps], settings))


def table_of_maps(maps: Sequence[GlobalMap], settings: AggregationSettings) -> pd.DataFrame:
    """Return the statistics of maps, one row a map, with what was chosen and their warnings."""
    columns: dict[str, object] = {MAP: [image.label for image in maps]}
    for name in maps[0].statistics:
        columns[name] = _numbers([image.statistics[name] for image in maps])
    columns |= {name: [getattr(settings, name)] * len(maps) for name in CHOICES}
    columns[WARNING] = [
        "" if image.label == OVERALL else image.warning(settings.fewest_images) for image in maps
    ]
    columns[FILE] = [f"{file_stem(image.label)}.tif" for image in maps]
    return pd.DataFrame(columns)


def _numbers(values: Sequence[float]) -> object:
    """Return a column in which whole numbers stay whole, also where one is missing."""
    known = [value for value in values if np.isfinite(value)]
    if not known or not all(isinstance(value, Integral) for value in known):
        return list(values)
    whole = [int(value) if np.isfinite(value) else None for value in values]
    return pd.array(whole, dtype="Int64")


def write_tiff(path: Path, image: npt.NDArray[np.floating]) -> None:
    """Write a float32 map (height, width), or planes of one as pages, atomically."""
    with atomic_path(path) as temporary:
        tifffile.imwrite(temporary, np.asarray(image, np.float32), photometric="minisblack")
