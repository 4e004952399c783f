"""Where a pixel of the frame lies in an image: matrices, and the files that hold them.

Two conventions meet here. MONAI's affines act on array indices (row, column); ITK's transforms act
on (x, y). In both, pixel centres have whole numbers and the first pixel's centre is the origin.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from napari_globalxai.images.plain_paths import to_read_plainly, to_write_plainly
from napari_globalxai.storage import atomic_path

Matrix = npt.NDArray[np.float64]
"""3 × 3, acts on homogeneous (x, y, 1)."""

# Swaps (row, column) and (x, y).
_SWAP = np.array([[0.0, 1, 0], [1, 0, 0], [0, 0, 1]])


def swap_axes(matrix: npt.ArrayLike) -> Matrix:
    """Turn a matrix on (row, column, 1) into one on (x, y, 1), or back."""
    return np.asarray(_SWAP @ np.asarray(matrix, float) @ _SWAP)


def apply(matrix: Matrix, points: npt.ArrayLike) -> npt.NDArray[np.float64]:
    """Map points (…, 2) by a matrix."""
    moved = np.asarray(points, float) @ matrix[:2, :2].T + matrix[:2, 2]
    return np.asarray(moved)


def similarity(
    source: npt.ArrayLike, target: npt.ArrayLike, aspects: tuple[float, float] = (1.0, 1.0)
) -> Matrix:
    """Return the similarity that maps two points onto two others.

    Parameters
    ----------
    source, target : array_like
        (2, 2): two points (x, y) each.
    aspects : tuple of float
        Height of a pixel over its width, where `source` and where `target` lies: the frame may
        stretch an image, and a rotation is one only where both directions have one unit.
    """
    stretch = [np.diag([1.0, aspect, 1.0]) for aspect in aspects]
    first, second = (
        apply(matrix, points) @ np.array([1, 1j])
        for matrix, points in zip(stretch, (source, target), strict=True)
    )
    turn = (second[1] - second[0]) / (first[1] - first[0])
    shift = second[0] - turn * first[0]
    matrix = np.array(
        [[turn.real, -turn.imag, shift.real], [turn.imag, turn.real, shift.imag], [0, 0, 1]]
    )
    return np.asarray(np.linalg.inv(stretch[1]) @ matrix @ stretch[0])


def mirror(width: int) -> Matrix:
    """Return the matrix that mirrors an image of `width` pixels left to right."""
    return np.array([[-1.0, 0, width - 1], [0, 1, 0], [0, 0, 1]])


def resizing(shape: tuple[int, int], onto: tuple[int, int]) -> Matrix:
    """Return the matrix from pixels of a grid to those of another that covers the same area.

    Parameters
    ----------
    shape, onto : tuple of int
        Height and width of the grid that points are given in, and of the other.
    """
    down, across = onto[0] / shape[0], onto[1] / shape[1]
    return np.array([[across, 0, (across - 1) / 2], [0, down, (down - 1) / 2], [0, 0, 1]])


def pixel_aspect(matrix: Matrix) -> float:
    """Return the height of a pixel over its width, in the units that a matrix maps pixels to."""
    across, down = np.hypot(*np.asarray(matrix)[:2, :2])
    return float(down / across)


def write_transform(path: Path, matrix: Matrix) -> None:
    """Write a matrix as an ITK transform file (.tfm), which SimpleITK and others read.

    With it, ``SimpleITK.Resample(native, frame, transform)`` brings a native image (spacing 1,
    origin 0) into the frame.
    """
    import SimpleITK as sitk

    with atomic_path(path) as temporary, to_write_plainly(temporary, ".tfm") as plain:
        sitk.WriteTransform(itk_affine(matrix), str(plain))


def read_transform(path: Path) -> Matrix:
    """Read a transform file that `write_transform` wrote."""
    import SimpleITK as sitk

    with to_read_plainly(path, ".tfm") as plain:
        return matrix_of(sitk.ReadTransform(str(plain)))


def matrix_of(transform: Any) -> Matrix:
    """Return the matrix of an ITK transform that is linear, from where it takes three points."""
    corners = np.array([transform.TransformPoint(point) for point in ((0, 0), (1, 0), (0, 1))])
    matrix = np.eye(3)
    matrix[:2, 2] = corners[0]
    matrix[:2, :2] = (corners[1:] - corners[0]).T
    return matrix


def warp(
    image: npt.NDArray[np.floating],
    matrix: Matrix,
    shape: tuple[int, int],
    *,
    outside: float = 0.0,
) -> npt.NDArray[np.float32]:
    """Resample an image linearly.

    Parameters
    ----------
    image : numpy.ndarray
        (height, width).
    matrix : numpy.ndarray
        From pixels of the result to pixels of `image`.
    shape : tuple of int
        Height and width of the result.
    outside : float, optional
        Value where `image` does not reach.
    """
    import SimpleITK as sitk

    source = sitk.GetImageFromArray(np.ascontiguousarray(image, np.float32))
    height, width = shape
    result = sitk.Resample(
        source,
        [width, height],
        itk_affine(matrix),
        sitk.sitkLinear,
        [0, 0],
        [1, 1],
        [1, 0, 0, 1],
        outside,
    )
    return np.asarray(sitk.GetArrayFromImage(result), np.float32)


def itk_affine(matrix: Matrix) -> Any:
    """Return a matrix as SimpleITK's affine transform."""
    import SimpleITK as sitk

    transform = sitk.AffineTransform(2)
    transform.SetMatrix([float(value) for value in matrix[:2, :2].ravel()])
    transform.SetTranslation([float(value) for value in matrix[:2, 2]])
    return transform
