"""How much closer the wheel, or two fingers on a touchpad, bring a figure."""

from qtpy.QtCore import Qt
from qtpy.QtGui import QWheelEvent

# By a key, or by a notch of the wheel: a touchpad tells of many small parts of one.
STEP = 1.25
_NOTCH = 120


def wheel_zoom(event: QWheelEvent) -> float:
    """Return by how much closer to come; 1 without Ctrl, where the panel is to scroll."""
    if not event.modifiers() & Qt.KeyboardModifier.ControlModifier:
        return 1.0
    return float(STEP ** (event.angleDelta().y() / _NOTCH))
