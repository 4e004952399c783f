"""The colours of maps, curves and verdicts, and the scales that maps are shown on.

Perceptually even or safe for colour-blind readers (Okabe and Ito), and the same in layers and
plots: what is restored is blue everywhere, what is erased is orange.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from napari.utils import Colormap
from napari.utils.colormaps import AVAILABLE_COLORMAPS, ensure_colormap

from napari_globalxai.faithfulness.verdict.verdicts import (
    FAITHFUL,
    FAITHFUL_INSIDE,
    FAITHFUL_WITH_A_CAUTION,
    NO_BETTER,
    NOT_ENOUGH_DATA,
    UNDECIDED,
    WELL_PLACED,
)

RESTORE = "#56b4e9"
ERASE = "#e69f00"
ARM_COLOURS = {"restore": RESTORE, "erase": ERASE}
# Curves are told apart by more than their colours.
ARM_DASHES: dict[str, tuple[float, ...]] = {"restore": (), "erase": (10, 1.5)}
# Of results beside the one on show; seen on dark and on light ground.
OTHER_COLOURS = ("#c0609a", "#008f66", "#d05a00", "#2f7fc1", "#808000")
VERDICT_COLOURS = {
    FAITHFUL: "#00785a",
    FAITHFUL_WITH_A_CAUTION: "#8a6000",
    FAITHFUL_INSIDE: "#8a6000",
    WELL_PLACED: "#8a6000",
    NO_BETTER: "#b84f00",
    UNDECIDED: "#6b6b6b",
    NOT_ENOUGH_DATA: "#6b6b6b",
    # Of version 0.1.
    "faithful": "#00785a",
    "faithful, with a caution": "#8a6000",
    "not faithful": "#b84f00",
}
# On both grounds, and readable under white text.
WARNING = "#b84f00"
# Of what somebody draws: of no hue that retinas, maps or curves have, seen on black and on white.
REGION = "#e000e0"
SCALES = {
    "linear": "Colours follow the map's values; below 15 % of the highest they are clear",
    "logarithm": "Colours follow the logarithm of the map's values, so that weak parts show",
    "percentile": "Colours follow the rank of each pixel: the highest half of the map shows, "
    "however weak it is",
}
# Values below the first share of a scale are clear, so that the image stays readable.
_CLEAR_AND_OPAQUE = {"linear": (0.15, 0.75), "logarithm": (0.3, 0.9), "percentile": (0.5, 0.95)}
_SMALLEST = 0.01  # of the highest value, where the logarithm begins to bend
# From low to high. The map of all images, that of one and what they differ by must not be mistaken
# for each other; those through zero are of ColorBrewer, safe for colour-blind readers.
_UNSIGNED = {"global map": "viridis", "attribution": "magma"}
_SIGNED = {
    "global map": ("#7f3b08", "#e08214", "#f7f7f7", "#998ec3", "#542788"),
    "attribution": ("#276419", "#7fbc41", "#f7f7f7", "#de77ae", "#8e0152"),
    "difference": ("#053061", "#4393c3", "#f7f7f7", "#d6604d", "#67001f"),
}
_STEPS = 512

FloatArray = npt.NDArray[np.floating]


def map_colormap(
    *,
    signed: bool,
    role: str = "global map",
    scale: str = "linear",
    values: FloatArray | None = None,
    limit: float = 1.0,
) -> Colormap:
    """Return the colour map of attributions: clear where a map is weak.

    The layer keeps the map's own values, so that the cursor and the colour bar tell them on every
    scale.

    Parameters
    ----------
    signed : bool
        Whether the scale runs through zero in its middle.
    role : str, optional
        ``global map``, ``attribution`` or ``difference``, each with colours of its own. Whatever
        is less something else is a difference, and signed.
    scale : str, optional
        One of `SCALES`.
    values : array, optional
        The values that are shown; needed for percentiles.
    limit : float, optional
        The value at the end of the scale.
    """
    positions = np.linspace(0, 1, _STEPS)
    height = 2 * positions - 1 if signed else positions
    strength = _strength(np.abs(height), scale, values, limit)
    where = 0.5 + np.sign(height) * strength / 2 if signed else strength
    colours = _colours(role, signed, where)
    clear, opaque = _CLEAR_AND_OPAQUE[scale]
    colours[:, 3] = np.clip((strength - clear) / (opaque - clear), 0, 1)
    kind = "signed " if signed else ""
    colormap = Colormap(colours, name=f"{kind}{role}, {scale}")
    # napari keeps colours by their names, for good, and numbers others of a name that it knows:
    # on percentiles, each image that was looked at would stay in its list of colours. One a name
    # is known, so that whoever chose others in napari's controls can choose these again.
    AVAILABLE_COLORMAPS.pop(colormap.name, None)
    AVAILABLE_COLORMAPS[colormap.name] = colormap
    return colormap


def _strength(
    heights: FloatArray, scale: str, values: FloatArray | None, limit: float
) -> FloatArray:
    """Return where heights, as shares of the limit, stand on a scale from 0 to 1."""
    if scale == "logarithm":
        return np.asarray(np.log1p(heights / _SMALLEST) / np.log1p(1 / _SMALLEST))
    if scale == "percentile" and values is not None:
        known = np.abs(values[np.isfinite(values)]) / limit
        if known.size:
            # Of equal values, as of a map that is 0 in most places, the lowest rank.
            return np.asarray(np.searchsorted(np.sort(known), heights, side="left") / known.size)
    return heights


def _colours(role: str, signed: bool, where: FloatArray) -> FloatArray:
    if not signed:
        return np.array(ensure_colormap(_UNSIGNED[role]).map(where), dtype=float)
    anchors = [[int(text[at : at + 2], 16) / 255 for at in (1, 3, 5)] for text in _SIGNED[role]]
    places = np.linspace(0, 1, len(anchors))
    planes = [np.interp(where, places, channel) for channel in np.transpose(anchors)]
    return np.column_stack([*planes, np.ones(len(where))])
