"""One image against the global map: where the model looks elsewhere than usual."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from scipy.stats import rankdata

from napari_globalxai.aggregation.global_map import AggregationSettings, prepare_maps
from napari_globalxai.attribution.store import AttributionStore


def spearman_to_global(
    store: AttributionStore,
    label: str,
    rows: npt.NDArray[np.int64],
    members: npt.NDArray[np.int64],
    inside: npt.NDArray[np.bool_],
    settings: AggregationSettings,
) -> npt.NDArray[np.float64]:
    """Return the Spearman correlation of each image's map with the global map of a label.

    A member of the global map is taken out of the mean that it is compared with.

    Parameters
    ----------
    store : AttributionStore
        Image-wise maps.
    label : str
        Which label.
    rows : numpy.ndarray
        Images to compare.
    members : numpy.ndarray
        Images that make the global map.
    inside : numpy.ndarray
        Valid cells, (rows, columns) of the store's grid.
    settings : AggregationSettings
        As for the global map.

    Returns
    -------
    numpy.ndarray
        One value a row of `rows`; NaN for constant maps and where no other member is left.
    """
    index = store.labels.index(label)
    total = np.zeros(int(inside.sum()))
    for _, raw in store.chunks(members, index):
        total += prepare_maps(raw, settings)[:, inside].sum(axis=0)
    is_member = np.zeros(len(store), dtype=bool)
    is_member[members] = True
    result = {}
    for part, raw in store.chunks(rows, index):
        values = prepare_maps(raw, settings)[:, inside]
        for row, value in zip(part, values, strict=True):
            count = len(members) - int(is_member[row])
            others = total - value if is_member[row] else total
            result[int(row)] = _spearman(value, others / count) if count > 0 else float("nan")
    return np.array([result[int(row)] for row in rows])


def _spearman(first: npt.NDArray[np.float64], second: npt.NDArray[np.float64]) -> float:
    if first.size == 0 or np.ptp(first) == 0 or np.ptp(second) == 0:
        return float("nan")
    return float(np.corrcoef(rankdata(first), rankdata(second))[0, 1])
