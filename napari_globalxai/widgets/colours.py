"""The colours of maps, curves and verdicts.

Perceptually even or safe for colour-blind readers (Okabe and Ito), and the same in layers and
plots: what is restored is blue everywhere, what is erased is orange.
"""

from __future__ import annotations

import matplotlib
import numpy as np
from napari.utils import Colormap

RESTORE = "#56b4e9"
ERASE = "#e69f00"
ARM_COLOURS = {"restore": RESTORE, "erase": ERASE}
VERDICT_COLOURS = {
    "faithful": "#009e73",
    "faithful, with a caution": "#8a5a00",
    "not faithful": "#d55e00",
    "not enough data": "#7f7f7f",
}
# Values below this share of the scale are clear, so that the image stays readable.
_CLEAR_BELOW = 0.15
_OPAQUE_FROM = 0.75


def map_colormap(*, signed: bool) -> Colormap:
    """Return the colour map of attributions: clear where a map is weak.

    Parameters
    ----------
    signed : bool
        Whether the scale runs through zero in its middle.
    """
    positions = np.linspace(0, 1, 256)
    strength = np.abs(2 * positions - 1) if signed else positions
    colours = matplotlib.colormaps["PuOr" if signed else "viridis"](positions)
    colours[:, 3] = np.clip((strength - _CLEAR_BELOW) / (_OPAQUE_FROM - _CLEAR_BELOW), 0, 1)
    return Colormap(colours, name="signed map" if signed else "map")
