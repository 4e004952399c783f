"""Where a map's cells lie in the frame, along any number of spatial axes.

A strided convolution with an odd kernel centres its cell ``i`` on pixel ``stride * i``; resizing a
map as if its cells tiled the image shifts it by up to half a cell. So each map comes with the
places of its cells.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt


@dataclass(frozen=True)
class CellGrid:
    """Positions of a map's cells in frame pixels; the first pixel's centre is the origin.

    Attributes
    ----------
    centres : tuple of numpy.ndarray
        Centres of the cells along each spatial axis, float64, ascending: of rows and columns in a
        flat image.
    frame : tuple of int
        Size of the frame in pixels along each axis: height and width of a flat image.
    measured : bool
        Whether the centres were found on the network or assumed to tile the image evenly.
    """

    centres: tuple[npt.NDArray[np.float64], ...]
    frame: tuple[int, ...]
    measured: bool = True

    @property
    def shape(self) -> tuple[int, ...]:
        """Number of cells along each axis."""
        return tuple(len(along) for along in self.centres)

    @property
    def y(self) -> npt.NDArray[np.float64]:
        """Centres along the last axis but one: of the rows of a flat image."""
        return self.centres[-2]

    @property
    def x(self) -> npt.NDArray[np.float64]:
        """Centres along the last axis: of the columns of a flat image."""
        return self.centres[-1]

    @property
    def is_frame(self) -> bool:
        """Whether each cell is a pixel of the frame."""
        return self.shape == self.frame

    @classmethod
    def pixels(cls, frame: Sequence[int]) -> CellGrid:
        """Return the grid of a pixel-level method."""
        return cls(tuple(np.arange(length, dtype=float) for length in frame), tuple(frame))

    @classmethod
    def tiling(cls, shape: Sequence[int], frame: Sequence[int]) -> CellGrid:
        """Return the grid whose cells tile the frame evenly, as patch embeddings do."""
        centres = tuple(
            (np.arange(cells) + 0.5) * length / cells - 0.5
            for cells, length in zip(shape, frame, strict=True)
        )
        return cls(centres, tuple(frame), measured=False)

    def pooled(self, side: int) -> CellGrid:
        """Return the grid of blocks of `side` cells along each axis; the last may be smaller."""
        centres = tuple(
            np.array([along[start : start + side].mean() for start in range(0, len(along), side)])
            for along in self.centres
        )
        return CellGrid(centres, self.frame, self.measured)

    def to_dict(self) -> dict[str, Any]:
        """Return the grid as JSON-like values."""
        return {
            "centres": [along.tolist() for along in self.centres],
            "frame": list(self.frame),
            "measured": self.measured,
        }

    @classmethod
    def from_dict(cls, value: Mapping[str, Any]) -> CellGrid:
        """Rebuild a grid from `to_dict`, or from what releases before 0.2 wrote of flat images.

        Raises
        ------
        ValueError
            When the centres are no numbers that ascend.
        """
        if "centres" not in value:
            value = {
                "centres": [value["y"], value["x"]],
                "frame": [value["height"], value["width"]],
                "measured": value["measured"],
            }
        centres = tuple(np.asarray(along, dtype=float) for along in value["centres"])
        # Written so that NaN is refused, too.
        if not all(np.isfinite(along).all() and (np.diff(along) > 0).all() for along in centres):
            raise ValueError("the centres of its cells do not ascend")
        return cls(
            centres,
            tuple(int(length) for length in value["frame"]),
            bool(value["measured"]),
        )
