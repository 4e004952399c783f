"""Layers that show the borders of areas by a light line with a dark one inside, seen on any ground.

As on maps of cities: of the two, one is always seen, on a bright map as on a dark image.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
from napari.layers import Labels
from napari.utils.colormaps import DirectLabelColormap

from napari_globalxai.widgets.session.mass import CONTOUR_SHARES, mass_zones

# Of whatever lies inside a light line.
CASING = "black"
INSIDE, RIM = 1, 2
# Zones of mass: within the first share, between the shares, and the outermost pixels of those.
ZONE_COLOURS = {1: "white", 2: CASING, 3: "#b0b0b0"}
assert len(ZONE_COLOURS) == len(CONTOUR_SHARES) + 1

Area = npt.NDArray[np.uint8]


def outline(area: Area, colours: Mapping[int, str]) -> Labels:
    """Return a layer that shows the borders of areas, so that what lies in them stays in view."""
    layer = Labels(area, colormap=label_colours(colours), opacity=1.0)
    layer.contour = 1
    make_brushes_later(layer)
    return layer


def make_brushes_later(layer: Labels) -> None:
    """Have napari draw what a layer is painted with once somebody takes it up.

    It is not seen before, and takes napari longer than the rest of a layer.
    """
    for overlay in layer._overlays.values():
        if getattr(overlay, "enabled", None) is False:
            overlay.visible = False
            _show_once_enabled(overlay)


def _show_once_enabled(overlay: Any) -> None:
    def show() -> None:
        overlay.visible = True

    overlay.events.enabled.connect(show)


def label_colours(colours: Mapping[int, str]) -> DirectLabelColormap:
    """Return colours by label; all others are clear."""
    every: dict[int | None, str] = {None: "transparent", 0: "transparent"}
    every |= dict(colours.items())
    return DirectLabelColormap(color_dict=every)


def rimmed(area: Area, rim: int = RIM) -> Area:
    """Return an area whose outermost pixels have a label of their own.

    They are the light line, and the border of what they enclose is the dark one.

    Parameters
    ----------
    area : numpy.ndarray
        Labels; 0 beyond the area.
    rim : int
        The label of the pixels that lie beside what is beyond the area.
    """
    beyond = np.pad(area == 0, 1, constant_values=True)
    beside = beyond[:-2, 1:-1] | beyond[2:, 1:-1] | beyond[1:-1, :-2] | beyond[1:-1, 2:]
    found: Area = np.where(beside & (area > 0), np.uint8(rim), area)
    return found


def rimmed_zones(image: npt.NDArray[np.floating]) -> Area:
    """Return the zones of a map's mass as `ZONE_COLOURS` has them."""
    zones = mass_zones(image)
    # Beside the rim lies the border of the zone within; of the innermost, it is a line itself.
    return np.where(zones == 1, zones, rimmed(zones, max(ZONE_COLOURS)))
