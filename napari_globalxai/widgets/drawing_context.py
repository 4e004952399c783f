"""What layers were drawn with is freed where it was made.

napari 0.9 has vispy delete a removed layer's programs and textures at once, in whatever OpenGL
context is current: mostly the one in which Qt puts the window together. Mesa's software drawing
then draws the other layers with freed memory, and the process ends.
"""

from __future__ import annotations

from typing import Any
from weakref import ref


def free_where_drawn(viewer: Any) -> None:
    """Make the canvas' own context current whenever a layer is about to be removed.

    Parameters
    ----------
    viewer : napari.Viewer
        The viewer, which may have no window; it is not kept alive.
    """
    known = ref(viewer)

    def make_current() -> None:
        window = getattr(known(), "window", None)
        canvas = getattr(getattr(window, "_qt_viewer", None), "canvas", None)
        native = getattr(canvas, "native", None)
        # Of a canvas that was never shown, nothing was drawn.
        if native is not None and native.isValid():
            native.makeCurrent()

    events = viewer.layers.events
    # Before, as napari hears of what is done first. Of several that go at once, it frees what they
    # held once the last is gone; a batch in which none goes frees what went before.
    for event in (events.removing, events.begin_batch):
        event.connect(make_current)
