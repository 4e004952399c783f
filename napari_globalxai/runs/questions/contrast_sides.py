"""The two sides of a contrast: which images, which maps, which covariates."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
import pandas as pd

from napari_globalxai.errors import InputError
from napari_globalxai.runs.tables import PATIENT
from napari_globalxai.statistics.contrasts import Sides, mean_by_patient
from napari_globalxai.statistics.prepared_cells import CellReader
from napari_globalxai.statistics.query import parse_query

if TYPE_CHECKING:
    from napari_globalxai.runs.run import Run
    from napari_globalxai.settings.aggregation_settings import AggregationSettings

Rows = npt.NDArray[np.int64]
FloatArray = npt.NDArray[np.float64]
_FEWEST_PATIENTS = 2


@dataclass(frozen=True)
class ChosenImages:
    """The images of both sides.

    Attributes
    ----------
    first, second : numpy.ndarray
        Their rows.
    remarks : tuple of str
        What may not be meant, a sentence each.
    """

    first: Rows
    second: Rows
    remarks: tuple[str, ...]


def choose_images(run: Run, first: str, second: str, *, may_overlap: bool) -> ChosenImages:
    """Return the explained images that two queries choose; an empty one chooses all.

    Raises
    ------
    InputError
        When a query cannot be read or chooses none, or an image is on both sides.
    """
    sides, remarks = [], []
    for name, text in (("--a", first), ("--b", second)):
        if not text:
            sides.append(run.finished_rows)
            continue
        query = parse_query(text)
        chosen = np.intersect1d(query.rows(run.images), run.finished_rows)
        said = query.remarks(run.images)
        if not len(chosen):
            why = f" ({'; '.join(said)})" if said else ""
            raise InputError(
                f"{name}: {text!r} chooses no explained image of {run.folder}{why}; change the "
                "query."
            )
        remarks += [f"{name}: {each}." for each in said]
        sides.append(chosen)
    both = np.intersect1d(sides[0], sides[1])
    if len(both) and not may_overlap:
        raise InputError(
            f"{len(both)} images are on both sides ({first!r} and {second!r}); let the queries "
            "exclude each other, as in site == 'A' and site != 'A'."
        )
    return ChosenImages(sides[0], sides[1], tuple(remarks))


@dataclass(frozen=True)
class SideMaps:
    """The maps of one label on one side.

    Attributes
    ----------
    means : dict of str to numpy.ndarray
        By patient, the mean of their maps, (cell,).
    rows : numpy.ndarray
        Images that entered.
    """

    means: dict[str, FloatArray]
    rows: Rows


def read_side(run: Run, label: str, rows: Rows, settings: AggregationSettings) -> SideMaps:
    """Return the means of a label's maps by patient, of some images."""
    cells = CellReader(run.store, settings).cells(label, rows)
    if not len(cells.rows):
        return SideMaps({}, cells.rows)
    return SideMaps(mean_by_patient(cells.values, patients_of(run, cells.rows)), cells.rows)


def patients_of(run: Run, rows: Rows) -> list[str]:
    """Return the patients of images."""
    return [str(each) for each in run.images[PATIENT].to_numpy()[rows]]


def covariates_of(run: Run, rows: Rows, names: Sequence[str]) -> FloatArray:
    """Return covariates of images, (image, column): numbers as they are, words one column each.

    Raises
    ------
    InputError
        When there is no such column, or it has no value for some of the images.
    """
    columns: list[FloatArray] = []
    for name in names:
        if name not in run.images:
            raise InputError(
                f"{run.folder}: has no column {name!r} to take as a covariate; its columns are "
                f"{', '.join(map(str, run.images.columns))}."
            )
        values = run.images[name].iloc[rows]
        missing = int(values.isna().sum() + (values.astype(object) == "").sum())
        if missing:
            raise InputError(
                f"{run.folder}: {name} is missing for {missing} of the images that are compared; "
                f"leave them out of both queries, or {name} out of the covariates."
            )
        if pd.api.types.is_numeric_dtype(values):
            numbers = values.to_numpy(dtype=np.float64)
            if not np.isfinite(numbers).all():
                raise InputError(
                    f"{run.folder}: {name} is infinite for some of the images that are compared; "
                    f"correct the table, or leave {name} out of the covariates."
                )
            spread = numbers.std()
            columns.append((numbers - numbers.mean()) / (spread if spread > 0 else 1))
            continue
        words = values.astype(str).to_numpy()
        kinds = np.unique(words)
        if len(kinds) > max(2, len(words) // 2):
            # Dates and names: a column a value would explain everything.
            raise InputError(
                f"{run.folder}: {name} has {len(kinds)} different words for {len(words)} images, "
                "each of which would be a column; make it a number, or leave it out of the "
                "covariates."
            )
        columns += [(words == word).astype(np.float64) for word in kinds[1:]]
    if not columns:
        return np.zeros((len(rows), 0))
    return np.column_stack(columns)


def covariate_sides(run: Run, first: SideMaps, second: SideMaps, names: Sequence[str]) -> Sides:
    """Return the covariates' means of the same patients on the same sides."""
    rows = np.concatenate([first.rows, second.rows])
    values = covariates_of(run, rows, names)
    cut = len(first.rows)
    parts = ((first.rows, values[:cut]), (second.rows, values[cut:]))
    return Sides.of(*(mean_by_patient(part, patients_of(run, each)) for each, part in parts))


def check_sizes(sides: Sides, label: str) -> None:
    """Refuse sides of too few patients to be exchanged."""
    for name, size in zip(("--a", "--b"), sides.sizes, strict=True):
        if size < _FEWEST_PATIENTS:
            raise InputError(
                f"{name}: has {size} patient{'' if size == 1 else 's'} for {label}, and at least "
                f"{_FEWEST_PATIENTS} are needed to say how far patients differ; widen the query."
            )
