"""A region that somebody drew, as pixels of the frame."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
from napari.layers import Labels, Shapes

from napari_globalxai.errors import InputError
from napari_globalxai.widgets.session.names import role_of


def is_drawn(layer: Any) -> bool:
    """Return whether a layer may hold regions of the user's."""
    return isinstance(layer, Shapes | Labels) and role_of(layer) is None


def region_mask(layer: Any, images: Any, frame: tuple[int, int]) -> npt.NDArray[np.bool_]:
    """Return which pixels of the frame a drawn layer covers, see `read_region`."""
    return read_region(layer, images, frame)[0]


def read_region(
    layer: Any, images: Any, frame: tuple[int, int]
) -> tuple[npt.NDArray[np.bool_], str]:
    """Return which pixels of the frame a drawn layer covers, and how other pixels were read.

    Parameters
    ----------
    layer : napari.layers.Shapes or napari.layers.Labels
        What was drawn; on a stack, what was drawn on any of the images.
    images : napari.layers.Image
        The layer of the frame's images, which may be turned and moved onto a native image.
    frame : tuple of int
        Height and width of the frame.

    Returns
    -------
    numpy.ndarray, str
        bool (height, width), and a sentence where the layer's grid is not the frame's.

    Raises
    ------
    InputError
        When nothing was drawn, nothing of it lies in the frame, or it is of another stack.
    """
    if isinstance(layer, Shapes):
        mask, remark = _shapes(layer, images, frame), ""
    else:
        mask, remark = _labels(layer, images, frame)
    if not mask.any():
        raise InputError(
            f"The layer {layer.name!r} covers no pixel of the frame; draw a region on the image."
        )
    return mask, remark


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


def _labels(layer: Any, images: Any, frame: tuple[int, int]) -> tuple[npt.NDArray[np.bool_], str]:
    pixels = np.asarray(layer.data[0] if layer.multiscale else layer.data)
    own = pixels.shape[-2:]
    places = _places_in(layer, images, frame)
    known = ((places >= 0) & (places < own)).all(axis=1)
    rows, columns = places[known].T
    drawn = np.asarray(pixels[..., rows, columns]) > 0
    on = drawn.any(axis=-1)
    is_of_images = on.shape in ((), images.data.shape[:1]) or on.sum() <= 1
    if on.ndim > 1 or not is_of_images:
        raise InputError(
            f"The layer {layer.name!r} ({_times(pixels.shape)}) is of another stack than the run's "
            f"{images.data.shape[0]} images; choose one of two axes, or draw a region on the image."
        )
    mask = np.zeros(len(places), dtype=bool)
    mask[known] = drawn.any(axis=0) if on.ndim else drawn
    remark = ""
    if own != frame or not np.array_equal(places, _places(frame)):
        part = f"; it covers {100 * known.mean():.0f} % of the frame" if not known.all() else ""
        grid = f"has another grid ({_times(own)} pixels) than the frame ({_times(frame)})"
        remark = (
            f"“{layer.name}” {grid if own != frame else 'lies otherwise than the frame'}: each "
            f"pixel of the frame takes the nearest of its pixels{part}."
        )
    return mask.reshape(frame), remark


def _times(shape: tuple[int, ...]) -> str:
    return " × ".join(map(str, shape))


def _places(frame: tuple[int, int]) -> npt.NDArray[np.int64]:
    return np.asarray(np.stack([each.ravel() for each in np.indices(frame)], axis=1))


def _places_in(layer: Any, images: Any, frame: tuple[int, int]) -> npt.NDArray[np.int64]:
    """Return where each pixel of the frame lies in labels, (pixel, 2)."""
    affine = np.asarray(images.affine.affine_matrix)[-3:, -3:]
    world = _places(frame) @ affine[:2, :2].T + affine[:2, 2]
    before = [0.0] * (layer.ndim - 2)
    first = np.asarray(layer.world_to_data([*before, 0.0, 0.0]))[-2:]
    steps = [
        np.asarray(layer.world_to_data([*before, *unit]))[-2:] - first
        for unit in ((1.0, 0.0), (0.0, 1.0))
    ]
    return np.asarray(np.rint(world @ np.stack(steps) + first), np.int64)
