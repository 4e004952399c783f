"""napari with the panels docked and a run open."""

from pathlib import Path
from typing import Any

import napari
from qtpy.QtCore import QTimer

from napari_globalxai.widgets.panels.maps.explain_widget import ExplainWidget
from napari_globalxai.widgets.panels.peppr.peppr_widget import PepprWidget
from napari_globalxai.widgets.workbench.open_panels import open_panels_of_a_run


def dock_panels(viewer: "napari.viewer.Viewer") -> tuple[ExplainWidget, PepprWidget]:
    """Dock both panels at the right, as tabs, and return them."""
    explain, peppr = ExplainWidget(viewer), PepprWidget(viewer)
    first = viewer.window.add_dock_widget(explain, name="Global explanations", area="right")
    viewer.window.add_dock_widget(peppr, name="PEPPR", area="right", tabify=True)
    # Once Qt has made the tabs; before, there is nothing to raise.
    QTimer.singleShot(0, first.raise_)
    return explain, peppr


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
    explain, _ = dock_panels(viewer)
    explain.open_run(Path(run_folder))
    open_panels_of_a_run(viewer)
    if block:
        napari.run()
    return viewer
