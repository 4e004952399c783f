"""Layers to draw regions on, and regions of a run drawn as layers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
from napari.layers import Labels, Shapes

from napari_globalxai.widgets.layers.adding import add_in_turns, select_in_turn
from napari_globalxai.widgets.layers.outlines import make_brushes_later
from napari_globalxai.widgets.layers.region_marks import is_drawn_here, mark_drawn, mark_place
from napari_globalxai.widgets.words.colours import REGION

Mask = npt.NDArray[np.bool_]
Corners = Sequence[npt.NDArray[np.float64]]


def add_drawing(viewer: Any, name: str, corners: Corners = (), **values: Any) -> Any:
    """Add a layer to draw rectangles on, and take up the rectangle.

    Parameters
    ----------
    viewer : napari.Viewer
        The viewer.
    name : str
        Name of the layer.
    corners : list of numpy.ndarray
        Rectangles that are drawn on it already.
    **values
        What else napari is to know of the layer.
    """
    look = {"edge_color": REGION, "face_color": f"{REGION}40", "edge_width": 2}
    # Before it is shown: what comes after, napari would work out anew.
    layer = Shapes(corners or None, ndim=2, shape_type="rectangle", name=name, **look, **values)
    mark_drawn(layer)
    layer.mode = "add_rectangle"
    add_in_turns(viewer, layer)
    select_in_turn(viewer, layer)
    return layer


def draw_region(viewer: Any, region: Mask, name: str, images: Any) -> Any:
    """Show a region of the frame as a layer to measure, and return it; one a name.

    Of rectangles, they can be moved and others drawn beside them; else it is pixels.

    Parameters
    ----------
    viewer : napari.Viewer
        The viewer.
    region : numpy.ndarray
        bool (height, width).
    name : str
        Name of the layer.
    images : napari.layers.Image
        The layer of the frame's images, which it is laid on.
    """
    corners, pixels = rectangles(region), region.astype(np.uint8)
    affine = np.asarray(images.affine.affine_matrix)[-3:, -3:]
    kind = Labels if corners is None else Shapes
    # One of the user's own that happens to have the name is left alone.
    ours = (known for known in viewer.layers if known.name == name and is_drawn_here(known))
    layer = next(ours, None)
    if isinstance(layer, kind):
        layer.affine = affine
        layer.data = pixels if corners is None else []
        if corners is not None:
            layer.add_rectangles(corners)
    elif corners is None:
        layer = Labels(pixels, name=name, opacity=0.5, affine=affine)
        mark_drawn(layer)
        make_brushes_later(layer)
        add_in_turns(viewer, layer)
        select_in_turn(viewer, layer)
    else:
        layer = add_drawing(viewer, name, corners, affine=affine)
    mark_place(layer, region)
    return layer


def rectangles(region: Mask) -> list[npt.NDArray[np.float64]] | None:
    """Return the corners of the rectangles that a region is made of, None where it is not."""
    from scipy.ndimage import find_objects, label

    numbers, count = label(region)
    found = []
    for number, (rows, columns) in enumerate(find_objects(numbers), start=1):
        if not (numbers[rows, columns] == number).all():
            return None
        # Pixels are wide: from edge to edge.
        top, bottom, left, right = rows.start, rows.stop, columns.start, columns.stop
        corner = [[top, left], [top, right], [bottom, right], [bottom, left]]
        found.append(np.array(corner) - 0.5)
    return found if count else None
