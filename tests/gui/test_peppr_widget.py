"""The panel that tests a map for faithfulness, in a real viewer."""

from __future__ import annotations

import shutil
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from qtpy.QtCore import Qt

from napari_globalxai.widgets.jobs.event_turns import TURNS
from napari_globalxai.widgets.session.shown_maps import Selection

pytestmark = pytest.mark.gui

TIMEOUT = 60_000


def wait_for_plot(peppr: Any, qtbot: Any) -> None:
    """Wait until the curves, drawn in a worker, are those of what is on show."""
    qtbot.waitUntil(lambda: not peppr.plot.is_drawing, timeout=TIMEOUT)


@pytest.fixture
def with_result(opened: Any, qtbot: Any) -> Any:
    """Panels with PEPPR along the map `left` loaded from the run."""
    opened.session.choose_map("left")
    # Its layers come a turn later.
    qtbot.waitUntil(lambda: opened.session.result is not None and TURNS.is_idle, timeout=TIMEOUT)
    return opened


def test_runs_and_shows_curves_and_verdict(
    panels: Any, finished_run: Path, tmp_path: Path, qtbot: Any
) -> None:
    shutil.copytree(finished_run, tmp_path / "run")
    shutil.rmtree(tmp_path / "run" / "peppr")
    with qtbot.waitSignal(panels.explain.runner.succeeded, timeout=TIMEOUT):
        panels.explain.open_run(tmp_path / "run")
    peppr = panels.peppr
    peppr.map_box.setCurrentText("right")
    peppr.steps_box.setValue(8)
    peppr.controls_box.setValue(199)
    peppr.fill_box.setCurrentText("mean-colour")
    assert panels.session.result is None
    with qtbot.waitSignal(peppr.runner.succeeded, timeout=TIMEOUT):
        qtbot.mouseClick(peppr.compute_button, Qt.MouseButton.LeftButton)
    result = panels.session.result
    assert result.map_name == "right"
    assert result.settings["fill"] == "mean-colour"
    assert result.settings["controls"] == 199
    assert peppr.label_box.currentText() == "right"
    assert peppr.badge.text() == result.verdict["right"].word
    assert result.verdict["right"].kind == "faithful and specific to this model"
    assert peppr.reason.text().startswith(result.verdict["right"].reason)
    assert (tmp_path / "run" / "peppr" / "right.mean-colour.json").is_file()

    wait_for_plot(peppr, qtbot)
    drawn = {line.get_label(): line for line in peppr.plot.curves_axes.get_lines()}
    curves = result.curves.query("label == 'right' and order == 'map' and metric == 'roc_auc'")
    for arm, name in (("restore", "Restored along the map"), ("erase", "Erased along the map")):
        points = curves[curves["arm"] == arm]
        np.testing.assert_allclose(drawn[name].get_xdata(), 100 * points["fraction"])
        np.testing.assert_allclose(drawn[name].get_ydata(), points["value"])
    assert "Surrogate maps, restored" in drawn
    assert "Shifted maps, restored" in drawn


def test_stored_result_loads_with_its_map(opened: Any, qtbot: Any) -> None:
    peppr = opened.peppr
    opened.explain.map_box.setCurrentText("left")
    qtbot.waitUntil(lambda: opened.session.result is not None, timeout=TIMEOUT)
    assert opened.session.result.map_name == "left"
    assert peppr.label_box.currentText() == "left"
    # Three controls can't reach p = 0.05.
    assert peppr.badge.text() == "not enough data"
    assert "3 controls" in peppr.reason.text()
    opened.explain.map_box.setCurrentText("right")
    qtbot.waitUntil(lambda: opened.session.result is None, timeout=TIMEOUT)
    hidden = [opened.explain.layers.layer(role) for role in ("seen", "area")]
    assert not any(layer.visible for layer in hidden)
    opened.explain.map_box.setCurrentText("left")
    qtbot.waitUntil(lambda: opened.session.result is not None, timeout=TIMEOUT)
    # The same layers, not new ones.
    assert [opened.explain.layers.layer(role) for role in ("seen", "area")] == hidden
    assert all(layer.visible for layer in hidden)


