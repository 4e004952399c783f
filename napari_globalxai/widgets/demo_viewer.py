"""napari with the panels docked and a run open."""

from pathlib import Path
from typing import Any

import napari

from napari_globalxai.widgets.workbench.open_panels import (
    OF_A_RUN,
    open_panel,
    open_panels_of_a_run,
)


def open_run_in_viewer(run_folder: Path, block: bool = True) -> Any:
    """Open napari on a run, with all panels that show it.

    Parameters
    ----------
    run_folder : pathlib.Path
        The run.
    block : bool, optional
        Whether to return only when the window is closed.

    Returns
    -------
    napari.Viewer
        The viewer; the run appears once it is read, see `ExplainWidget.runner`.
    """
    viewer = napari.Viewer(title="Global explanations")
    viewer.window.resize(1400, 900)
    open_panel(viewer, OF_A_RUN[0]).open_run(Path(run_folder))
    open_panels_of_a_run(viewer)
    if block:
        napari.run()
    return viewer
