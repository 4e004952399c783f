"""The maps of a run under way, in a real viewer."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from qtpy.QtCore import Qt

from napari_globalxai import open_run
from napari_globalxai.cohort.table import read_cohort
from napari_globalxai.errors import Cancelled
from napari_globalxai.widgets.jobs.event_turns import TURNS
from napari_globalxai.widgets.session.run_view import read_view

pytestmark = pytest.mark.gui

TIMEOUT = 60_000


@pytest.fixture
def under_way(panels: Any, finished_run: Path, inputs: Any, qtbot: Any) -> Any:
    """A job over a cohort whose images are all explained; it goes on until it is told."""
    explain, end = panels.explain, threading.Event()

    def work(progress: Any) -> None:
        end.wait(60)
        raise Cancelled

    def start() -> threading.Event:
        explain.runner.run(work)
        explain.growing.layers.start(finished_run, lambda: read_cohort(inputs.cohort))
        qtbot.waitUntil(lambda: explain.growing.layers.view is not None, timeout=TIMEOUT)
        return end

    yield start
    end.set()
    qtbot.waitUntil(lambda: not explain.runner.is_running, timeout=TIMEOUT)


def test_maps_grow_until_the_run_ends(
    panels: Any, under_way: Any, finished_run: Path, qtbot: Any
) -> None:
    growing, maps = panels.explain.growing, open_run(finished_run).maps
    assert not growing.isVisibleTo(panels.explain)
    end = under_way()
    assert growing.isVisibleTo(panels.explain)
    assert "40 of 40 images explained" in growing.said.text()
    assert "ROC AUC so far: left 1.00, right 1.00" in growing.said.text()
    qtbot.waitUntil(lambda: "Growing map: overall" in panels.layer_names())
    layer = panels.viewer.layers["Growing map: overall"]
    np.testing.assert_allclose(layer.data, maps["overall"], rtol=1e-5, atol=1e-7)
    ground = panels.viewer.layers["Mean of the first images"]
    assert ground.data.shape == (*layer.data.shape, 3)
    growing.map_box.setCurrentText("left")
    growing.map_box.activated.emit(growing.map_box.currentIndex())
    np.testing.assert_allclose(layer.data, maps["left"], rtol=1e-5, atol=1e-7)
    assert layer.name == "Growing map: left"
    assert "left: 20 images so far" in growing.said.text()
    end.set()
    qtbot.waitUntil(lambda: not panels.explain.runner.is_running, timeout=TIMEOUT)
    # Each in a turn of its own.
    qtbot.waitUntil(lambda: panels.layer_names() == [])
    assert not growing.isVisibleTo(panels.explain)


def test_the_layer_of_a_map_goes_on_with_the_finished_run(
    panels: Any, under_way: Any, finished_run: Path, qtbot: Any
) -> None:
    explain, run = panels.explain, open_run(finished_run)
    under_way()
    qtbot.waitUntil(lambda: "Growing map: overall" in panels.layer_names())
    layer = panels.viewer.layers["Growing map: overall"]
    explain.growing.layers.hand_over()
    explain.session.open(read_view(run))
    qtbot.waitUntil(lambda: TURNS.is_idle)
    names = ["Images", "Global map: overall"]
    qtbot.waitUntil(lambda: [each for each in panels.layer_names() if "Attr" not in each] == names)
    assert panels.viewer.layers["Global map: overall"] is layer
    assert layer.visible
    np.testing.assert_array_equal(layer.data, run.maps["overall"])
    # As any other map of a run.
    explain.session.choose_map("left")
    np.testing.assert_array_equal(layer.data, run.maps["left"])
    assert layer.name == "Global map: left"
    explain.maps.global_map_box.setChecked(False)
    assert not layer.visible
    layer.visible = True
    assert explain.maps.global_map_box.isChecked()


def test_a_run_on_show_stays_until_it_is_asked_otherwise(
    opened: Any, under_way: Any, qtbot: Any
) -> None:
    explain = opened.explain
    end = under_way()
    own = opened.viewer.layers["Global map: overall"]
    assert own.visible
    assert not any(name.startswith("Growing") for name in opened.layer_names())
    qtbot.mouseClick(
        explain.growing.shown_box,
        Qt.MouseButton.LeftButton,
        pos=explain.growing.shown_box.rect().center() * 0.1,
    )
    assert explain.growing.shown_box.isChecked()
    qtbot.waitUntil(lambda: "Growing map: overall" in opened.layer_names())
    assert opened.viewer.layers["Growing map: overall"].visible
    assert not own.visible
    end.set()
    qtbot.waitUntil(lambda: not explain.runner.is_running, timeout=TIMEOUT)
    assert own.visible
    qtbot.waitUntil(lambda: not any(name.startswith("Growing") for name in opened.layer_names()))
