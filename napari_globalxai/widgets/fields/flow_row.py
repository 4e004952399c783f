"""A row of widgets that goes on in the next line where it is too narrow.

No layout: PySide6 forgets what a layout that is written in Python holds, and the process ends where
Qt asks for it then. superqt's `QFlowLayout` is such a one.
"""

from typing import Optional

from qtpy.QtCore import QEvent, QMargins, QRect, QSize
from qtpy.QtGui import QResizeEvent
from qtpy.QtWidgets import QSizePolicy, QWidget

_BETWEEN = 6


class FlowRow(QWidget):
    """Widgets side by side, in as many lines as they need.

    Parameters
    ----------
    parts : sequence of QWidget
        The widgets, in order.
    fills : bool, optional
        Whether those of a line share what it has left of the row's width.
    """

    def __init__(self, *parts: QWidget, fills: bool = False) -> None:
        super().__init__()
        self._parts, self._fills = parts, fills
        for part in parts:
            part.setParent(self)
        # Not fixed: a layout would give it the hint's one line, however many it needs.
        policy = QSizePolicy(QSizePolicy.Policy.Preferred, QSizePolicy.Policy.Minimum)
        policy.setHeightForWidth(True)
        self.setSizePolicy(policy)

    def heightForWidth(self, width: int) -> int:
        """Return the height of all lines."""
        return max((place.bottom() + 1 for place in self._places(width)), default=0)

    def sizeHint(self) -> QSize:
        """Return the size of one line."""
        hints = [part.sizeHint() for part in self._shown()]
        return QSize(max(_width_of(hints), 0), max((hint.height() for hint in hints), default=0))

    def minimumSizeHint(self) -> QSize:
        """Return the width of the widest part, and the height of the lines as they are."""
        width = max((part.minimumSizeHint().width() for part in self._shown()), default=0)
        return QSize(width, self.heightForWidth(max(self.width(), width)))

    def resizeEvent(self, event: Optional[QResizeEvent]) -> None:  # noqa: UP045
        """Put the parts in their places."""
        super().resizeEvent(event)
        self._arrange()

    def event(self, event: Optional[QEvent]) -> bool:  # noqa: UP045
        """Follow what becomes of the parts."""
        if event is not None and event.type() == QEvent.Type.LayoutRequest:
            self._arrange()
            self.updateGeometry()
        return bool(super().event(event))

    def _shown(self) -> list[QWidget]:
        return [part for part in self._parts if not part.isHidden()]

    def _arrange(self) -> None:
        for part, place in zip(self._shown(), self._places(self.width()), strict=True):
            part.setGeometry(place)

    def _places(self, width: int) -> list[QRect]:
        """Return where the parts lie in a row of a width; those of a line stand in its middle."""
        lines: list[list[QSize]] = []
        left = 0
        for part in self._shown():
            size = part.sizeHint()
            if size.width() > width:
                size = QSize(width, max(size.height(), part.heightForWidth(width)))
            if lines and left + size.width() <= width:
                lines[-1].append(size)
            else:
                left = 0
                lines.append([size])
            left += size.width() + _BETWEEN
        places, top = [], 0
        for line in lines:
            height, left = max(size.height() for size in line), 0
            more = self._fills * (width - _width_of(line)) // len(line)
            for size in line:
                size = size.grownBy(QMargins(0, 0, more, 0))
                places.append(QRect(left, top + (height - size.height()) // 2, *_sides(size)))
                left += size.width() + _BETWEEN
            top += height + _BETWEEN
        return places


def _sides(size: QSize) -> tuple[int, int]:
    return size.width(), size.height()


def _width_of(line: list[QSize]) -> int:
    return sum(size.width() + _BETWEEN for size in line) - _BETWEEN
