"""The panels of a viewer: opened by name, each once, as tabs in one place."""

from __future__ import annotations

from collections import deque
from threading import Event
from typing import Any
from weakref import ref

from qtpy.QtCore import QTimer

from napari_globalxai.widgets.jobs.event_turns import TURNS
from napari_globalxai.widgets.jobs.warm_up import import_beside, is_ready
from napari_globalxai.widgets.session.session import plain_viewer
from napari_globalxai.widgets.workbench.drawing_context import draw_later
from napari_globalxai.widgets.workbench.panel import Panel
from napari_globalxai.widgets.workbench.panel_focus import give_focus
from napari_globalxai.widgets.workbench.scenes import scenes_of

# In the order of the work: names as in the manifest, modules in `panels/`, which are imported when
# a panel is opened.
PANELS = {
    "Global explanations": "maps.explain_widget:ExplainWidget",
    "All images": "images.images_widget:ImagesWidget",
    "Regions": "regions.regions_widget:RegionsWidget",
    "PEPPR": "peppr.peppr_widget:PepprWidget",
    "Quality control": "quality.quality_widget:QualityWidget",
}
_PLUGIN = "Global XAI"
_MILLISECONDS = 5
OF_A_RUN = ("Global explanations", "All images", "Regions", "PEPPR")


def _module_of(name: str) -> str:
    return f"napari_globalxai.widgets.panels.{PANELS[name].partition(':')[0]}"


def find_panel(viewer: Any, name: str) -> Panel | None:
    """Return an open panel, None where it is not open."""
    module, _, kind = PANELS[name].partition(":")
    for widget in viewer.window.dock_widgets.values():
        if type(widget).__name__ == kind and type(widget).__module__.endswith(f".{module}"):
            assert isinstance(widget, Panel)
            return widget
    return None


def open_panel(viewer: Any, name: str) -> Any:
    """Open a panel, or bring it to the front, and return it."""
    panel = find_panel(viewer, name)
    # In a window that is narrower, or wider.
    draw_later(viewer)
    if panel is None:
        _, _, kind = PANELS[name].partition(":")
        made = getattr(import_beside(_module_of(name)), kind)(viewer)
        assert isinstance(made, Panel)
        panel = made
        # As napari calls what it opens from its menu, so that the menu finds it.
        viewer.window.add_dock_widget(panel, name=f"{name} ({_PLUGIN})", area="right")
    panel.bring_forward()
    return panel


def go_to_panel(viewer: Any, name: str) -> None:
    """Open a panel, or bring it to the front, and give it the focus."""
    panel = open_panel(viewer, name)
    # After what it is made of, whose turns go before all that wait.
    panel.in_turn(lambda: give_focus(panel))


def open_panels_of_a_run(viewer: Any) -> None:
    """Open all panels that show a run, one a turn of the event loop, the first in front."""
    plain = plain_viewer(viewer)
    waiting = deque((*OF_A_RUN, OF_A_RUN[0]))
    known, is_closed = ref(plain), Event()
    # Of the window, with which it ends.
    looks = QTimer(plain.window._qt_window)
    looks.destroyed.connect(is_closed.set)

    def look() -> None:
        there = known()
        if there is not None and len(waiting) > len(OF_A_RUN) and len(there.layers) == 1:
            # napari has fitted it; the panels make the canvas narrower.
            scenes_of(there).keep_fitted()
        if is_ready(_module_of(waiting[0])):
            looks.stop()
            TURNS.add(open_next)

    def open_next() -> None:
        there = known()
        if there is None or is_closed.is_set():
            return
        open_panel(there, waiting.popleft())
        if waiting:
            looks.start(_MILLISECONDS)
        else:
            looks.deleteLater()

    looks.timeout.connect(look)
    looks.start(_MILLISECONDS)
