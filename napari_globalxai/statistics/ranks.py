"""Ranks, and their correlation, without scipy.stats, which takes more than a second to import."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt


def ranks(values: npt.NDArray[np.floating]) -> npt.NDArray[np.float64]:
    """Rank each row of an array, from 1; equal values share their mean rank, NaN has none."""
    count = values.shape[1]
    order = np.argsort(values, axis=1)
    ordered = np.take_along_axis(values, order, axis=1)
    # Where a group of equal values begins, in all rows one after the other.
    begins = np.ones(values.shape, dtype=bool)
    begins[:, 1:] = ordered[:, 1:] != ordered[:, :-1]
    result = np.empty(values.shape)
    if begins.all():
        np.put_along_axis(result, order, np.arange(1.0, count + 1)[None], axis=1)
    else:
        first = np.flatnonzero(begins)
        sizes = np.diff(first, append=values.size)
        # The remainder; % takes several times as long.
        shared = first - first // count * count + (sizes + 1) / 2
        np.put_along_axis(result, order, np.repeat(shared, sizes).reshape(values.shape), axis=1)
    result[np.isnan(values)] = np.nan
    return result


def spearman(first: npt.NDArray[np.floating], second: npt.NDArray[np.floating]) -> float:
    """Return Spearman's rank correlation of two arrays of one shape, neither of them constant."""
    ranked = ranks(np.stack([first.ravel(), second.ravel()]))
    # One variable a column, as scipy.stats.spearmanr has them: the same sums, to the last bit.
    return float(np.corrcoef(np.column_stack(list(ranked)), rowvar=False)[1, 0])


def row_spearman(
    first: npt.NDArray[np.floating], second: npt.NDArray[np.floating]
) -> npt.NDArray[np.float64]:
    """Return the rank correlation of each row with the same row of another; NaN if constant."""
    if first.shape[1] == 0:
        return np.full(len(first), np.nan)
    ranked = [ranks(values) for values in (first, second)]
    centred = [each - each.mean(axis=1, keepdims=True) for each in ranked]
    product = np.einsum("rc,rc->r", *centred)
    sizes = [np.einsum("rc,rc->r", each, each) for each in centred]
    constant = (np.ptp(first, axis=1) == 0) | (np.ptp(second, axis=1) == 0)
    return np.where(constant, np.nan, product / np.sqrt(np.where(constant, 1, sizes[0] * sizes[1])))
