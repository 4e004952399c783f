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
