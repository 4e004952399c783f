"""The two panels that most tests work with, docked at once; people open them one a turn."""

from typing import Any

from qtpy.QtCore import QTimer

from napari_globalxai.widgets.panels.maps.explain_widget import ExplainWidget
from napari_globalxai.widgets.panels.peppr.peppr_widget import PepprWidget


def dock_panels(viewer: Any) -> tuple[ExplainWidget, PepprWidget]:
    """Dock both panels at the right, as tabs, and return them."""
    explain, peppr = ExplainWidget(viewer), PepprWidget(viewer)
    first = viewer.window.add_dock_widget(explain, name="Global explanations", area="right")
    viewer.window.add_dock_widget(peppr, name="PEPPR", area="right", tabify=True)
    # Once Qt has made the tabs; before, there is nothing to raise.
    QTimer.singleShot(0, first.raise_)
    return explain, peppr
