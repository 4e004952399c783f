"""Files dropped on a widget, as a file manager does."""

from pathlib import Path

from qtpy.QtCore import QMimeData, QPoint, QPointF, Qt, QUrl
from qtpy.QtGui import QDragEnterEvent, QDropEvent
from qtpy.QtWidgets import QApplication, QWidget


def drop(
    target: QWidget,
    *paths: Path,
    held: Qt.KeyboardModifier = Qt.KeyboardModifier.NoModifier,
) -> None:
    """Drag files or folders over a widget and let go, with a key held down."""
    data = QMimeData()
    data.setUrls([QUrl.fromLocalFile(str(path)) for path in paths])
    with_left = (Qt.MouseButton.LeftButton, held)
    over = QDragEnterEvent(QPoint(3, 3), Qt.DropAction.CopyAction, data, *with_left)
    QApplication.sendEvent(target, over)
    assert over.isAccepted()
    event = QDropEvent(QPointF(3, 3), Qt.DropAction.CopyAction, data, *with_left)
    QApplication.sendEvent(target, event)