def test_scrubbing_shows_what_is_erased_and_what_the_model_saw(with_result: Any) -> None:
    session, layers = with_result.session, with_result.explain.layers
    with_result.viewer.dims.set_current_step(0, 4)
    result, run = session.result, session.run
    image = run.stack.images[4]
    for arm, name, fraction in (
        ("restore", "Restored area", 0.1),
        ("erase", "Erased area", 0.1),
        ("erase", "Erased area", 0.6),
    ):
        session.scrub(fraction, arm)
        area = layers.layer("area")
        assert area.name == name
        count = round(fraction * len(result.order))
        expected = np.zeros(run.valid.size, np.uint8)
        expected[result.order_for(4)[:count]] = 1
        # The outermost pixels have a label of their own.
        np.testing.assert_array_equal(area.data > 0, expected.reshape(run.valid.shape) > 0)
        shown = expected.reshape(run.valid.shape) == (arm == "restore")
        saw = np.where(shown & run.valid, image, np.rint(result.fill.image).astype(np.uint8))
        layer = layers.layer("seen")
        assert layer.name == "What the model saw"
        np.testing.assert_array_equal(layer.data[..., :2], np.moveaxis(saw, 0, -1))


def test_moving_to_another_image_changes_what_the_model_saw(with_result: Any) -> None:
    session, layers = with_result.session, with_result.explain.layers
    session.scrub(1.0, "restore")
    for row in (2, 9):
        with_result.viewer.dims.set_current_step(0, row)
        seen, image = layers.layer("seen").data, session.run.stack.images[row]
        valid = session.run.valid
        np.testing.assert_array_equal(seen[valid][:, 0], image[0][valid])
        assert (
            f"{session.result.probabilities['restore'][-1, row, 0]:.2f} with 100.0 % restored"
            in (with_result.peppr.probability.text())
        )


def test_keyboard_moves_the_scrubber(with_result: Any, qtbot: Any) -> None:
    scrubber, session = with_result.peppr.scrubber, with_result.session
    session.scrub(0.0, "restore")
    for _ in range(3):
        qtbot.keyClick(scrubber.slider, Qt.Key.Key_Right)
    assert session.fraction == pytest.approx(0.03)
    qtbot.keyClick(scrubber.slider, Qt.Key.Key_Left)
    assert session.fraction == pytest.approx(0.02)
    scrubber.erase_button.click()
    assert session.arm == "erase"
    layers = with_result.explain.layers
    # The first layer of a result comes a turn later.
    qtbot.waitUntil(lambda: layers.layer("area") is not None)
    area = layers.layer("area")
    assert area.name == "Erased area"
    assert scrubber.value_label.text() == "2.0 %"
    # What napari paints with on it takes long to make, and is made for whoever paints.
    drawn = with_result.viewer.window._qt_viewer.canvas._layer_overlay_to_visual[area]

    def tools() -> set[str]:
        names = {type(overlay).__name__ for overlay in drawn}
        return names & {"LabelsPolygonOverlay", "LabelsBrushStrokeOverlay"}

    assert tools() == set()
    area.mode = "polygon"
    assert tools() == {"LabelsPolygonOverlay"}
    area.mode = "paint"
    assert tools() == {"LabelsPolygonOverlay", "LabelsBrushStrokeOverlay"}


def test_playing_runs_to_the_end(with_result: Any, qtbot: Any) -> None:
    scrubber = with_result.peppr.scrubber
    scrubber.slider.setValue(975)
    scrubber.play_button.click()
    qtbot.waitUntil(lambda: not scrubber.play_button.isChecked(), timeout=10_000)
    assert with_result.session.fraction == 1.0


def test_clicking_the_curves_goes_to_a_fraction(with_result: Any) -> None:
    with_result.peppr.plot.fraction_picked.emit(0.25)
    assert with_result.session.fraction == 0.25
    assert with_result.peppr.scrubber.slider.value() == 250


def test_scrubbing_is_fluent(with_result: Any) -> None:
    session = with_result.session
    times = []
    for step in range(1, 61):
        start = time.thread_time()
        session.scrub(step / 60)
        times.append(time.thread_time() - start)
    # Of the GUI thread itself, so that a busy machine does not count. Measured: 10 ms.
    assert np.median(times) < 0.03


