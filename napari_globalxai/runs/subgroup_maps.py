"""Global maps of some images of a run, from its store, without the model."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from napari_globalxai.errors import InputError
from napari_globalxai.statistics.global_map import Averaging, GlobalMap

if TYPE_CHECKING:
    from napari_globalxai.runs.run import Run
from napari_globalxai.runs.tables import PATIENT


def subgroup_maps(
    run: Run, rows: npt.ArrayLike | None, labels: Sequence[str] | None
) -> dict[str, GlobalMap]:
    """Average the image-wise maps of some images; see `Run.maps_of`."""
    chosen = run.labels if labels is None else tuple(dict.fromkeys(labels))
    unknown = [label for label in chosen if label not in run.labels]
    if unknown or not chosen:
        lacking = f"has no label {unknown[0]!r}" if unknown else "no label was chosen"
        raise InputError(f"{run.folder}: {lacking}; its labels are {', '.join(run.labels)}.")
    among = _row_numbers(run, rows)
    averaging = Averaging(
        run.store,
        run.images[PATIENT].tolist(),
        run.aggregation,
        run.record.settings.seed,
        run.valid,
    )
    maps = [
        averaging.label_map(label, np.intersect1d(run.members(label), among)) for label in chosen
    ]
    return {image.label: image for image in (averaging.overall_map(maps), *maps)}


def _row_numbers(run: Run, rows: npt.ArrayLike | None) -> npt.NDArray[np.int64]:
    """Return rows as sorted numbers, each once."""
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
