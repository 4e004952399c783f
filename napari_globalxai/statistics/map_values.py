"""What a map shows of its images at each cell: their mean, their median, how sure the mean is."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial

import numpy as np
import numpy.typing as npt

from napari_globalxai.statistics.order_statistics import medians, trimmed_means
from napari_globalxai.statistics.patient_groups import PatientGroups
from napari_globalxai.statistics.prepared_cells import CellReader, LabelCells
from napari_globalxai.statistics.stability import PatientMaps

FloatArray = npt.NDArray[np.float64]

# Of the images at each cell, this share is left out at either end.
TRIMMED_SHARE = 0.1
# Of one matrix image × cell; where a label has more, cells are read in several passes.
_MOST_BYTES = 256 << 20


def cell_values(statistic: str, cells: LabelCells, images: int, count: int) -> FloatArray:
    """Return a statistic over images that is no moment, at each cell inside, (cell,).

    Parameters
    ----------
    statistic : str
        ``median``, ``trimmed-mean`` or ``positive-share``, of which the last wants signed maps.
    cells : LabelCells
        The maps that enter.
    images, count : int
        How many they are, and how many cells each has.
    """
    functions: dict[str, Callable[[npt.NDArray[np.float32]], FloatArray]] = {
        "median": medians,
        "trimmed-mean": partial(trimmed_means, share=TRIMMED_SHARE),
        "positive-share": _positive_share,
    }
    result = np.zeros(count)
    if images:
        for block in _blocks(count, images):
            result[block] = functions[statistic](cells.columns(block))
    return result


def _positive_share(values: npt.NDArray[np.float32]) -> FloatArray:
    return np.asarray((values > 0).mean(axis=0), np.float64)


def _blocks(cells: int, images: int) -> Iterator[slice]:
    """Part cells so that a matrix of one part and all images is not too large."""
    size = max(1, _MOST_BYTES // (4 * images))
    for start in range(0, cells, size):
        yield slice(start, start + size)


def standard_error(
    reader: CellReader,
    label: str,
    rows: npt.NDArray[np.int64],
    codes: npt.NDArray[np.int64],
    mean: FloatArray,
) -> FloatArray:
    """Return the standard error of the mean over images at each cell, patients being the unit.

    With sums ``S`` and counts ``n`` of the images of each of ``P`` patients it is the square root
    of ``P / (P − 1) · Σ (S − n · mean)²``, divided by the number of images. Where each patient has
    one image that is SD / √n; images that repeat each other do not make it smaller.

    Parameters
    ----------
    reader : CellReader
        Where the maps are read from, and what of them.
    label : str
        Which label.
    rows : numpy.ndarray
        Images that are in the mean.
    codes : numpy.ndarray
        Patient of every image of the store, see `patient_codes`.
    mean : numpy.ndarray
        Their mean, (cell,).

    Returns
    -------
    numpy.ndarray
        (cell,); NaN for fewer than two patients.
    """
    patients = len(np.unique(codes[rows]))
    if patients < 2:
        return np.full(len(mean), np.nan)
    squares, images = np.zeros(len(mean)), 0
    for batch in _by_patient(rows, codes, max(1, _MOST_BYTES // (8 * len(mean)))):
        found = reader.cells(label, batch)
        groups = PatientGroups(codes[found.rows])
        away = groups.sums(found.values) - groups.sizes[:, None] * mean
        squares += (away**2).sum(axis=0)
        images += len(found.rows)
    return np.asarray(np.sqrt(squares * patients / (patients - 1)) / images)


def error_of_sums(maps: PatientMaps, mean: FloatArray) -> FloatArray:
    """Return the standard error as `standard_error` does, of sums that are at hand.

    Parameters
    ----------
    maps : PatientMaps
        Sums and counts of each patient's images.
    mean : numpy.ndarray
        The mean over images, (cell,).
    """
    patients = len(maps.sizes)
    if patients < 2:
        return np.full(len(mean), np.nan)
    away = maps.sums - maps.sizes[:, None] * mean
    squares = np.einsum("pc,pc->c", away, away)
    return np.asarray(np.sqrt(squares * patients / (patients - 1)) / maps.sizes.sum())


def _by_patient(
    rows: npt.NDArray[np.int64], codes: npt.NDArray[np.int64], most: int
) -> Iterator[npt.NDArray[np.int64]]:
    """Part rows into batches of about `most`, all images of a patient in one of them."""
    ordered = rows[np.argsort(codes[rows], kind="stable")]
    starts = np.flatnonzero(np.diff(codes[ordered], prepend=-1))
    cuts = starts[1:][np.diff(starts // most) > 0]
    for batch in np.split(ordered, cuts):
        yield np.sort(batch)
