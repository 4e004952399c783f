"""What erased pixels are filled with, defined in raw image space, 0–255."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, get_args

import numpy as np
import numpy.typing as npt

from napari_globalxai.errors import InputError
from napari_globalxai.frame.stack import AlignedStack

Fill = Literal["mean-image", "mean-colour", "black"]
FILLS: tuple[str, ...] = get_args(Fill)


def fill_image(
    name: str, stack: AlignedStack, rows: Sequence[int] | npt.NDArray[np.int64]
) -> npt.NDArray[np.float32]:
    """Return the fill, float32 (channel, height, width).

    Parameters
    ----------
    name : str
        ``mean-image`` of the cohort, its ``mean-colour``, or ``black``.
    stack : AlignedStack
        The images.
    rows : sequence of int
        Images that the mean is taken over.
    """
    if name == "black":
        return np.zeros(stack.images.shape[1:], np.float32)
    mean = stack.mean_image(rows)
    if name == "mean-image":
        return mean
    if name == "mean-colour":
        colour = mean.mean(axis=(1, 2), keepdims=True)
        return np.broadcast_to(colour, mean.shape).astype(np.float32)
    raise InputError(f"There is no fill {name!r}; fills are {', '.join(FILLS)}.")
