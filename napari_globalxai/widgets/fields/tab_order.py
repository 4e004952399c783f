"""The order in which Tab goes through what is made later than what stands below it."""

from qtpy.QtCore import Qt
from qtpy.QtWidgets import QAbstractItemView, QAbstractSpinBox, QComboBox, QWidget

# Their own parts go with them.
_WHOLE = (QAbstractItemView, QAbstractSpinBox, QComboBox)


def put_in_tab_order(before: QWidget, content: QWidget) -> None:
    """Let Tab go from a widget through all that another holds, as it was put there."""
    stops = [each for each in content.findChildren(QWidget) if _is_stop(each, content)]
    # What hands the focus on is to stand before its parts, or Tab comes back to them for ever; Qt
    # would leave it where it is, and move the part alone that it hands the focus to.
    handing = [
        (each, proxy, each.focusPolicy())
        for each in stops
        if (proxy := each.focusProxy()) is not None and each.isAncestorOf(proxy)
    ]
    for each, _, _ in handing:
        each.setFocusProxy(None)
        each.setFocusPolicy(Qt.FocusPolicy.TabFocus)
    for each in stops:
        QWidget.setTabOrder(before, each)
        before = each
    for each, proxy, policy in handing:
        each.setFocusPolicy(policy)
        each.setFocusProxy(proxy)


def _is_stop(widget: QWidget, content: QWidget) -> bool:
    has_focus = widget.focusPolicy() != Qt.FocusPolicy.NoFocus or widget.focusProxy() is not None
    is_part = isinstance(widget.parent(), _WHOLE) or widget.objectName().startswith("qt_")
    # Lists of boxes are windows of their own.
    return has_focus and not is_part and widget.window() == content.window()
