"""When a viewer's canvas draws, and where it frees what it drew with.

napari 0.9 has vispy delete a removed layer's programs and textures at once, in whatever OpenGL
context is current: mostly the one in which Qt puts the window together. Mesa's software drawing
then draws the other layers with freed memory, and the process ends.
"""

from __future__ import annotations

from typing import Any
from weakref import ref

from qtpy.QtCore import QTimer
from qtpy.QtWidgets import QWidget

# More than none, so that keys and other timers are heard first.
_MILLISECONDS = 5


def draw_later(viewer: Any) -> None:
    """Draw what is added or taken away now in a turn of its own: each takes the window a moment.

    Parameters
    ----------
    viewer : napari.Viewer
        The viewer, which may have no window.
    """
    canvas = _canvas_of(viewer)
    if canvas is None or not canvas.updatesEnabled():
        return
    canvas.setUpdatesEnabled(False)

    def draw() -> None:
        canvas.setUpdatesEnabled(True)
        timer.deleteLater()

    # Ends with the canvas.
    timer = QTimer(canvas)
    timer.setSingleShot(True)
    timer.timeout.connect(draw)
    timer.start(_MILLISECONDS)


def free_where_drawn(viewer: Any) -> None:
    """Make the canvas' own context current whenever a layer is about to be removed.

    Parameters
    ----------
    viewer : napari.Viewer
        The viewer, which may have no window; it is not kept alive.
    """
    known = ref(viewer)

    def make_current() -> None:
        canvas = _canvas_of(known())
        # Of a canvas that was never shown, nothing was drawn.
        if canvas is not None and canvas.isValid():
            canvas.makeCurrent()

    events = viewer.layers.events
    # Before, as napari hears of what is done first. Of several that go at once, it frees what they
    # held once the last is gone; a batch in which none goes frees what went before.
    for event in (events.removing, events.begin_batch):
        event.connect(make_current)


def _canvas_of(viewer: Any) -> Any:
    """Return the widget that layers are drawn on, None where there is none."""
    window = getattr(viewer, "window", None)
    canvas = getattr(getattr(window, "_qt_viewer", None), "canvas", None)
    native = getattr(canvas, "native", None)
    return native if isinstance(native, QWidget) else None
