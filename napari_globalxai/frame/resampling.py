"""Resampling of images and maps with their affines, on tensors.

Arrays are channel first, (channel, height, width).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from monai.data import MetaTensor
from torch.nn.functional import avg_pool2d, grid_sample

from napari_globalxai.frame.geometry import Matrix, swap_axes


def frame_to_native(image: MetaTensor) -> Matrix:
    """Return the matrix from pixels (x, y) of the frame to those of the file."""
    return swap_axes(np.asarray(image.affine))


def resample(
    image: torch.Tensor,
    matrix: Matrix,
    shape: Sequence[int],
    mode: str,
    beyond: str = "zeros",
    samples: int = 1,
) -> torch.Tensor:
    """Resample a tensor (channel, height, width).

    Parameters
    ----------
    image : torch.Tensor
        Image or map.
    matrix : numpy.ndarray
        From pixels (x, y) of the result to those of `image`.
    shape : sequence of int
        Height and width of the result.
    mode, beyond : str
        Interpolation, and what lies outside, as `torch.nn.functional.grid_sample` names them.
    samples : int
        A pixel is the mean of this many samples each way.
    """
    height, width = image.shape[-2:]
    rows, columns = torch.meshgrid(
        *((torch.arange(side * samples) + 0.5).double() / samples - 0.5 for side in shape),
        indexing="ij",
    )
    x, y = (row[0] * columns + row[1] * rows + row[2] for row in np.asarray(matrix)[:2])
    grid = torch.stack([(2 * x + 1) / width - 1, (2 * y + 1) / height - 1], dim=-1)
    plain = image.as_tensor() if isinstance(image, MetaTensor) else image
    moved = grid_sample(
        plain[None].float(), grid[None].float(), mode, padding_mode=beyond, align_corners=False
    )[0]
    if samples > 1:
        moved = avg_pool2d(moved, samples)
    if isinstance(image, MetaTensor):
        return MetaTensor(
            moved, meta=dict(image.meta), applied_operations=list(image.applied_operations)
        )
    return moved


def with_affine(image: torch.Tensor, affine: npt.NDArray[np.float64]) -> torch.Tensor:
    """Note where a tensor's pixels lie in the file, if it can carry that."""
    if isinstance(image, MetaTensor):
        image.affine = torch.as_tensor(affine)
    return image


def plain_array(image: MetaTensor | torch.Tensor) -> np.ndarray[Any, Any]:
    """Return a transform's result as a NumPy array without MONAI's metadata."""
    tensor = image.as_tensor() if isinstance(image, MetaTensor) else image
    return tensor.numpy()
