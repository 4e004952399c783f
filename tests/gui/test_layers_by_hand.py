"""Layers that somebody renames, moves or takes away in napari's own list."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from napari_globalxai.widgets.jobs.event_turns import TURNS

pytestmark = pytest.mark.gui

TIMEOUT = 60_000


def seen(panels: Any) -> list[str]:
    return [layer.name for layer in panels.viewer.layers if layer.visible]


def test_what_was_taken_away_comes_back_when_it_is_asked_for(
    opened: Any, finished_run: Path, qtbot: Any
) -> None:
    viewer, session, layers = opened.viewer, opened.session, opened.explain.layers
    viewer.layers.remove("Images")
    session.choose_map("left")
    assert seen(opened) == ["Global map: left"]
    layers.step_to(7)
    assert seen(opened)[0] == "Images"
    assert session.row == 7
    assert viewer.dims.current_step[0] == 7
    # All of them gone but the map, which another run then has its own in the place of.
    viewer.layers.clear()
    session.choose_map("right")
    assert seen(opened) == ["Global map: right"]
    with qtbot.waitSignal(opened.explain.runner.succeeded, timeout=TIMEOUT):
        opened.explain.open_run(finished_run)
    qtbot.waitUntil(lambda: TURNS.is_idle and "Images" in seen(opened), timeout=TIMEOUT)
    assert seen(opened) == ["Images", "Global map: right"]


def test_the_user_s_names_order_and_layers_stay(opened: Any, qtbot: Any) -> None:
    viewer, session = opened.viewer, opened.session
    viewer.layers["Global map: overall"].name = "mine"
    own = viewer.add_points([[0, 3, 4]], name="notes")
    viewer.layers.move(0, len(viewer.layers))
    order = [layer.name for layer in viewer.layers if not layer.name.startswith("Attribution")]
    session.choose_map("left")
    session.choose_map("overall")
    layers = [layer.name for layer in viewer.layers if not layer.name.startswith("Attribution")]
    assert layers == order
    assert own.visible


def test_boxes_follow_what_is_taken_away_and_bring_it_back(opened: Any, qtbot: Any) -> None:
    viewer, maps, layers = opened.viewer, opened.explain.maps, opened.explain.layers
    qtbot.waitUntil(lambda: layers.layer("attribution") is not None, timeout=TIMEOUT)
    maps.attribution_box.click()
    maps.contour_box.click()
    for role, box in (
        ("global map", maps.global_map_box),
        ("attribution", maps.attribution_box),
        ("contours", maps.contour_box),
    ):
        assert box.isChecked()
        viewer.layers.remove(layers.layer(role))
        assert not box.isChecked(), role
        box.click()
        qtbot.waitUntil(lambda role=role: layers.layer(role) is not None, timeout=TIMEOUT)
        qtbot.waitUntil(lambda: TURNS.is_idle, timeout=TIMEOUT)
        assert layers.layer(role).visible, role
        assert box.isChecked(), role


def test_the_boxes_of_contours_and_colour_bar_follow_napari_s_own_switches(opened: Any) -> None:
    maps, layers = opened.explain.maps, opened.explain.layers
    maps.contour_box.click()
    contours = layers.layer("contours")
    contours.visible = False
    assert not maps.contour_box.isChecked()
    assert contours in opened.viewer.layers
    maps.contour_box.click()
    assert contours.visible
    maps.contour_box.click()
    assert contours not in opened.viewer.layers
    maps.colour_bar_box.click()
    bar = layers.layer("global map").colorbar
    assert bar.visible
    # As napari's menu of the layer does.
    bar.visible = False
    assert not maps.colour_bar_box.isChecked()
    bar.visible = True
    assert maps.colour_bar_box.isChecked()
    opened.viewer.layers.remove(layers.layer("global map"))
    maps.global_map_box.click()
    assert layers.layer("global map").colorbar.visible


def test_copies_of_our_layers_are_the_user_s(opened: Any, qtbot: Any) -> None:
    from napari.layers._layer_actions import _duplicate_layer

    viewer, session, layers = opened.viewer, opened.session, opened.explain.layers
    for name in ("Images", "Global map: overall"):
        viewer.layers.selection = {viewer.layers[name]}
        _duplicate_layer(viewer.layers)
    image, copy = viewer.layers["Images copy"], viewer.layers["Global map: overall copy"]
    before = copy.data.copy()
    for each in (image, copy):
        viewer.layers.move(viewer.layers.index(each), 0)
    session.choose_map("left")
    assert layers.layer("global map").name == "Global map: left"
    assert layers.layer("images").name == "Images"
    assert copy.name == "Global map: overall copy"
    assert (copy.data == before).all()
    # Nor do they stand in for what is taken away.
    viewer.layers.remove("Global map: left")
    assert layers.layer("global map") is None
    session.choose_map("right")
    assert layers.layer("global map") is not copy
    assert copy.visible


def test_a_panel_opened_again_ticks_what_is_shown(opened: Any, qtbot: Any) -> None:
    from napari_globalxai.widgets.workbench.open_panels import open_panel

    maps = opened.explain.maps
    for box in (maps.contour_box, maps.colour_bar_box, maps.residual_box, maps.shared_scale_box):
        box.click()
    maps.scale_box.setCurrentIndex(maps.scale_box.findData("logarithm"))
    maps.global_map_box.click()
    qtbot.waitUntil(lambda: "less the others" in " ".join(seen(opened)), timeout=TIMEOUT)
    names = [name for name in vars(maps) if name.endswith("_box")]

    def state(view: Any) -> dict[str, Any]:
        boxes = {name: getattr(view, name) for name in names}
        return {
            name: box.currentText() if hasattr(box, "currentText") else box.isChecked()
            for name, box in boxes.items()
        }

    before = state(maps)
    opened.viewer.window.remove_dock_widget(opened.explain)
    again = open_panel(opened.viewer, "Global explanations")
    qtbot.waitUntil(lambda: TURNS.is_idle, timeout=TIMEOUT)
    assert again is not opened.explain
    assert state(again.maps) == before
