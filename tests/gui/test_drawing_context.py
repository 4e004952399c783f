"""A layer that goes is freed in the context that drew it; what comes is drawn a turn later."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from napari.layers import Image
from qtpy.QtGui import QOpenGLContext

from napari_globalxai.widgets.layers.adding import same_selection
from napari_globalxai.widgets.workbench.drawing_context import draw_later
from napari_globalxai.widgets.workbench.scenes import make_slider, scenes_of

pytestmark = pytest.mark.gui

# The lower of two layers goes, and the other one is drawn again: with software drawing, this ended
# the process.
_WINDOW = """
import napari, numpy as np
from qtpy.QtTest import QTest
from napari_globalxai.widgets.workbench.scenes import make_slider, scenes_of

viewer = napari.Viewer(show_welcome_screen=False)
viewer.window.resize(1000, 700)
scenes_of(viewer)
for image in (np.full((384, 512, 3), 99, np.uint8), np.eye(384, dtype=np.float32)):
    viewer.add_image(image, rgb=image.ndim == 3)
    QTest.qWait(200)
del image, viewer.layers[0]
for _ in range(4):
    viewer.window._qt_viewer.canvas.native.update()
    QTest.qWait(100)
print("drawn")
viewer.close()
"""


def test_a_layer_above_is_drawn_after_the_lower_one_went() -> None:
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", _WINDOW], capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 0, done.stderr
    assert "drawn" in done.stdout


def test_what_goes_is_freed_where_it_was_drawn(
    make_napari_viewer: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    viewer = make_napari_viewer(show=True)
    scenes_of(viewer)
    canvas = viewer.window._qt_viewer.canvas
    for name in ("first", "second", "third", "fourth", "fifth"):
        viewer.add_image(np.zeros((8, 8), np.float32), name=name)
    canvas.native.grab()
    freed_in: list[QOpenGLContext | None] = []
    monkeypatch.setattr(
        canvas._scene_canvas.context,
        "finish",
        lambda: freed_in.append(QOpenGLContext.currentContext()),
    )
    viewer.layers.selection = {viewer.layers["second"], viewer.layers["third"]}
    ways: tuple[Callable[[], object], ...] = (
        lambda: viewer.layers.remove("first"),
        viewer.layers.remove_selected,
        viewer.layers.clear,
    )
    for number, remove in enumerate(ways, start=1):
        canvas.native.doneCurrent()
        remove()
        assert len(freed_in) == number
    assert not viewer.layers
    assert all(each is canvas.native.context() for each in freed_in)


def test_what_is_added_is_drawn_a_turn_later_and_selects_nothing(
    make_napari_viewer: Callable[..., Any], qtbot: Any
) -> None:
    viewer = make_napari_viewer(show=True)
    canvas, listed = viewer.window._qt_viewer.canvas.native, viewer.window._qt_viewer.layers
    for name in ("first", "second"):
        viewer.add_image(np.zeros((8, 8), np.float32), name=name)
    viewer.layers.selection.active = viewer.layers["first"]
    told: list[object] = []
    for event in (viewer.layers.selection.events.changed, viewer.layers.selection.events.active):
        event.connect(told.append)
    drawn: list[object] = []
    canvas.repaint()
    viewer.window._qt_viewer.canvas._scene_canvas.events.draw.connect(drawn.append)
    viewer.layers.events.inserted.connect(lambda: canvas.repaint())
    draw_later(viewer)
    draw_later(viewer)
    with same_selection(viewer):
        viewer.add_image(np.zeros((8, 8), np.float32), name="third")
    assert drawn == []
    qtbot.waitUntil(lambda: bool(drawn))
    assert told == []
    assert viewer.layers.selection == {viewer.layers["first"]}
    assert [index.data() for index in listed.selectedIndexes()] == ["first"]
    # Of several, none is active; of none, none.
    for chosen in ({viewer.layers["first"], viewer.layers["second"]}, set()):
        viewer.layers.selection = chosen
        with same_selection(viewer):
            viewer.add_image(np.zeros((8, 8), np.float32))
        assert viewer.layers.selection == chosen
        assert viewer.layers.selection.active is None


def test_the_canvas_is_drawn_a_turn_after_the_slider_is_made(
    make_napari_viewer: Callable[..., Any], qtbot: Any
) -> None:
    """napari would draw it twice meanwhile: it makes the canvas smaller."""
    viewer = make_napari_viewer(show=True)
    canvas = viewer.window._qt_viewer.canvas
    canvas.native.repaint()
    drawn: list[object] = []
    canvas._scene_canvas.events.draw.connect(drawn.append)
    viewer.dims.events.ndim.connect(lambda: canvas.native.repaint())
    make_slider(viewer)
    assert viewer.dims.ndim == 3
    assert drawn == []
    qtbot.waitUntil(lambda: bool(drawn))


def test_the_canvas_stays_on_the_screen_while_its_window_is_painted(
    make_napari_viewer: Callable[..., Any], qtbot: Any
) -> None:
    viewer = make_napari_viewer(show=True)
    viewer.add_image(np.full((64, 64, 3), (250, 40, 40), np.uint8), rgb=True)
    viewer.reset_view()
    canvas = viewer.window._qt_viewer.canvas.native

    def is_seen() -> bool:
        place = canvas.mapToGlobal(canvas.rect().center())
        # What is on the screen: a widget that is asked for its picture draws it anew.
        seen = canvas.screen().grabWindow(0, place.x(), place.y(), 1, 1).toImage()
        return bool(seen.pixelColor(0, 0).getRgb()[:3] == (250, 40, 40))

    qtbot.waitUntil(is_seen)
    draw_later(viewer)
    canvas.parentWidget().repaint()
    assert is_seen()
    qtbot.wait(50)
    assert is_seen()


def test_a_viewer_without_a_window_loses_its_layers() -> None:
    from napari.components import ViewerModel

    viewer = ViewerModel()
    scenes_of(viewer)
    draw_later(viewer)
    viewer.layers.append(Image(np.zeros((8, 8), np.float32)))
    viewer.layers.clear()
    assert not viewer.layers
