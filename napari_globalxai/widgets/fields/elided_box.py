"""A box to choose from that is cut in its middle, and tells the whole in its tooltip."""

from typing import Optional

from qtpy.QtCore import QEvent, QMargins, QSize, Qt
from qtpy.QtGui import QHelpEvent, QPaintEvent
from qtpy.QtWidgets import QComboBox, QStyle, QStyleOptionComboBox, QStylePainter, QToolTip


class ElidedBox(QComboBox):
    """A box whose choice is cut in its middle, where Qt's would be cut through a letter."""

    def sizeHint(self) -> QSize:
        """Return the size in which each of its choices is whole, as far as a row has room."""
        hint, metrics = super().sizeHint(), self.fontMetrics()
        letters = self.minimumContentsLength() * metrics.horizontalAdvance("X")
        names = (metrics.horizontalAdvance(self.itemText(at)) for at in range(self.count()))
        return hint.grownBy(QMargins(0, 0, max(0, max(names, default=0) - letters), 0))

    @property
    def shown_text(self) -> str:
        """The choice as far as there is room for it."""
        option = QStyleOptionComboBox()
        self.initStyleOption(option)
        return self._elided(option)

    def paintEvent(self, event: Optional[QPaintEvent]) -> None:  # noqa: UP045
        """Paint the box with as much of its choice as there is room for."""
        painter = QStylePainter(self)
        option = QStyleOptionComboBox()
        self.initStyleOption(option)
        painter.drawComplexControl(QStyle.ComplexControl.CC_ComboBox, option)
        option.currentText = self._elided(option)
        painter.drawControl(QStyle.ControlElement.CE_ComboBoxLabel, option)
        painter.end()

    def event(self, event: Optional[QEvent]) -> bool:  # noqa: UP045
        """Tell the whole choice before what the box is for, where a part of it is shown."""
        is_tip = isinstance(event, QHelpEvent) and event.type() == QEvent.Type.ToolTip
        if is_tip and self.shown_text != self.currentText():
            QToolTip.showText(event.globalPos(), self.whole_tip, self)  # type: ignore[union-attr]
            return True
        return bool(super().event(event))

    @property
    def whole_tip(self) -> str:
        """The tooltip of a box that shows a part of its choice."""
        return "\n".join(each for each in (self.currentText(), self.toolTip()) if each)

    def _elided(self, option: QStyleOptionComboBox) -> str:
        part = QStyle.SubControl.SC_ComboBoxEditField
        style = self.style()
        assert style is not None
        field = style.subControlRect(QStyle.ComplexControl.CC_ComboBox, option, part, self)
        # Styles leave a pixel or two on both sides of the letters.
        room = max(field.width() - 4, 0)
        metrics = self.fontMetrics()
        return metrics.elidedText(self.currentText(), Qt.TextElideMode.ElideMiddle, room)
