"""Groups of layers of which one is in front, in a real viewer."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from napari.layers import Image

import napari_globalxai.widgets
from napari_globalxai.widgets.layer_roles import RoleLayers
from napari_globalxai.widgets.layers import layers_of
from napari_globalxai.widgets.scenes import Scene, scenes_of

pytestmark = pytest.mark.gui

WIDGETS = Path(napari_globalxai.widgets.__file__).parent
KINDS = ("layers", "peppr_layers", "other_run", "quality_layers", "growing_layers")


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


def test_scenes_do_not_know_each_other() -> None:
    """None imports another but `layers`, which makes PEPPR's with the run's."""
    for kind in KINDS:
        text = (WIDGETS / f"{kind}.py").read_text(encoding="utf-8")
        known = set(re.findall(r"napari_globalxai\.widgets\.(\w+) import", text))
        others = known.intersection(KINDS) - {kind}
        assert others == ({"peppr_layers"} if kind == "layers" else set()), kind
