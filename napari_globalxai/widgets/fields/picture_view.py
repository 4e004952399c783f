"""A finished picture in a panel: as wide as the panel, and closer by the wheel or by keys."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from qtpy.QtCore import QPointF, QRectF, QSize, Qt
from qtpy.QtGui import (
    QColor,
    QFocusEvent,
    QImage,
    QMouseEvent,
    QPainter,
    QPaintEvent,
    QWheelEvent,
)
from qtpy.QtWidgets import QApplication, QSizePolicy, QWidget

from napari_globalxai.widgets.fields.exporting import COPY, SAVE, offer, save_figure
from napari_globalxai.widgets.fields.wheel_zoom import STEP, wheel_zoom

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt
    from matplotlib.figure import Figure

_CLOSEST = 8.0
_TIP = "Ctrl and wheel, + and −: closer; drag or arrow keys: move; 0: all of it; Ctrl+S: save"
_MOVES = {"Left": (-1, 0), "Right": (1, 0), "Up": (0, -1), "Down": (0, 1)}
_PART = 0.2


def image_of(pixels: npt.NDArray[np.uint8]) -> QImage:
    """Return RGBA pixels, uint8 (height, width, 4), as an image of Qt."""
    height, width = pixels.shape[:2]
    image = QImage(pixels.tobytes(), width, height, 4 * width, QImage.Format.Format_RGBA8888)
    # A copy, as Qt does not keep the bytes.
    return image.copy()


class PictureView(QWidget):
    """A picture that can be looked at closely, copied, and saved as it is printed.

    Parameters
    ----------
    name : str
        What it shows.
    pixels : numpy.ndarray
        uint8 (height, width, 4), RGBA.
    draw : callable
        Returns the same figure of matplotlib for a page; called in a worker.

    Attributes
    ----------
    zoom : float
        How much closer than the whole of it; 1 is all.
    """

    def __init__(
        self, name: str, pixels: npt.NDArray[np.uint8], draw: Callable[[], Figure]
    ) -> None:
        super().__init__()
        self._picture = image_of(pixels)
        self._name, self._draw = name, draw
        self.zoom = 1.0
        self._middle = QPointF(0.5, 0.5)
        self._dragged: QPointF | None = None
        self.setAccessibleName(name)
        self.setToolTip(_TIP)
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        policy = QSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        policy.setHeightForWidth(True)
        self.setSizePolicy(policy)
        offer(self, "Save figure…", SAVE, self.save)
        offer(self, "Copy figure", COPY, self.copy)
        offer(self, "Closer", "+", lambda: self.zoom_by(STEP))
        offer(self, "Farther", "-", lambda: self.zoom_by(1 / STEP))
        offer(self, "All of it", "0", lambda: self.zoom_by(0))
        for key, (x, y) in _MOVES.items():
            offer(self, f"Move {key.lower()}", key, lambda x=x, y=y: self._move(x, y))  # type: ignore[misc]

    def save(self) -> None:
        """Ask where it is to be saved, and save it."""
        save_figure(self, self._name, self._draw)

    def copy(self) -> None:
        """Copy it as it is shown."""
        clipboard = QApplication.clipboard()
        if clipboard is not None:
            clipboard.setImage(self._picture)

    def zoom_by(self, factor: float, at: QPointF | None = None) -> None:
        """Come closer around a place, of 0 to 1 each way; all of it by 0."""
        before = self.zoom
        self.zoom = min(_CLOSEST, max(1.0, before * factor))
        at = QPointF(0.5, 0.5) if at is None else at
        # What lies under the pointer stays there.
        self._shift((at - QPointF(0.5, 0.5)) * (1 / before - 1 / self.zoom))

    def _move(self, x: int, y: int) -> None:
        self._shift(QPointF(x, y) * (_PART / self.zoom))

    def _shift(self, by: QPointF) -> None:
        half = 0.5 / self.zoom
        self._middle = QPointF(
            *(min(1 - half, max(half, each)) for each in _both(self._middle + by))
        )
        self.update()

    def heightForWidth(self, width: int) -> int:
        """Return the height that shows all of it."""
        return round(width * self._picture.height() / max(1, self._picture.width()))

    def sizeHint(self) -> QSize:
        """Return the size at which it is as wide as it is now."""
        return QSize(200, self.heightForWidth(max(200, self.width())))

    def paintEvent(self, event: QPaintEvent | None) -> None:
        """Paint what is looked at of it."""
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.SmoothPixmapTransform)
        wide, high = (size / self.zoom for size in _sizes(self._picture))
        x, y = (
            at * size - part / 2
            for at, size, part in zip(
                _both(self._middle), _sizes(self._picture), (wide, high), strict=True
            )
        )
        painter.drawImage(QRectF(self.rect()), self._picture, QRectF(x, y, wide, high))
        if self.hasFocus():
            painter.setPen(QColor(self.palette().highlight().color()))
            painter.drawRect(self.rect().adjusted(0, 0, -1, -1))
        painter.end()

    def wheelEvent(self, event: QWheelEvent | None) -> None:
        """Come closer with Ctrl; otherwise the panel scrolls."""
        if event is None:
            return
        factor = wheel_zoom(event)
        if factor != 1:
            self.zoom_by(factor, self._share(event.position()))
            event.accept()
        else:
            event.ignore()

    def mousePressEvent(self, event: QMouseEvent | None) -> None:
        """Begin to move it."""
        if event is not None and event.button() == Qt.MouseButton.LeftButton:
            self._dragged = event.position()

    def mouseMoveEvent(self, event: QMouseEvent | None) -> None:
        """Move it while the button is pressed."""
        if event is not None and self._dragged is not None:
            moved = self._share(self._dragged) - self._share(event.position())
            self._dragged = event.position()
            self._shift(moved / self.zoom)

    def mouseReleaseEvent(self, event: QMouseEvent | None) -> None:
        """Leave it where it is."""
        self._dragged = None

    def focusInEvent(self, event: QFocusEvent | None) -> None:
        """Show that keys go to it."""
        super().focusInEvent(event)
        self.update()

    def focusOutEvent(self, event: QFocusEvent | None) -> None:
        """Show that keys go elsewhere."""
        super().focusOutEvent(event)
        self.update()

    def _share(self, place: QPointF) -> QPointF:
        return QPointF(place.x() / max(1, self.width()), place.y() / max(1, self.height()))


def _both(point: QPointF) -> tuple[float, float]:
    return point.x(), point.y()


def _sizes(image: QImage) -> tuple[int, int]:
    return image.width(), image.height()
