"""Global maps of some images of a run, from its store, without the model."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from napari_globalxai.errors import InputError
from napari_globalxai.runs.tables import PATIENT
from napari_globalxai.settings.aggregation_settings import AggregationSettings
from napari_globalxai.settings.lists import join_names
from napari_globalxai.settings.map_settings import MapsSettings
from napari_globalxai.statistics.global_map import Averaging, GlobalMap
from napari_globalxai.statistics.query import parse_query

if TYPE_CHECKING:
    from napari_globalxai.runs.run import Run


def subgroup_maps(
    run: Run, rows: npt.ArrayLike | None, settings: MapsSettings
) -> dict[str, GlobalMap]:
    """Average the image-wise maps of some images; see `Run.maps_of`."""
    chosen = chosen_labels(run, settings.labels)
    among = row_numbers(run, rows)
    if settings.where is not None:
        among = np.intersect1d(among, parse_query(settings.where).rows(run.images))
    aggregation = settings.of_run(run.aggregation)
    averaging = averaging_of(run, aggregation, settings.statistic)
    maps = [
        averaging.label_map(label, np.intersect1d(run.members(label, aggregation), among))
        for label in chosen
    ]
    return {image.label: image for image in (averaging.overall_map(maps), *maps)}


def averaging_of(run: Run, aggregation: AggregationSettings, statistic: str = "mean") -> Averaging:
    """Return what makes global maps of a run's store."""
    return Averaging(
        run.store,
        run.images[PATIENT].tolist(),
        aggregation,
        run.record.settings.seed,
        run.valid,
        statistic=statistic,
    )


def chosen_labels(run: Run, labels: Sequence[str] | None) -> tuple[str, ...]:
    """Return labels of a run, each once; all where none are given.

    Raises
    ------
    InputError
        When the run has no such label.
    """
    chosen = run.labels if labels is None else tuple(dict.fromkeys(labels))
    unknown = [label for label in chosen if label not in run.labels]
    if unknown or not chosen:
        lacking = f"has no label {unknown[0]!r}" if unknown else "no label was chosen"
        raise InputError(f"{run.folder}: {lacking}; its labels are {join_names(run.labels)}.")
    return chosen


def row_numbers(run: Run, rows: npt.ArrayLike | None) -> npt.NDArray[np.int64]:
    """Return rows, given as numbers or a truth value an image, as sorted numbers, each once.

    Raises
    ------
    InputError
        When they are neither.
    """
    count = len(run.images)
    if rows is None:
        return np.arange(count)
    given = np.asarray(rows)
    if given.dtype == bool and given.shape == (count,):
        return np.flatnonzero(given)
    # An empty list has no type of its own.
    whole = given.size == 0 or np.issubdtype(given.dtype, np.integer)
    if given.ndim != 1 or not whole or ((given < 0) | (given >= count)).any():
        raise InputError(
            f"{run.folder}: rows are whole numbers from 0 to {count - 1}, or a truth value for "
            f"each of its {count} images."
        )
    return np.unique(given).astype(np.int64)
