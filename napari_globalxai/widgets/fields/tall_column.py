"""A column whose height follows its lines, in a form, too."""

from typing import Optional

from qtpy.QtCore import QEvent, QSize
from qtpy.QtGui import QResizeEvent
from qtpy.QtWidgets import QWidget


class TallColumn(QWidget):
    """Parts below each other that ask for the height they have at their width.

    Qt's forms give such a column the height that its headings had before their lines were broken,
    and cut what is below.
    """

    def minimumSizeHint(self) -> QSize:
        """Return the height of all lines as they are broken now."""
        least, layout = super().minimumSizeHint(), self.layout()
        if layout is None or self.width() < least.width():
            return least
        return QSize(least.width(), layout.totalHeightForWidth(self.width()))

    def resizeEvent(self, event: Optional[QResizeEvent]) -> None:  # noqa: UP045
        """Ask anew at another width."""
        super().resizeEvent(event)
        if event is not None and event.size().width() != event.oldSize().width():
            self.updateGeometry()

    def event(self, event: Optional[QEvent]) -> bool:  # noqa: UP045
        """Ask anew where a part has other lines."""
        if event is not None and event.type() == QEvent.Type.LayoutRequest:
            self.updateGeometry()
        return bool(super().event(event))
