"""Layers to draw regions on, and regions of a run drawn as layers."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
from napari.layers import Labels, Shapes

from napari_globalxai.widgets.colours import REGION

Mask = npt.NDArray[np.bool_]


def add_drawing(viewer: Any, name: str) -> Any:
    """Add a layer to draw rectangles on, and take up the rectangle."""
    layer = Shapes(ndim=2, name=name, edge_color=REGION, face_color=f"{REGION}40", edge_width=2)
    viewer.layers.append(layer)
    viewer.layers.selection.active = layer
    layer.mode = "add_rectangle"
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
    corners = rectangles(region)
    kind = Labels if corners is None else Shapes
    if name in viewer.layers and isinstance(viewer.layers[name], kind):
        layer = viewer.layers[name]
    elif corners is None:
        layer = viewer.add_labels(region.astype(np.uint8), name=name, opacity=0.5)
    else:
        layer = add_drawing(viewer, name)
    layer.affine = np.asarray(images.affine.affine_matrix)[-3:, -3:]
    if corners is None:
        layer.data = region.astype(np.uint8)
    else:
        layer.data = []
        layer.add_rectangles(corners)
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
