"""Keys that work in all of a window, wherever the focus is; none that napari uses."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from weakref import ref

from qtpy.QtCore import Qt
from qtpy.QtGui import QKeySequence, QShortcut
from qtpy.QtWidgets import QWidget

from napari_globalxai.widgets.session.looked_at import looked_at

# What each goes to, and Shift with it goes back.
NEXT = {"F6": "label", "F7": "error", "F8": "outlier"}
TOGGLE = "F9"
BACK, FORWARD = "Alt+Left", "Alt+Right"
# The panels, in the order of `open_panels.PANELS`, whose imports are not for here.
PANEL_KEYS = {
    "Alt+1": "Global explanations",
    "Alt+2": "All images",
    "Alt+3": "Regions",
    "Alt+4": "PEPPR",
    "Alt+5": "Quality control",
}


def bind_keys(viewer: Any) -> None:
    """Bind the keys in a viewer's window, if it has one."""
    # From now on, steps are kept.
    looked_at(viewer)
    window = getattr(getattr(viewer, "window", None), "_qt_window", None)
    if not isinstance(window, QWidget):
        return
    for key, kind in NEXT.items():
        _bind(window, key, _going(viewer, kind, 1))
        _bind(window, f"Shift+{key}", _going(viewer, kind, -1))
    for key, name in PANEL_KEYS.items():
        _bind(window, key, _leading(viewer, name))
    _bind(window, TOGGLE, _toggling(viewer))
    _bind(window, BACK, _stepping(viewer, -1))
    _bind(window, FORWARD, _stepping(viewer, 1))


def _bind(window: QWidget, key: str, act: Callable[[], None]) -> None:
    shortcut = QShortcut(QKeySequence(key), window)
    shortcut.setContext(Qt.ShortcutContext.WindowShortcut)
    shortcut.activated.connect(act)


def _going(viewer: Any, kind: str, step: int) -> Callable[[], None]:
    known = ref(viewer)

    def go() -> None:
        # Imports the layers, which bind these keys.
        from napari_globalxai.widgets.workbench.palette_commands import go_to_next

        there = known()
        if there is not None:
            go_to_next(there, kind, step)

    return go


def _leading(viewer: Any, name: str) -> Callable[[], None]:
    known = ref(viewer)

    def lead() -> None:
        # Imports the panels, which bind these keys.
        from napari_globalxai.widgets.workbench.open_panels import go_to_panel

        there = known()
        if there is not None:
            go_to_panel(there, name)

    return lead


def _toggling(viewer: Any) -> Callable[[], None]:
    known = ref(viewer)

    def toggle() -> None:
        from napari_globalxai.widgets.workbench.palette_commands import toggle_map

        there = known()
        if there is not None:
            toggle_map(there)

    return toggle


def _stepping(viewer: Any, step: int) -> Callable[[], None]:
    known = ref(viewer)

    def go() -> None:
        there = known()
        if there is not None:
            steps = looked_at(there)
            (steps.back if step < 0 else steps.forward)()

    return go
