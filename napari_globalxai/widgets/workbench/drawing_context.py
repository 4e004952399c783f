"""When a viewer's canvas draws, and where it frees what it drew with.

napari 0.9 has vispy delete a removed layer's programs and textures at once, in whatever OpenGL
context is current: mostly the one in which Qt puts the window together. Mesa's software drawing
then draws the other layers with freed memory, and the process ends.
"""

from __future__ import annotations

from typing import Any, Optional
from weakref import ref

from qtpy.QtCore import QEvent, QObject, QTimer
from qtpy.QtWidgets import QWidget

# More than none, so that keys and other timers are heard first.
_MILLISECONDS = 5


class _DrawnLater(QObject):
    """Keeps a canvas as it is on the screen for a moment, and has it drawn then.

    Its updates stay enabled: Qt leaves the window's picture open where an OpenGL widget is, and
    paints the background there while one is disabled, which hides it until somebody resizes it.
    """

    def __init__(self, canvas: QWidget) -> None:
        # Ends with the canvas.
        super().__init__(canvas)
        self._canvas = canvas
        self._timer = QTimer(self)
        self._timer.setSingleShot(True)
        self._timer.timeout.connect(self._draw)

    def wait(self) -> None:
        """Begin to keep it, unless that has begun."""
        if not self._timer.isActive():
            self._canvas.installEventFilter(self)
            self._timer.start(_MILLISECONDS)

    def eventFilter(self, watched: Optional[QObject], event: Optional[QEvent]) -> bool:  # noqa: UP045
        """Leave out what would be drawn now."""
        return event is not None and event.type() == QEvent.Type.Paint

    def _draw(self) -> None:
        self._canvas.removeEventFilter(self)
        self._canvas.update()


def draw_later(viewer: Any) -> None:
    """Draw what is added or taken away now in a turn of its own: each takes the window a moment.

    Parameters
    ----------
    viewer : napari.Viewer
        The viewer, which may have no window.
    """
    canvas = _widget_of(viewer)
    if canvas is not None:
        (canvas.findChild(_DrawnLater) or _DrawnLater(canvas)).wait()


def free_where_drawn(viewer: Any) -> None:
    """Make the canvas' own context current whenever a layer is about to be removed.

    Parameters
    ----------
    viewer : napari.Viewer
        The viewer, which may have no window; it is not kept alive.
    """
    known = ref(viewer)

    def make_current() -> None:
        canvas = _widget_of(known())
        # Of a canvas that was never shown, nothing was drawn.
        if canvas is not None and canvas.isValid():
            canvas.makeCurrent()

    events = viewer.layers.events
    # Before, as napari hears of what is done first. Of several that go at once, it frees what they
    # held once the last is gone; a batch in which none goes frees what went before.
    for event in (events.removing, events.begin_batch):
        event.connect(make_current)


def canvas_of(viewer: Any) -> Any:
    """Return napari's canvas of a viewer, None where it has no window."""
    return getattr(getattr(getattr(viewer, "window", None), "_qt_viewer", None), "canvas", None)


def _widget_of(viewer: Any) -> Any:
    """Return the widget that layers are drawn on, None where there is none."""
    native = getattr(canvas_of(viewer), "native", None)
    return native if isinstance(native, QWidget) else None
