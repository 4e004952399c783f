"""The global maps of a run folder, each read when it is asked for."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np
import numpy.typing as npt

from napari_globalxai.runs.folder import file_stem
from napari_globalxai.runs.opened.read_maps import read_map
from napari_globalxai.runs.turns import reading


class GlobalMaps(Mapping[str, npt.NDArray[np.float32]]):
    """The global maps of a run by name: ``overall`` and one a label, read when asked for."""

    def __init__(
        self,
        folder: Path,
        names: tuple[str, ...],
        shape: tuple[int, int] | None = None,
        home: Path | None = None,
    ) -> None:
        self._folder = folder
        self._home = folder.parent if home is None else home
        self._names = names
        self._shape = shape
        self._read: dict[str, npt.NDArray[np.float32]] = {}

    def __getitem__(self, name: str) -> npt.NDArray[np.float32]:
        if name not in self._names:
            raise KeyError(name)
        if name not in self._read:
            with reading(self._home):
                self._read[name] = read_map(self._folder / f"{file_stem(name)}.tif", self._shape)
        return self._read[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._names)

    def __len__(self) -> int:
        return len(self._names)
