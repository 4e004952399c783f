"""What napari does at once with a new layer is spread over turns."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from napari.components import ViewerModel
from napari.layers import Image, Shapes
from napari.settings import get_settings

from napari_globalxai.widgets.jobs.event_turns import TURNS
from napari_globalxai.widgets.layers.adding import add_in_turns, next_in_turns, select_in_turn
from napari_globalxai.widgets.layers.region_drawing import add_drawing

pytestmark = pytest.mark.gui

CORNERS = [np.array([[1, 1], [1, 5], [5, 5], [5, 1]])]


def image() -> Image:
    return Image(np.zeros((8, 8), np.float32))


def controls_of(viewer: Any) -> Any:
    return viewer.window._qt_viewer.controls


def test_controls_come_a_turn_later(make_napari_viewer: Callable[..., Any], qtbot: Any) -> None:
    viewer = make_napari_viewer()
    layer = image()
    add_in_turns(viewer, layer)
    controls = controls_of(viewer)
    assert layer in viewer.layers
    assert layer not in controls.widgets
    assert not viewer.layers.selection
    qtbot.waitUntil(lambda: TURNS.is_idle)
    assert controls.widgets[layer].layer is layer
    assert controls.currentWidget() is controls.empty_widget
    # napari's own way is as it was.
    other = viewer.add_image(np.zeros((8, 8)))
    assert controls.currentWidget() is controls.widgets[other]


def test_controls_are_there_for_whoever_selects_the_layer_before(
    make_napari_viewer: Callable[..., Any], qtbot: Any
) -> None:
    viewer = make_napari_viewer()
    layer = image()
    add_in_turns(viewer, layer)
    viewer.layers.selection.active = layer
    controls = controls_of(viewer)
    assert controls.currentWidget() is controls.widgets[layer]
    made = controls.widgets[layer]
    qtbot.waitUntil(lambda: TURNS.is_idle)
    assert controls.widgets[layer] is made


def test_a_layer_that_goes_before_its_controls_come_leaves_none(
    make_napari_viewer: Callable[..., Any], qtbot: Any
) -> None:
    viewer = make_napari_viewer()
    stays, goes = image(), image()
    add_in_turns(viewer, stays)
    add_in_turns(viewer, goes)
    select_in_turn(viewer, goes)
    viewer.layers.remove(goes)
    qtbot.waitUntil(lambda: TURNS.is_idle)
    assert list(controls_of(viewer).widgets) == [stays]
    assert viewer.layers.selection.active is not goes
    with pytest.raises(KeyError):
        controls_of(viewer).widgets[goes]


def test_a_closed_window_gets_none(make_napari_viewer: Callable[..., Any], qtbot: Any) -> None:
    viewer = make_napari_viewer()
    layer = image()
    add_in_turns(viewer, layer)
    controls = controls_of(viewer)
    viewer.close()
    qtbot.waitUntil(lambda: TURNS.is_idle)
    assert layer not in controls.widgets


def test_the_tool_that_is_taken_up_is_marked(
    make_napari_viewer: Callable[..., Any], qtbot: Any
) -> None:
    viewer = make_napari_viewer()
    layer = add_drawing(viewer, "Region", CORNERS)
    assert layer.mode == "add_rectangle"
    qtbot.waitUntil(lambda: TURNS.is_idle)
    assert viewer.layers.selection.active is layer
    shown = controls_of(viewer).currentWidget()
    assert shown is controls_of(viewer).widgets[layer]
    assert shown.rectangle_button.isChecked()


def test_parts_of_shapes_are_drawn_one_a_turn_and_letters_once_they_are_written(
    make_napari_viewer: Callable[..., Any], qtbot: Any
) -> None:
    viewer = make_napari_viewer()
    layer = Shapes(CORNERS, shape_type="rectangle")
    add_in_turns(viewer, layer)
    node = viewer.window._qt_viewer.canvas.layer_to_visual[layer].node
    assert [part.visible for part in node._subvisuals] == [True, False, False, False, False]
    qtbot.waitUntil(lambda: TURNS.is_idle)
    assert [part.visible for part in node._subvisuals] == [True, True, True, True, False]
    layer.text = {"string": {"constant": "here"}}
    assert node.text.visible
    assert list(node.text.text) == ["here"]


def test_what_napari_adds_next_is_selected_a_turn_later(
    make_napari_viewer: Callable[..., Any], qtbot: Any
) -> None:
    viewer = make_napari_viewer()
    told: list[Any] = []
    viewer.layers.selection.events.active.connect(lambda event: told.append(event.value))
    next_in_turns(viewer)
    layer = viewer.add_image(np.zeros((8, 8)))
    controls = controls_of(viewer)
    assert told == []
    assert layer not in controls.widgets
    qtbot.waitUntil(lambda: told == [layer])
    assert viewer.layers.selection == {layer}
    assert controls.currentWidget() is controls.widgets[layer]
    # And nothing after that.
    other = viewer.add_image(np.zeros((8, 8)))
    assert controls.currentWidget() is controls.widgets[other]


def test_where_napari_makes_controls_for_the_selection_alone_they_stay_so(
    make_napari_viewer: Callable[..., Any], qtbot: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(get_settings().experimental, "dynamic_layer_controls", True)
    viewer = make_napari_viewer()
    layer = image()
    add_in_turns(viewer, layer)
    select_in_turn(viewer, layer)
    qtbot.waitUntil(lambda: TURNS.is_idle)
    controls = controls_of(viewer)
    assert not controls.widgets
    assert controls.currentWidget() is controls.panel
    viewer.layers.remove(layer)
    assert controls.currentWidget() is controls.empty_widget


def test_a_viewer_may_have_no_window(qtbot: Any) -> None:
    viewer, layer = ViewerModel(), image()
    add_in_turns(viewer, layer)
    select_in_turn(viewer, layer)
    qtbot.waitUntil(lambda: TURNS.is_idle)
    assert viewer.layers.selection.active is layer
