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
from napari_globalxai.widgets.jobs.beside_window import beside_window
from napari_globalxai.widgets.jobs.warm_up import import_layers_beside
from napari_globalxai.widgets.layers.adding import next_in_turns
from napari_globalxai.widgets.session.lazy_images import LazyImages
from napari_globalxai.widgets.session.names import IMAGES, METADATA_KEY
from napari_globalxai.widgets.session.session import plain_viewer
from napari_globalxai.widgets.workbench.open_panels import open_panels_of_a_run
from napari_globalxai.widgets.workbench.scenes import make_slider

MODEL, WITH_SHORTCUT = "honest.yaml", "shortcut.yaml"


def pictures(files: Sequence[Path], mirrored: Sequence[bool]) -> LazyImages:
    """Return pictures of one size as one stack, (image, height, width, 3).

    napari slices in the GUI thread: one small file a step is no delay, some hundred at once are.

    Parameters
    ----------
    files : sequence of pathlib.Path
        The files.
    mirrored : sequence of bool
        Which of them are shown mirrored.
    """

    def read(rows: npt.NDArray[np.int64]) -> npt.NDArray[np.uint8]:
        return np.stack([_read(files[row], mirrored=mirrored[row]) for row in rows])

    with Image.open(files[0]) as first:
        return LazyImages(read, (len(files), first.height, first.width, 3))


def _read(file: Path, *, mirrored: bool) -> npt.NDArray[np.uint8]:
    with Image.open(file) as image:
        pixels = np.asarray(image.convert("RGB"))
    return pixels[:, ::-1] if mirrored else pixels


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
    images = pictures(
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
        # What was imported to come here, the slider, and the layer that napari makes as soon as it
        # has this: the window goes on between them.
        beside_window(lambda: None)
        make_slider(viewer)
    import_layers_beside()
    if viewer is not None:
        next_in_turns(plain_viewer(viewer))
    return [(images, meta, "image")]
