"""Buttons that go back and forward through what was looked at."""

from typing import Any

from qtpy.QtWidgets import QToolButton

from napari_globalxai.widgets.session.looked_at import LookedAt, looked_at
from napari_globalxai.widgets.workbench.keys import BACK, FORWARD
from napari_globalxai.widgets.workbench.panel import Panel


class StepButton(QToolButton):
    """Goes one step back, or forward again.

    Parameters
    ----------
    panel : Panel
        The panel that it is a part of.
    viewer : napari.viewer.Viewer
        The viewer.
    forward : bool
        Which way.
    """

    def __init__(self, panel: Panel, viewer: Any, forward: bool) -> None:
        super().__init__()
        self._steps: LookedAt = looked_at(viewer)
        self._forward = forward
        self.setText("→" if forward else "←")
        self.setAccessibleName("Forward" if forward else "Back")
        self.setToolTip(
            f"To the map and images that were left by going back ({FORWARD})"
            if forward
            else f"To the map and images looked at before ({BACK})"
        )
        self.clicked.connect(self._go)
        panel.follow(self._steps.changed, self._on_changed)
        self._on_changed()

    def _go(self) -> None:
        (self._steps.forward if self._forward else self._steps.back)()

    def _on_changed(self) -> None:
        steps = self._steps
        self.setEnabled(steps.can_go_forward if self._forward else steps.can_go_back)


def step_buttons(panel: Panel, viewer: Any) -> tuple[StepButton, StepButton]:
    """Return a button back and one forward."""
    return StepButton(panel, viewer, False), StepButton(panel, viewer, True)
