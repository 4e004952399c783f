"""One image against the global map: where the model looks elsewhere than usual."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from napari_globalxai.maps.preparing import prepare_maps
from napari_globalxai.statistics.ranks import row_spearman

if TYPE_CHECKING:
    from napari_globalxai.maps.store import AttributionStore
    from napari_globalxai.settings.aggregation_settings import AggregationSettings


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
        Valid cells, (*cells) of the store's grid.
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
    result = np.full(len(store), np.nan)
    for part, raw in store.chunks(rows, index):
        values = prepare_maps(raw, settings)[:, inside]
        own = is_member[part]
        count = len(members) - own
        alone = count == 0
        others = (total - values * own[:, None]) / np.where(alone, 1, count)[:, None]
        result[part] = np.where(alone, np.nan, row_spearman(values, others))
    return result[rows]
