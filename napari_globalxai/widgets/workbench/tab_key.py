"""Tab goes to what is seen: not into panels in tabs behind, and not past the edge of one in front.

Qt moves docks in tabs behind beyond the window's edge, where they are visible to it all the same.
"""

from __future__ import annotations

from qtpy.QtCore import Qt
from qtpy.QtWidgets import QScrollArea, QWidget

# What a part takes the focus by while it is seen. Qt keeps it, as Python may hold no such part.
_KEPT = "globalxai_focus_policy"


def let_tab_in(place: QWidget, *, is_in_front: bool) -> None:
    """Let Tab go to a panel's parts, or past them.

    Parameters
    ----------
    place : QWidget
        The panel, or the dock that it stands in.
    is_in_front : bool
        Whether it is seen.
    """
    parts = [place, *place.findChildren(QWidget)]
    # What hands the focus on gives its policy to the part that it hands it to.
    parts.sort(key=lambda part: part.focusProxy() is None)
    if is_in_front:
        for part in parts:
            kept = part.property(_KEPT)
            if kept is not None:
                part.setFocusPolicy(Qt.FocusPolicy(kept))
                part.setProperty(_KEPT, None)
        return
    known = [(part, part.focusPolicy()) for part in parts if part.property(_KEPT) is None]
    for part, policy in known:
        if policy & Qt.FocusPolicy.TabFocus:
            part.setProperty(_KEPT, policy.value)
            part.setFocusPolicy(policy & Qt.FocusPolicy.ClickFocus)


def scroll_to_focus(panel: QScrollArea, part: QWidget | None) -> None:
    """Bring what takes the focus into view, if nothing of it is.

    Qt does so of what Tab goes to from within the panel, not where it comes from elsewhere.
    """
    is_inside = part is not None and panel.isAncestorOf(part)
    if is_inside and part.isVisible() and part.visibleRegion().isEmpty():
        panel.ensureWidgetVisible(part)
