"""Where the frame lies in the file of one image, and maps that go there."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from napari_globalxai.frame.geometry import Matrix, swap_axes, warp


@dataclass(frozen=True)
class Placement:
    """Where the frame lies in an image's native pixels: those of its file, as stored.

    Attributes
    ----------
    matrix : numpy.ndarray
        3 × 3, from pixels (x, y, 1) of the frame to native ones; mirroring, EXIF orientation and
        registration included. Centres of pixels have whole numbers.
    shape : tuple of int
        Native height and width in pixels.
    """

    matrix: Matrix
    shape: tuple[int, int]

    @classmethod
    def of(cls, facts: Mapping[str, Any]) -> Placement | None:
        """Return the placement that an image's facts tell, see `AlignedStack.facts`; or None."""
        if "matrix" not in facts:
            return None
        height, width = facts["native_shape"]
        return cls(np.asarray(facts["matrix"], float), (int(height), int(width)))

    @property
    def affine(self) -> Matrix:
        """The matrix on array indices (row, column, 1), as napari and MONAI take it."""
        return swap_axes(self.matrix)

    def to_native(self, image: npt.NDArray[np.floating]) -> npt.NDArray[np.float32]:
        """Bring a map of the frame to native pixels by linear interpolation.

        Parameters
        ----------
        image : numpy.ndarray
            (height, width) of the frame.

        Returns
        -------
        numpy.ndarray
            float32, native height × width; NaN where the frame does not reach.
        """
        to_frame = np.asarray(np.linalg.inv(self.matrix))
        return warp(image, to_frame, self.shape, outside=float("nan"))


class Placements(Mapping[int, Placement]):
    """Where the frame lies in the files of many images, by row; held as two arrays.

    Parameters
    ----------
    facts : mapping of int to mapping
        By row, see `AlignedStack.facts`; images that tell none are left out.
    """

    def __init__(self, facts: Mapping[int, Mapping[str, Any]]) -> None:
        self._at: dict[int, int] = {}
        matrices: list[Matrix] = []
        shapes: list[tuple[int, int]] = []
        for row, known in facts.items():
            place = Placement.of(known)
            if place is not None:
                self._at[row] = len(shapes)
                matrices.append(place.matrix)
                shapes.append(place.shape)
        self._matrices, self._shapes = np.asarray(matrices), np.asarray(shapes)

    def __getitem__(self, row: int) -> Placement:
        at = self._at[row]
        height, width = self._shapes[at]
        return Placement(self._matrices[at], (int(height), int(width)))

    def __iter__(self) -> Iterator[int]:
        return iter(self._at)

    def __len__(self) -> int:
        return len(self._at)
