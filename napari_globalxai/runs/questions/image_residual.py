"""How one image's map differs from the mean of the others."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from napari_globalxai.errors import InputError
from napari_globalxai.maps.preparing import is_constant, prepare_maps
from napari_globalxai.maps.upsampling import smooth, upsample
from napari_globalxai.runs.tables import FILE

if TYPE_CHECKING:
    from napari_globalxai.runs.run import Run


def image_residual(run: Run, row: int, label: str) -> npt.NDArray[np.float32]:
    """Return an image's map less the global map of a label that the image is left out of.

    The image's map is scaled as those in the global map are. From the stored global map the image's
    own share is taken off again, so that nothing but its map is read.

    Parameters
    ----------
    run : Run
        The run.
    row : int
        Row of the image.
    label : str
        The label.

    Returns
    -------
    numpy.ndarray
        float32 (height, width); NaN where the image was not explained.

    Raises
    ------
    InputError
        When the image is the only one of the global map.
    """
    settings = run.aggregation
    native = run.store.read(row, run.store.labels.index(label))[None]
    prepared = prepare_maps(native, settings)
    own = smooth(upsample(prepared[0], run.store.grid), settings.smoothing)
    mean = run.maps[label].astype(np.float64)
    left_out = settings.constant_maps == "left-out" and bool(is_constant(prepared)[0])
    if row in run.members(label) and not left_out:
        count = int(run.statistics.set_index("map")["n"][label])
        if count < 2:
            raise InputError(
                f"{run.images[FILE].iloc[row]}: is the only image of the map of {label}, so there "
                "are no others to compare it with."
            )
        mean = (count * mean - own) / (count - 1)
    return np.asarray(own - mean, np.float32)
