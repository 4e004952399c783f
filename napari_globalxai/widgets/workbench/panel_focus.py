"""The focus in a panel without a mouse.

Once it is in the canvas or among napari's own widgets, Tab may go round among those and never come
to a panel.
"""

from __future__ import annotations

from qtpy.QtCore import QPoint, Qt
from qtpy.QtWidgets import QScrollArea, QWidget


def give_focus(panel: QScrollArea) -> None:
    """Give the focus to what had it last in a panel, or to the first part that Tab goes to.

    Parameters
    ----------
    panel : QScrollArea
        The panel, in front.
    """
    panel.activateWindow()
    # The last of its parts that had it, while another part of the window has it.
    last = panel.focusWidget()
    part = last if last is not None and _takes_focus(panel, last) else _first(panel)
    (part or panel).setFocus(Qt.FocusReason.ShortcutFocusReason)


def _first(panel: QScrollArea) -> QWidget | None:
    parts = [part for part in panel.findChildren(QWidget) if _takes_focus(panel, part)]
    return min(parts, key=lambda part: _place(panel, part), default=None)


def _takes_focus(panel: QScrollArea, part: QWidget) -> bool:
    by_tab = Qt.FocusPolicy.TabFocus
    inside = panel.widget()
    return (
        inside is not None
        and inside.isAncestorOf(part)
        and part.isVisible()
        and part.isEnabled()
        and part.focusPolicy() & by_tab == by_tab
    )


def _place(panel: QScrollArea, part: QWidget) -> tuple[int, int]:
    at = part.mapTo(panel, QPoint(0, 0))
    return at.y(), at.x()
