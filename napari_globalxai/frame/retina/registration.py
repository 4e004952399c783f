"""Registration of an image onto the atlas of its cohort.

Disc and macula give a similarity; SimpleITK may refine it on the high-passed green channel, rim
and lids masked away. Whether an image is moved at all is decided by evidence that the landmarks do
not enter: its likeness to the whole scene of the atlas, before and after.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from napari_globalxai.frame.geometry import Matrix, apply, itk_affine, matrix_of, similarity
from napari_globalxai.frame.retina.atlas import Atlas, Sides, plausible
from napari_globalxai.frame.retina.landmarks import Picture, to_working_size

# An image that lay well already may lose this much by interpolation alone.
_LEAST_LOSS = 0.02
_ITERATIONS = 60
_LEVELS = ((4, 3.0), (2, 1.5))  # shrink factor and smoothing, coarse to fine


@dataclass(frozen=True)
class Registration:
    """How an image is moved onto the atlas.

    Attributes
    ----------
    matrix : numpy.ndarray
        From pixels (x, y) of the frame to pixels of the image before registration, both of the
        frame's size and in left-eye orientation. The identity where the image is left as it is.
    kept : bool
        Whether the image is moved.
    reason : str
        Why not.
    before, after : float
        Likeness to the atlas as the image was and as registration would have it, -1 to 1.
    landmarks : numpy.ndarray
        Disc and macula in the image before registration, (2, 2) of (x, y) in pixels.
    """

    matrix: Matrix
    kept: bool
    reason: str
    before: float
    after: float
    landmarks: npt.NDArray[np.float64]


def register(
    picture: Picture,
    atlas: Atlas,
    sides: Sides,
    *,
    method: str = "landmarks",
    aspect: float | None = None,
) -> Registration:
    """Find how an image has to be moved to lie as the atlas does.

    Parameters
    ----------
    picture : Picture
        The image in left-eye orientation.
    atlas : Atlas
        The cohort's atlas.
    sides : Sides
        What `Atlas.sides` says of the picture.
    method : str, optional
        ``landmarks`` alone, or refined by SimpleITK as a ``similarity`` or ``affine`` map.
    aspect : float, optional
        Height of a frame's pixel over its width in the image's own pixels; the atlas' by default.

    Returns
    -------
    Registration
        Not `kept`, with a reason, where the map is impossible for an eye or the image would be
        less like the atlas than it was.
    """
    aspect = atlas.aspect if aspect is None else aspect
    points = to_working_size(sides.landmarks.points, picture.scale)
    matrix = similarity(atlas.anchor, points, (atlas.aspect, aspect))
    reason = plausible(matrix, atlas.anchor, atlas.template.width)
    if not reason and method in ("similarity", "affine"):
        matrix = _refine(picture, atlas, matrix, method, aspect)
        reason = plausible(matrix, atlas.anchor, atlas.template.width)
    before = atlas.agreement(picture, np.eye(3))
    after = before if reason else atlas.agreement(picture, matrix)
    if not reason and after < before - _LEAST_LOSS:
        reason = "the image would be less like the others than it was"
    kept = not reason
    return Registration(
        _full_size(matrix, picture.scale) if kept else np.eye(3),
        kept,
        reason,
        before,
        after,
        sides.landmarks.points,
    )


def _refine(picture: Picture, atlas: Atlas, matrix: Matrix, method: str, aspect: float) -> Matrix:
    """Improve a map by SimpleITK's correlation metric, coarse to fine; working pixels."""
    import SimpleITK as sitk

    fixed, moving = _itk_image(atlas.scene, atlas.aspect), _itk_image(picture.smooth, aspect)
    registration = sitk.ImageRegistrationMethod()
    registration.SetMetricAsCorrelation()
    registration.SetMetricFixedMask(_itk_image(atlas.inside.astype(np.uint8), atlas.aspect))
    registration.SetMetricMovingMask(_itk_image(picture.inside.astype(np.uint8), aspect))
    registration.SetInterpolator(sitk.sitkLinear)
    registration.SetOptimizerAsRegularStepGradientDescent(
        1.0, 1e-3, _ITERATIONS, relaxationFactor=0.6
    )
    registration.SetOptimizerScalesFromPhysicalShift()
    registration.SetShrinkFactorsPerLevel([factor for factor, _ in _LEVELS])
    registration.SetSmoothingSigmasPerLevel([sigma for _, sigma in _LEVELS])
    # In units of a pixel's width both ways: a rotation in the frame's pixels is none.
    onto, back = np.diag([1, 1 / atlas.aspect, 1]), np.diag([1, aspect, 1])
    start = back @ matrix @ onto
    centre = apply(np.diag([1, atlas.aspect, 1]), atlas.anchor.mean(axis=0))
    initial: Any = sitk.Similarity2DTransform() if method == "similarity" else itk_affine(start)
    initial.SetCenter([float(value) for value in centre])
    if method == "similarity":
        initial.SetMatrix([float(value) for value in start[:2, :2].ravel()], 1e-3)
    initial.SetTranslation([float(value) for value in apply(start, centre) - centre])
    registration.SetInitialTransform(initial, inPlace=True)
    try:
        registration.Execute(fixed, moving)
    except RuntimeError:
        # ITK's word for masks that do not overlap: the landmarks have to do.
        return matrix
    return np.asarray(np.linalg.inv(back) @ matrix_of(initial) @ np.linalg.inv(onto))


def _itk_image(array: npt.NDArray[Any], aspect: float) -> Any:
    import SimpleITK as sitk

    image = sitk.GetImageFromArray(np.ascontiguousarray(array))
    image.SetSpacing([1.0, float(aspect)])
    return image


def _full_size(matrix: Matrix, scale: float) -> Matrix:
    """Turn a map between working pixels into one between pixels of the frame."""
    grow = np.array([[scale, 0, (scale - 1) / 2], [0, scale, (scale - 1) / 2], [0, 0, 1]])
    return np.asarray(grow @ matrix @ np.linalg.inv(grow))
