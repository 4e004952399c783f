"""One image against the global map: where the model looks elsewhere than usual."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from napari_globalxai.statistics.image_against_map import SIMILARITY, Reference, compare_images
from napari_globalxai.statistics.prepared_cells import CellReader

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
    reader = CellReader(store, settings, only=inside)
    reference = Reference.of(reader, label, members)
    return compare_images(reader, label, rows, reference, (SIMILARITY,))[SIMILARITY]
