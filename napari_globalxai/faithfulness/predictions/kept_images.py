"""What became of single images, kept on disk, so that a stopped test goes on where it was."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt

from napari_globalxai.faithfulness.saved_arrays import keep_array, read_kept

# Images that are put by at once: at most a twentieth of them is predicted again after a stop.
_PARTS, _MOST_A_PART = 20, 16


class KeptImages:
    """Numbers of images, put by part by part as they come.

    Parameters
    ----------
    folder : pathlib.Path or None
        Where the parts are kept; without one, nothing is.
    name : str
        Hash of all that the numbers depend on.
    shape : tuple of int
        Images, and numbers of each.

    Attributes
    ----------
    values : numpy.ndarray
        float64 (image, number); what is not known yet is NaN.
    missing : list of int
        Places of the images that are to be predicted.
    """

    def __init__(self, folder: Path | None, name: str, shape: tuple[int, int]) -> None:
        self._folder, self._name = folder, name
        self.values: npt.NDArray[np.float64] = np.full(shape, np.nan)
        size = max(1, min(_MOST_A_PART, shape[0] // _PARTS))
        self._parts = [
            slice(start, min(start + size, shape[0])) for start in range(0, shape[0], size)
        ]
        self._size = size
        self.missing: list[int] = []
        for part in self._parts:
            path = self._path(part)
            known = None if path is None else read_kept(path, self.values[part].shape)
            if known is None:
                self.missing += range(part.start, part.stop)
            else:
                self.values[part] = known
        self._left = {part.start: part.stop - part.start for part in self._parts}

    def put(self, place: int, numbers: npt.NDArray[np.float64]) -> None:
        """Take the numbers of an image; a part that is whole is put by."""
        self.values[place] = numbers
        part = self._parts[place // self._size]
        self._left[part.start] -= 1
        if not self._left[part.start] and (path := self._path(part)) is not None:
            keep_array(path, self.values[part])

    def _path(self, part: slice) -> Path | None:
        if self._folder is None:
            return None
        return self._folder / f"{self._name}-images-{part.start}.npy"
