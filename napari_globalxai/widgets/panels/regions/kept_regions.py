"""The regions that a run holds, in a box to draw them again from."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from napari_globalxai.runs.folder import REGIONS_FOLDER
from napari_globalxai.widgets.fields.choice_box import choice_box

if TYPE_CHECKING:
    from qtpy.QtWidgets import QComboBox

    from napari_globalxai.runs.run import Run


def make_kept_box() -> QComboBox:
    """Return the box, without any region."""
    return choice_box("Kept regions", "Regions that the run holds; one is drawn again")


def kept_regions(run: Run) -> list[Path]:
    """Return the files of the regions that a run holds, by name."""
    return sorted((run.folder / REGIONS_FOLDER).glob("*.tif"), key=lambda path: path.stem)


def list_kept(box: QComboBox, run: Run | None) -> None:
    """List the regions that a run holds; an item's data is the region's path."""
    found = [] if run is None else kept_regions(run)
    box.clear()
    box.addItem(f"Choose of {len(found)}" if found else "None", None)
    for path in found:
        box.addItem(path.stem, str(path))


def read_kept(path: Path, run: Run) -> npt.NDArray[np.bool_]:
    """Return a region of a run, bool (height, width).

    Raises
    ------
    InputError, OSError
        When the file cannot be read, or is of another frame.
    """
    from napari_globalxai.runs.opened.read_maps import read_map

    return np.asarray(read_map(path, run.stack.shape) > 0)
