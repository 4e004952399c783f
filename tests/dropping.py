"""Files dropped on a widget, as a file manager does."""

from pathlib import Path

from qtpy.QtCore import QMimeData, QPoint, QPointF, Qt, QUrl
from qtpy.QtGui import QDragEnterEvent, QDropEvent
from qtpy.QtWidgets import QApplication, QWidget


def drop(target: QWidget, path: Path) -> None:
    """Drop a file or folder on what takes it."""
    data = QMimeData()
    data.setUrls([QUrl.fromLocalFile(str(path))])
    with_left = (Qt.MouseButton.LeftButton, Qt.KeyboardModifier.NoModifier)
    over = QDragEnterEvent(QPoint(3, 3), Qt.DropAction.CopyAction, data, *with_left)
    QApplication.sendEvent(target, over)
    assert over.isAccepted()
    event = QDropEvent(QPointF(3, 3), Qt.DropAction.CopyAction, data, *with_left)
    QApplication.sendEvent(target, event)
