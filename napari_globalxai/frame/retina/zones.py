"""Zones of the retina in the frame, by where optic disc and macula lie."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Mask = npt.NDArray[np.bool_]

# Shares of the distance from disc to macula, about 4.8 mm in adults.
_DISC = 0.3  # half as wide again as a disc of 1.8 mm
_MACULA = 0.6  # the outer circle of the ETDRS grid, 6 mm across
_POSTERIOR_POLE = 1.3  # around the point between both, within the large vessels
# Share of the field's height.
_LID = 0.1


def zones_of_the_eye(
    disc: npt.NDArray[np.float64], macula: npt.NDArray[np.float64], aspect: float, field: Mask
) -> dict[str, Mask]:
    """Return zones in left-eye orientation, in which temporal is to the right of the disc.

    Parameters
    ----------
    disc, macula : numpy.ndarray
        (x, y) in pixels of the frame.
    aspect : float
        Height of a pixel over its width, on the retina.
    field : numpy.ndarray
        Field of view, bool (height, width).

    Returns
    -------
    dict of str to numpy.ndarray
        bool (height, width), all within the field; quadrants meet at the disc.
    """
    rows, columns = np.mgrid[: field.shape[0], : field.shape[1]]

    def around(point: npt.NDArray[np.float64], share: float) -> Mask:
        across, down = columns - point[0], (rows - point[1]) * aspect
        return np.asarray(field & (np.hypot(across, down) <= share * unit))

    unit = float(np.hypot(macula[0] - disc[0], (macula[1] - disc[1]) * aspect))
    pole = around((disc + macula) / 2, _POSTERIOR_POLE)
    above, temporal = rows < disc[1], columns > disc[0]
    inside_rows = np.flatnonzero(field.any(axis=1))
    zones = {
        "disc": around(disc, _DISC),
        "macula": around(macula, _MACULA),
        "posterior-pole": pole,
        "periphery": field & ~pole,
        "superior-temporal": field & above & temporal,
        "superior-nasal": field & above & ~temporal,
        "inferior-temporal": field & ~above & temporal,
        "inferior-nasal": field & ~above & ~temporal,
    }
    if len(inside_rows):
        top, bottom = inside_rows[0], inside_rows[-1]
        depth = _LID * (bottom - top + 1)
        zones["upper-lid"] = field & (rows < top + depth)
        zones["lower-lid"] = field & (rows > bottom - depth)
    return zones
