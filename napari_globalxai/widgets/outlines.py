"""Layers that show the borders of areas."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt
from napari.layers import Labels
from napari.utils.colormaps import DirectLabelColormap


def outline(area: npt.NDArray[np.uint8], colours: Mapping[int, str]) -> Labels:
    """Return a layer that shows the borders of areas, so that what lies in them stays in view."""
    layer = Labels(area, colormap=label_colours(colours), opacity=0.9)
    layer.contour = 1
    return layer


def label_colours(colours: Mapping[int, str]) -> DirectLabelColormap:
    """Return colours by label; all others are clear."""
    every: dict[int | None, str] = {None: "transparent", 0: "transparent"}
    every |= dict(colours.items())
    return DirectLabelColormap(color_dict=every)
