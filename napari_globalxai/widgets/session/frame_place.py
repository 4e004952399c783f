"""Where the frame lies in the viewer: at home, or in the pixels of a native image."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt


@dataclass(frozen=True, eq=False)
class FramePlace:
    """A place that layers of the frame are moved to by their affine, so that nothing is resampled.

    Attributes
    ----------
    affine : numpy.ndarray
        From the frame's pixels to those on show, (3, 3).
    shape : tuple of int, optional
        Height and width of the native image that the frame lies in.
    """

    affine: npt.NDArray[np.float64] = field(default_factory=lambda: np.eye(3))
    shape: tuple[int, int] | None = None

    def lay(self, layer: Any, right: int = 0) -> None:
        """Move a layer there.

        Parameters
        ----------
        layer : napari.layers.Layer
            The layer; axes before its last two, such as a stack's, stay as they are.
        right : int, optional
            How far to the right of it.
        """
        affine = np.eye(layer.ndim + 1)
        affine[-3:, -3:] = self.affine
        affine[-2, -1] += right
        if not np.array_equal(layer.affine.affine_matrix, affine):
            layer.affine = affine
