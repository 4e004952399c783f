"""Median and trimmed mean of each column of a tall matrix, without putting all of it in order.

NumPy selects among all values of a column at once. Many maps are cut at 0, so that most of a column
is its least value: counting those and selecting among the others takes two thirds of the time.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np
import numpy.typing as npt

FloatArray = npt.NDArray[np.float64]
Column = npt.NDArray[np.floating]

# Of fewer values NumPy's way through all columns at once is the faster one.
_MANY = 1000
# Columns that are laid out one after the other at once: few enough for the processor's caches.
_AT_ONCE = 16


def medians(values: npt.NDArray[np.floating]) -> FloatArray:
    """Return the median of each column, (row, column) to (column,); NaN where there is one."""
    if len(values) < _MANY:
        return np.asarray(np.median(values, axis=0), np.float64)
    return _of_columns(values, _median)


def trimmed_means(values: npt.NDArray[np.floating], share: float) -> FloatArray:
    """Return the mean of each column without a share of its values at either end."""
    cut = int(share * len(values))
    if cut and len(values) >= _MANY:
        return _of_columns(values, lambda column: _trimmed_mean(column, cut))
    if cut:
        values = np.partition(values, (cut, len(values) - cut - 1), axis=0)
        values = values[cut : len(values) - cut]
    return np.asarray(values.mean(axis=0, dtype=np.float64))


def _of_columns(
    values: npt.NDArray[np.floating], function: Callable[[Column], float]
) -> FloatArray:
    return np.array([function(column) for column in _columns(values)], np.float64)


def _columns(values: npt.NDArray[np.floating]) -> Iterator[Column]:
    for start in range(0, values.shape[1], _AT_ONCE):
        yield from np.ascontiguousarray(values[:, start : start + _AT_ONCE].T)


def _median(column: Column) -> float:
    low, high = (len(column) - 1) // 2, len(column) // 2
    least = column.min()
    above = column[column > least]
    equal = len(column) - len(above)
    if high < equal:
        return float(least)
    above.partition(high - equal)
    upper = above[high - equal]
    if low == high:
        return float(upper)
    lower = least if low < equal else above[: high - equal].max()
    # In the type of the values, as NumPy has it.
    return float((lower + upper) / column.dtype.type(2))


def _trimmed_mean(column: Column, cut: int) -> float:
    least = column.min()
    above = column[column > least]
    equal, kept = len(column) - len(above), len(column) - 2 * cut
    if len(above) <= cut:
        return float(least)
    above.partition(len(above) - cut - 1)
    above = above[: len(above) - cut]
    if cut > equal:
        above.partition(cut - equal)
        above = above[cut - equal :]
    return float((above.sum(dtype=np.float64) + (kept - len(above)) * float(least)) / kept)
