"""Boxes to choose from, and the wheel, which changes a box only where it has the focus."""

from typing import Optional

from qtpy.QtCore import QEvent, QObject, Qt
from qtpy.QtWidgets import QComboBox, QWidget

from napari_globalxai.widgets.fields.elided_box import ElidedBox


class _WheelForFocus(QObject):
    """Passes the wheel on to what scrolls, unless the user works in the box."""

    def eventFilter(self, box: Optional[QObject], event: Optional[QEvent]) -> bool:  # noqa: UP045
        """Take wheel events from boxes without focus."""
        is_wheel = event is not None and event.type() == QEvent.Type.Wheel
        if is_wheel and isinstance(box, QWidget) and not box.hasFocus():
            event.ignore()  # type: ignore[union-attr]
            return True
        return False


def keep_wheel_for_focus(box: QWidget) -> None:
    """Let the wheel change a box only while it has the focus; otherwise the panel scrolls."""
    box.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
    box.installEventFilter(_WheelForFocus(box))


# Of a choice, in the narrowest box.
_FEWEST_LETTERS = 5


def choice_box(name: str, tip: str) -> QComboBox:
    """Return a box to choose from that the wheel leaves alone and long names do not widen."""
    box = ElidedBox()
    box.setAccessibleName(name)
    box.setToolTip(tip)
    box.setSizeAdjustPolicy(QComboBox.SizeAdjustPolicy.AdjustToMinimumContentsLengthWithIcon)
    box.setMinimumContentsLength(_FEWEST_LETTERS)
    keep_wheel_for_focus(box)
    return box
