"""A second run beside the first, an image less the others, and the cluster of an image."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import tifffile
from scipy.stats import spearmanr

from napari_globalxai.runs.questions.image_residual import image_residual
from napari_globalxai.widgets.session.shown_maps import Selection

pytestmark = pytest.mark.gui

TIMEOUT = 60_000


@pytest.fixture
def other_run(finished_run: Path, tmp_path: Path) -> Path:
    """The same cohort with the maps of another model: upside down."""
    folder = tmp_path / "other"
    shutil.copytree(finished_run, folder)
    for name in ("left", "right", "overall"):
        path = folder / "maps" / f"{name}.tif"
        tifffile.imwrite(path, tifffile.imread(path)[::-1].copy())
    return folder


@pytest.fixture
def beside(opened: Any, other_run: Path, qtbot: Any) -> Any:
    view = opened.explain.beside
    with qtbot.waitSignal(view.runner.succeeded, timeout=TIMEOUT):
        view.open_run(other_run)
    return view


def test_a_second_run_lies_below_and_follows_map_and_slider(
    opened: Any, beside: Any, qtbot: Any
) -> None:
    own = opened.session.run
    images, shown = (beside.layers.layer(role) for role in ("other images", "other map"))
    height = own.valid.shape[0]
    assert images.translate[-2] > height
    assert shown.translate[-2] == images.translate[-2]
    np.testing.assert_array_equal(images.data[7], opened.session.view.images[7])
    np.testing.assert_array_equal(shown.data, own.maps["overall"][::-1])
    opened.explain.map_box.setCurrentText("left")
    np.testing.assert_array_equal(shown.data, own.maps["left"][::-1])
    valid = own.valid & beside.layers.run.valid
    expected = spearmanr(own.maps["left"][valid], own.maps["left"][::-1][valid]).statistic
    assert f"{expected:.2f}" in beside.said.text()
    # Of which images: those above may be others.
    assert "above are others" not in beside.said.text()
    opened.session.select(Selection("age > 60", (1, 2, 3)))
    assert "own maps, of all images; above are others: age > 60." in beside.said.text()
    opened.session.select(None)
    assert "above are others" not in beside.said.text()
    opened.session.show_native(True)
    assert not images.visible
    opened.session.show_native(False)
    assert images.visible
    beside.close_button.click()
    # Each in a turn of its own.
    qtbot.waitUntil(lambda: beside.layers.layer("other images") is None)
    assert not beside.said.isVisibleTo(opened.explain)


def choose(view: Any, shown: str) -> None:
    view.shown_box.setCurrentIndex(view.shown_box.findData(shown))
    view.shown_box.activated.emit(view.shown_box.currentIndex())


def test_the_difference_of_both_runs_is_that_of_the_command_line(
    opened: Any, beside: Any, qtbot: Any
) -> None:
    from napari_globalxai.runs.questions.comparison import compare_runs
    from napari_globalxai.settings.compare_settings import CompareSettings

    own, other = opened.session.run, beside.layers.run
    opened.explain.map_box.setCurrentText("left")
    with qtbot.waitSignal(beside.runner.succeeded, timeout=TIMEOUT):
        choose(beside, "means")
    layer = beside.layers.layer("other difference")
    expected = compare_runs(own, other, CompareSettings()).labels["left"]
    np.testing.assert_array_equal(layer.data, expected.difference)
    assert layer.name == f"A − B: left ({own.folder.name} − other)"
    low, high = layer.contrast_limits
    assert low == -high
    assert layer.colorbar.visible
    assert layer.visible
    assert layer.translate[-2] > own.valid.shape[0]
    assert not beside.layers.layer("other map").visible
    assert f"maps of {expected.facts['n']} images" in beside.said.text()
    assert f"difference {expected.facts['auc_difference']:.3f}" in beside.said.text()
    # Of all labels together there is none.
    opened.explain.map_box.setCurrentText("overall")
    assert not layer.visible
    assert "choose one" in beside.said.text()
    choose(beside, "map")
    assert beside.layers.layer("other map").visible


def test_the_image_in_view_differs_too(opened: Any, beside: Any, qtbot: Any) -> None:
    own, other = opened.session.run, beside.layers.run
    # The same maps, as the copy has them, but for the last image.
    choose(beside, "image")
    opened.explain.map_box.setCurrentText("left")
    opened.explain.layers.step_to(3)
    qtbot.waitUntil(lambda: beside.layers.layer("other difference") is not None, timeout=TIMEOUT)
    layer = beside.layers.layer("other difference")
    np.testing.assert_array_equal(layer.data, np.zeros_like(own.maps["left"]))
    monkeyed = np.roll(own.image_map(4, "left"), 5, axis=1)
    other.image_map = lambda row, label: monkeyed if row == 4 else own.image_map(row, label)
    opened.explain.layers.step_to(4)
    qtbot.waitUntil(lambda: bool(layer.data.any()), timeout=TIMEOUT)
    image = own.image_map(4, "left")
    scale = image.size / np.abs(image).sum()
    np.testing.assert_allclose(layer.data, (image - monkeyed) * scale, rtol=1e-4, atol=1e-4)


def test_a_kept_comparison_is_read(
    opened: Any, beside: Any, qtbot: Any, monkeypatch: pytest.MonkeyPatch, finished_run: Path
) -> None:
    from napari_globalxai import compare
    from napari_globalxai.runs.questions import comparison

    kept = finished_run / "comparisons" / "kept"
    expected = compare(opened.session.run, beside.layers.run, kept).labels["right"].difference
    monkeypatch.setattr(comparison, "compare_runs", lambda *given: pytest.fail("compared anew"))
    opened.explain.map_box.setCurrentText("right")
    with qtbot.waitSignal(beside.runner.succeeded, timeout=TIMEOUT):
        choose(beside, "means")
    np.testing.assert_array_equal(beside.layers.layer("other difference").data, expected)
    shutil.rmtree(kept.parent)


def test_another_run_on_show_takes_the_second_away(
    opened: Any, beside: Any, finished_run: Path, qtbot: Any
) -> None:
    with qtbot.waitSignal(opened.explain.runner.succeeded, timeout=TIMEOUT):
        opened.explain.open_run(finished_run)
    assert beside.layers.run is None
    assert not any("other run" in name for name in opened.layer_names())


def test_what_is_no_run_is_said(opened: Any, tmp_path: Path, qtbot: Any) -> None:
    view = opened.explain.beside
    with qtbot.waitSignal(view.runner.failed, timeout=TIMEOUT):
        view.open_run(tmp_path)
    assert str(tmp_path) in view.job_bar.status.text()
    assert view.layers.run is None


def test_the_image_in_view_is_shown_less_the_others(opened: Any, qtbot: Any) -> None:
    explain = opened.explain
    explain.map_box.setCurrentText("left")
    with qtbot.waitSignal(explain.layers.attribution_shown, timeout=TIMEOUT):
        explain.maps.residual_box.click()
    qtbot.waitUntil(
        lambda: "This image less the others: left" in opened.layer_names(), timeout=TIMEOUT
    )
    layer = explain.layers.layer("attribution")
    assert layer.visible
    assert tuple(layer.contrast_limits) == (-1, 1)
    expected = image_residual(opened.session.run, opened.session.row, "left")
    np.testing.assert_allclose(layer.data, expected / (np.abs(expected).max() or 1), atol=1e-6)
    with qtbot.waitSignal(explain.layers.attribution_shown, timeout=TIMEOUT):
        explain.maps.residual_box.click()
    qtbot.waitUntil(lambda: "Attribution: left" in opened.layer_names(), timeout=TIMEOUT)
    assert tuple(layer.contrast_limits) == (0, 1)


def test_the_cluster_of_the_image_in_view_is_a_selection(
    opened: Any, finished_run: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    from napari_globalxai.widgets.workbench.open_panels import open_panel

    images, run = open_panel(opened.viewer, "All images"), opened.session.run
    preset = images.preset_box.findData("cluster")
    opened.session.choose_map("left")
    images.preset_box.setCurrentIndex(preset)
    assert "press “Audit” in the panel “Regions”" in images.said.text()
    # It is no order: the box goes on telling the one that there is.
    assert images.preset_box.currentData() == ""
    images.preset_box.setCurrentIndex(images.preset_box.findData("errors"))
    folder = tmp_path / "audited"
    shutil.copytree(finished_run, folder)
    (folder / "audit").mkdir()
    lines = [(row, "left", 1 + row % 3) for row in range(1, 40, 2)] + [(0, "right", 1)]
    table = pd.DataFrame(lines, columns=["row", "label", "cluster"])
    table.to_csv(folder / "audit" / "clusters.csv", index=False)
    monkeypatch.setattr(run, "folder", folder)
    opened.viewer.dims.set_current_step(0, 7)
    images.preset_box.activated.emit(preset)
    selection = opened.session.selection
    assert selection.where == "cluster 2 of 3 of left"
    assert selection.rows == tuple(row for row, label, number in lines if number == 2 and row)
    assert images.model.rowCount() == len(selection.rows)
    assert images.preset_box.currentData() == "errors"
    opened.viewer.dims.set_current_step(0, 0)
    images.preset_box.activated.emit(preset)
    assert "in no cluster of left" in images.said.text()
