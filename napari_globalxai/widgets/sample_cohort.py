"""The phantom cohort as napari's sample data."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import napari
import numpy as np
import numpy.typing as npt
from PIL import Image

from napari_globalxai.samples import sample_folder
from napari_globalxai.widgets.names import IMAGES, METADATA_KEY
from napari_globalxai.widgets.workbench import open_panels_of_a_run

MODEL, WITH_SHORTCUT = "honest.yaml", "shortcut.yaml"


class LazyImages:
    """Images of one size as one stack, uint8 (image, height, width, 3), each read when asked for.

    napari slices in the GUI thread: one small file a step is no delay, some hundred at once are.

    Parameters
    ----------
    files : sequence of pathlib.Path
        The files.
    mirrored : sequence of bool
        Which of them are shown mirrored.
    """

    dtype = np.dtype(np.uint8)
    ndim = 4

    def __init__(self, files: Sequence[Path], mirrored: Sequence[bool]) -> None:
        self._files, self._mirrored = files, mirrored
        with Image.open(files[0]) as first:
            self.shape = (len(files), first.height, first.width, 3)

    def __len__(self) -> int:
        return len(self._files)

    def __getitem__(self, index: Any) -> npt.NDArray[np.uint8]:
        first, *rest = index if isinstance(index, tuple) else (index,)
        rows = np.arange(len(self))[first]
        if np.ndim(rows) == 0:
            return np.asarray(self._read(int(rows))[tuple(rest)])
        stack = np.stack([self._read(int(row)) for row in rows])
        return stack[(slice(None), *rest)]

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> npt.NDArray[Any]:
        return np.asarray(self[:], dtype=dtype)

    def _read(self, row: int) -> npt.NDArray[np.uint8]:
        with Image.open(self._files[row]) as image:
            pixels = np.asarray(image.convert("RGB"))
        return pixels[:, ::-1] if self._mirrored[row] else pixels


def open_phantom() -> list[tuple[Any, dict[str, Any], str]]:
    """Return the phantom cohort for a model that looks at the lesions; see `open_with_model`."""
    return open_with_model(MODEL)


def open_phantom_with_shortcut() -> list[tuple[Any, dict[str, Any], str]]:
    """Return the phantom cohort for a model that looks at a mark; see `open_with_model`."""
    return open_with_model(WITH_SHORTCUT)


def open_with_model(model: str) -> list[tuple[Any, dict[str, Any], str]]:
    """Return the phantom cohort as one stack, right sides mirrored.

    napari calls this in the GUI thread, so only the table is read here, and without pandas, which
    takes longer to import. The layer's metadata tell the widgets where cohort and model lie.
    """
    folder = sample_folder()
    table = folder / "cohort" / "cohort.csv"
    with table.open(encoding="utf-8", newline="") as lines:
        rows = list(csv.DictReader(lines))
    images = LazyImages(
        [table.parent / row["filename"] for row in rows], [row["LR"] == "R" for row in rows]
    )
    where = {
        "role": "images",
        "cohort": str(table),
        "model": str(folder / "models" / model),
    }
    meta = {
        "name": IMAGES,
        "rgb": True,
        "axis_labels": ("image", "y", "x"),
        "metadata": {METADATA_KEY: where},
    }
    viewer = napari.current_viewer()
    if viewer is not None:
        # Once napari has added the layer, so that nobody has to search for the panels.
        open_panels_of_a_run(viewer)
    return [(images, meta, "image")]