def test_label_of_another_map_is_not_judged(with_result: Any, qtbot: Any) -> None:
    peppr = with_result.peppr
    peppr.label_box.setCurrentText("right")
    assert peppr.badge.text() == "not judged"
    wait_for_plot(peppr, qtbot)
    assert peppr.plot.curves_axes.get_ylabel() == "ROC AUC of right"


def test_cancelled_run_can_be_started_again(
    panels: Any, finished_run: Path, tmp_path: Path, qtbot: Any
) -> None:
    shutil.copytree(finished_run, tmp_path / "run")
    with qtbot.waitSignal(panels.explain.runner.succeeded, timeout=TIMEOUT):
        panels.explain.open_run(tmp_path / "run")
    peppr = panels.peppr
    peppr.map_box.setCurrentText("right")
    peppr.steps_box.setValue(8)

    def stop(progress: Any) -> None:
        if progress.stage == "Testing surrogate maps":
            peppr.cancel()

    peppr.runner.progressed.connect(stop)
    with qtbot.waitSignal(peppr.runner.cancelled, timeout=TIMEOUT):
        peppr.compute()
    assert panels.session.result is None
    peppr.runner.progressed.disconnect(stop)
    with qtbot.waitSignal(peppr.runner.succeeded, timeout=TIMEOUT):
        peppr.compute()
    assert panels.session.result.map_name == "right"


def test_moved_model_is_one_sentence(
    panels: Any, inputs: Any, finished_run: Path, tmp_path: Path, qtbot: Any
) -> None:
    from napari_globalxai.storage import read_json, write_json

    shutil.copytree(finished_run, tmp_path / "run")
    info = read_json(tmp_path / "run" / "run.json")
    info["model"]["source"] = str(tmp_path / "moved.yaml")
    write_json(tmp_path / "run" / "run.json", info)
    with qtbot.waitSignal(panels.explain.runner.succeeded, timeout=TIMEOUT):
        panels.explain.open_run(tmp_path / "run")
    with qtbot.waitSignal(panels.peppr.runner.failed, timeout=TIMEOUT):
        panels.peppr.compute()
    assert "moved.yaml" in panels.peppr.job_bar.status.text()
    assert panels.peppr.compute_button.isEnabled()


def test_theme_reaches_the_plot(with_result: Any, qtbot: Any) -> None:
    from matplotlib.colors import to_hex
    from napari.utils.theme import get_theme

    for theme in ("light", "dark"):
        with_result.viewer.theme = theme
        wait_for_plot(with_result.peppr, qtbot)
        ground = to_hex(with_result.peppr.plot.figure.get_facecolor())
        assert ground == to_hex(get_theme(theme).background.as_hex(format="long"))


def test_without_a_run_the_panel_says_what_to_do(panels: Any) -> None:
    panels.peppr.compute()
    assert "open a run first" in panels.peppr.job_bar.status.text()
    assert not panels.peppr.compute_button.isEnabled()


def test_every_setting_is_in_the_panel_at_its_default(panels: Any) -> None:
    from napari_globalxai.settings.execution_settings import DeviceSettings, WorkerSettings
    from napari_globalxai.settings.peppr_settings import PepprSettings

    peppr = panels.peppr
    shown = {"fill", "steps", "controls", *peppr.more_form.fields}
    computing = {*DeviceSettings.model_fields, *WorkerSettings.model_fields}
    assert shown == {*PepprSettings.model_fields, *computing}
    assert peppr.settings() == PepprSettings()
    assert peppr.computing() == DeviceSettings()
    assert peppr.form.workers() == WorkerSettings()


def test_the_panel_says_that_a_selection_is_not_what_is_tested(opened: Any) -> None:
    note, session = opened.peppr.whole_run_note, opened.session
    assert note.isHidden()
    session.select(Selection("age > 60", (1, 2, 3)))
    assert not note.isHidden()
    assert "age > 60" in note.text()
    assert "tests the run's own, of all images" in note.text()
    # So is the other side of a difference, and another statistic.
    session.select(None)
    assert note.isHidden()
    session.compare_with(Selection("age > 50", (4,)))
    assert "all images − age > 50" in note.text()
    session.compare_with(None)
    session.choose_statistic("sd")
    assert not note.isHidden()
