"""A region that somebody drew, as pixels of the frame."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
from napari.layers import Labels, Shapes

from napari_globalxai.errors import InputError
from napari_globalxai.widgets.names import role_of


def is_drawn(layer: Any) -> bool:
    """Return whether a layer may hold regions of the user's."""
    return isinstance(layer, Shapes | Labels) and role_of(layer) is None


def region_mask(layer: Any, images: Any, frame: tuple[int, int]) -> npt.NDArray[np.bool_]:
    """Return which pixels of the frame a drawn layer covers, bool (height, width).

    Parameters
    ----------
    layer : napari.layers.Shapes or napari.layers.Labels
        What was drawn; on a stack, what was drawn on any of the images.
    images : napari.layers.Image
        The layer of the frame's images, which may be turned and moved onto a native image.
    frame : tuple of int
        Height and width of the frame.

    Raises
    ------
    InputError
        When nothing was drawn, or nothing of it lies in the frame.
    """
    mask = (
        _shapes(layer, images, frame)
        if isinstance(layer, Shapes)
        else _labels(layer, images, frame)
    )
    if not mask.any():
        raise InputError(
            f"The layer {layer.name!r} covers no pixel of the frame; draw a region on the image."
        )
    return mask


def _shapes(layer: Any, images: Any, frame: tuple[int, int]) -> npt.NDArray[np.bool_]:
    if not len(layer.data):
        return np.zeros(frame, dtype=bool)
    corners = [_to_frame(layer, images, np.asarray(points)) for points in layer.data]
    moved = Shapes(corners, shape_type=list(layer.shape_type))
    masks: npt.NDArray[np.bool_] = moved.to_masks(mask_shape=frame)
    return np.asarray(masks.any(axis=0))


def _to_frame(layer: Any, images: Any, points: npt.NDArray[np.floating]) -> npt.NDArray[np.float64]:
    """Return points of a layer, (point, axis), in pixels of the frame, (point, 2)."""
    world = np.array([layer.data_to_world(point)[-2:] for point in points])
    inverse = np.linalg.inv(np.asarray(images.affine.affine_matrix)[-3:, -3:])
    return np.asarray(world @ inverse[:2, :2].T + inverse[:2, 2])


def _labels(layer: Any, images: Any, frame: tuple[int, int]) -> npt.NDArray[np.bool_]:
    drawn = np.asarray(layer.data) > 0
    drawn = np.asarray(drawn.any(axis=tuple(range(drawn.ndim - 2))))
    # Each pixel of the frame looks where it lies in the labels.
    rows, columns = np.mgrid[: frame[0], : frame[1]]
    places = np.stack([rows.ravel(), columns.ravel()], axis=1)
    affine = np.asarray(images.affine.affine_matrix)[-3:, -3:]
    world = places @ affine[:2, :2].T + affine[:2, 2]
    before = [0.0] * (layer.ndim - 2)
    first = np.asarray(layer.world_to_data([*before, 0.0, 0.0]))[-2:]
    steps = [
        np.asarray(layer.world_to_data([*before, *unit]))[-2:] - first
        for unit in ((1.0, 0.0), (0.0, 1.0))
    ]
    inside = np.rint(world @ np.stack(steps) + first).astype(int)
    known = ((inside >= 0) & (inside < drawn.shape)).all(axis=1)
    mask = np.zeros(len(places), dtype=bool)
    mask[known] = drawn[tuple(inside[known].T)]
    return mask.reshape(frame)
