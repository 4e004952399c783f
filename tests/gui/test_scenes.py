"""Groups of layers of which one is in front, in a real viewer."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from napari.layers import Image
from qtpy.QtTest import QTest

import napari_globalxai.widgets
from napari_globalxai.widgets.layers.layer_roles import RoleLayers
from napari_globalxai.widgets.layers.run_layers import layers_of
from napari_globalxai.widgets.workbench.open_panels import open_panels_of_a_run
from napari_globalxai.widgets.workbench.scenes import Scene, scenes_of

pytestmark = pytest.mark.gui

LAYERS = Path(napari_globalxai.widgets.__file__).parent / "layers"
KINDS = ("run_layers", "peppr_layers", "other_run", "quality_layers", "growing_layers")


class Picture(RoleLayers):
    """A kind of scene that no other module has heard of: one picture."""

    def __init__(self, viewer: Any, scene: Scene) -> None:
        super().__init__(viewer, scene)
        self.seen: list[str] = []
        self.scenes.front_changed.connect(self._on_front)

    def _on_front(self, name: str) -> None:
        self.seen.append(name)

    def show(self, data: Any) -> None:
        self.bring_forward()
        for role in self.scene.roles:
            self._show(role, lambda: Image(data), data=data, name=role)
        self._fit()


def visible(viewer: Any) -> list[str]:
    return [layer.name for layer in viewer.layers if layer.visible]


def test_a_new_kind_of_scene_takes_turns_with_a_run(opened: Any) -> None:
    viewer, before = opened.viewer, visible(opened.viewer)
    opened.viewer.layers["Images"].visible = False
    before.remove("Images")
    mine = viewer.add_image(np.ones((4, 4)), name="the user's own")
    centres: list[Any] = []
    scene = Scene(
        "picture", ("picture",), level=9, camera=lambda seen: centres.append(visible(seen))
    )
    picture = Picture(viewer, scene)
    picture.show(np.ones((10, 10)))
    assert picture.in_front
    assert visible(viewer) == [mine.name, "picture"]
    assert centres[-1] == [mine.name, "picture"]
    # What is asked of a run meanwhile waits until it is seen again, as do new layers of it.
    layers = layers_of(viewer)
    layers.set_visible("images", True)
    layers.contours = True
    assert visible(viewer) == [mine.name, "picture"]
    assert opened.explain.global_map_box.isChecked()
    opened.session.choose_map("left")
    assert not picture.in_front
    assert {"Images", "Global map: left"} <= set(visible(viewer))
    assert "picture" not in visible(viewer)
    assert any(name.startswith("Half and 80") for name in visible(viewer))
    layers.contours = False
    # Taken away, it leaves the run; the run is in front again only where it was.
    picture.bring_forward()
    assert visible(viewer) == [mine.name, "picture"]
    scenes_of(viewer).put_away(scene)
    assert set(before) - {"Global map: overall"} <= set(visible(viewer))
    assert mine.visible
    assert picture.seen == ["picture", "run", "picture", "run"]


def test_what_lies_beside_is_seen_with_it(make_napari_viewer: Any) -> None:
    viewer, data = make_napari_viewer(), np.ones((8, 8))
    below = Picture(viewer, Scene("below", ("stack", "map"), level=1))
    beside = Picture(viewer, Scene("right", ("right",), level=2, beside="below"))
    other = Picture(viewer, Scene("other", ("other",)))
    below.show(data)
    beside.show(data)
    other.show(data)
    assert visible(viewer) == ["other"]
    assert [layer.name for layer in viewer.layers] == ["other", "stack", "map", "right"]
    below.set_visible("map", False)
    beside.bring_forward()
    assert visible(viewer) == ["stack", "right"]
    assert scenes_of(viewer).front == "below"
    scenes_of(viewer).put_away(below.scene)
    assert visible(viewer) == ["other"]
    with pytest.raises(ValueError, match="'map' is a role of the scene 'below'"):
        Picture(viewer, Scene("third", ("map",)))


def test_what_fits_the_view_fits_it_when_the_canvas_changes(make_napari_viewer: Any) -> None:
    viewer = make_napari_viewer()
    picture = Picture(viewer, Scene("picture", ("picture",)))
    picture.show(np.ones((40, 60)))
    camera = viewer.scene.camera
    for size in ((300, 240), (200, 900), (500, 700)):
        viewer.canvas.size = size
        assert camera.zoom == pytest.approx(0.95 * min(size[0] / 40, size[1] / 60), rel=0.05)
        assert camera.center[-2:] == pytest.approx((19.5, 29.5))
    # Where somebody has looked closer, the view is theirs until it is fitted anew.
    camera.zoom, camera.center = 30, (0, 5, 7)
    viewer.canvas.size = (300, 240)
    assert (camera.zoom, camera.center[-2:]) == (30, (5, 7))
    picture.show(np.ones((20, 20)))
    viewer.canvas.size = (400, 400)
    assert camera.zoom == pytest.approx(0.95 * 20, rel=0.05)


def test_a_sample_is_not_cut_off_by_panels_that_join_it(make_napari_viewer: Any) -> None:
    viewer = make_napari_viewer()
    open_panels_of_a_run(viewer)
    viewer.add_image(np.ones((9, 40, 60)))
    QTest.qWait(50)
    viewer.canvas.size = (500, 240)
    assert viewer.scene.camera.zoom == pytest.approx(0.95 * 240 / 60, rel=0.05)


def test_scenes_do_not_know_each_other() -> None:
    """None imports another but `run_layers`, which makes PEPPR's with the run's."""
    for kind in KINDS:
        text = (LAYERS / f"{kind}.py").read_text(encoding="utf-8")
        known = set(re.findall(r"napari_globalxai\.widgets\.layers\.(\w+) import", text))
        others = known.intersection(KINDS) - {kind}
        assert others == ({"peppr_layers"} if kind == "run_layers" else set()), kind
