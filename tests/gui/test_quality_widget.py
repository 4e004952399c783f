"""The panel that checks a cohort, in a real viewer, alone and beside an open run."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import napari
import numpy as np
import pandas as pd
import posed
import pytest
from cut_text import cut_texts
from dropping import drop
from qtpy.QtCore import Qt

from napari_globalxai.storage import read_json
from napari_globalxai.widgets.jobs.event_turns import TURNS
from napari_globalxai.widgets.workbench.open_panels import find_panel

pytestmark = pytest.mark.gui

TIMEOUT = 60_000
HEIGHT, WIDTH = 48, 64
DARK, TURNED = 3, 6
GONE = 8
STACK = "quality images"


@pytest.fixture(scope="session")
def faulty(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A cohort with a dark image, one upside down, and one that is not there."""
    cohort = posed.draw(GONE, seed=5)
    cohort.images[DARK] //= 8
    cohort.images[TURNED] = cohort.images[TURNED, ::-1, ::-1]
    table = cohort.write(tmp_path_factory.mktemp("faulty"))
    with table.open("a") as stream:
        stream.write("gone.png,L,0\n")
    return table


@pytest.fixture(scope="session")
def checked(faulty: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished quality control without its page, as Python's function leaves it."""
    from napari_globalxai.runs.inputs.quality_control import check_quality

    folder = tmp_path_factory.mktemp("quality") / "checked"
    options: dict[str, Any] = {"registration": "none", "estimate_laterality": False}
    return check_quality(faulty, folder, height=HEIGHT, width=WIDTH, **options).folder


def make_panel(viewer: Any) -> Any:
    from napari_globalxai.widgets import QualityWidget

    panel = QualityWidget(viewer)
    viewer.window.add_dock_widget(panel, name="Quality control", area="right")
    return panel


def fill_in(panel: Any, cohort: Path, out: Path) -> None:
    panel.cohort_field.path = cohort
    panel.output_field.path = out
    panel.alignment_form.registration_box.setCurrentText("none")
    panel.alignment_form.sides_box.setChecked(False)
    panel.height_box.setValue(HEIGHT)
    panel.width_box.setValue(WIDTH)


def opened_panel(viewer: Any, folder: Path, qtbot: Any) -> Any:
    panel = make_panel(viewer)
    with qtbot.waitSignal(panel.runner.succeeded, timeout=TIMEOUT):
        panel.open_folder(folder)
    return panel


@pytest.fixture
def panel(make_napari_viewer: Any) -> Any:
    return make_panel(make_napari_viewer())


@pytest.fixture
def shown(make_napari_viewer: Any, checked: Path, qtbot: Any) -> tuple[Any, Any]:
    """A viewer, and its panel with a finished quality control."""
    viewer = make_napari_viewer()
    return viewer, opened_panel(viewer, checked, qtbot)


def table_of(folder: Path) -> pd.DataFrame:
    """What quality.csv lists as different, read past the package."""
    table = pd.read_csv(folder / "quality.csv")
    return table[table["laterality_suspected"] | (table["outlier_score"] > 3.5)]


def visible(viewer: Any) -> set[str]:
    return {layer.name for layer in viewer.layers if layer.visible}


def test_checks_lists_and_shows(make_napari_viewer: Any, faulty: Any, tmp_path: Any, qtbot: Any):
    viewer = make_napari_viewer()
    panel, out = make_panel(viewer), tmp_path / "out"
    fill_in(panel, faulty, out)
    stages: list[str] = []
    panel.runner.progressed.connect(lambda progress: stages.append(progress.stage))
    with qtbot.waitSignal(panel.runner.succeeded, timeout=TIMEOUT):
        qtbot.mouseClick(panel.check_button, Qt.MouseButton.LeftButton)
        assert not panel.check_button.isEnabled()
    assert panel.check_button.isEnabled()
    assert {"Aligning images", "Averaging images", "Writing the page"} <= set(stages)
    assert (out / "quality.html").is_file()

    settings = read_json(out / "run.json")
    assert settings["frame"]["height"] == HEIGHT
    assert settings["settings"] == {
        "registration": "none",
        "template": None,
        "estimate_laterality": False,
        "stored_bits": None,
    }
    info = read_json(out / "quality.json")
    for text in ("Unreadable", "Outliers", "Sharpness of mean", f"{info['sharpness']:.3f}"):
        assert text in panel.facts.text()
    problems = panel.problems.toPlainText().splitlines()
    from napari_globalxai.widgets.words.panel_words import in_panel_words

    # What the command line would mend by an option, the panel mends by a field.
    assert problems == [in_panel_words(problem) for problem in info["problems"]]
    assert not any("--" in problem for problem in problems)
    assert any("gone.png" in problem for problem in problems)
    assert panel.problems.isReadOnly()

    layers, quality = panel.layers, panel.layers.view.quality
    np.testing.assert_array_equal(
        layers.layer(STACK).data[2], quality.stack.images[2].transpose(1, 2, 0)
    )
    np.testing.assert_allclose(
        layers.layer("quality mean").data, quality.mean.transpose(1, 2, 0), atol=0.5
    )
    np.testing.assert_allclose(
        layers.layer("quality sd").data, np.sqrt((quality.sd**2).mean(axis=0)), rtol=1e-5
    )
    np.testing.assert_array_equal(layers.layer("quality coverage").data, quality.coverage)
    assert [layer.name for layer in viewer.layers] == [
        "Aligned images",
        "Mean image",
        "SD image",
        "Coverage",
    ]
    assert visible(viewer) == {"Aligned images", "Mean image"}
    # Beside each other, not on each other.
    assert layers.layer("quality mean").translate[-2] > HEIGHT


def test_table_lists_what_the_file_says(shown: Any, checked: Path) -> None:
    _, panel = shown
    expected = table_of(checked)
    assert {DARK, TURNED} <= set(expected["row"])
    texts = panel.table.texts()
    assert [row[0] for row in texts] == list(expected["file"])
    assert [row[2] for row in texts] == [f"{score:.1f}" for score in expected["outlier_score"]]
    assert [row[3] for row in texts] == [f"{away:.2f}" for away in expected["distance"]]
    assert [row[4] for row in texts] == list(expected["laterality"])
    dark = list(expected["row"]).index(DARK)
    assert "dark" in texts[dark][1]
    assert panel.table.item(dark, 1).toolTip().splitlines()[0] == expected["path"].iloc[dark]


def test_table_is_sorted_by_number(shown: Any, checked: Path) -> None:
    _, panel = shown
    panel.table.sortByColumn(3, Qt.SortOrder.AscendingOrder)
    distances = [float(row[3]) for row in panel.table.texts()]
    assert distances == sorted(distances)
    # The image that a row stands for goes with it.
    panel.table.setCurrentCell(0, 0)
    assert panel.table.text(0, 0) in panel.title.text()


def test_clicks_and_keys_step_the_viewer(shown: Any, checked: Path, qtbot: Any) -> None:
    viewer, panel = shown
    rows = list(table_of(checked)["row"])
    table = panel.table
    for index in (1, 0):
        cell = table.visualItemRect(table.item(index, 0)).center()
        qtbot.mouseClick(table.viewport(), Qt.MouseButton.LeftButton, pos=cell)
        assert viewer.dims.current_step[0] == rows[index]
        assert f"{rows[index] + 1} of {GONE + 1}: {rows[index]:03}.png" in panel.title.text()
        assert table.text(index, 1) in panel.noticed.text()
    qtbot.keyClick(table, Qt.Key.Key_Down)
    assert viewer.dims.current_step[0] == rows[1]
    # Back from wherever the slider went.
    plain = next(row for row in range(GONE) if row not in rows)
    viewer.dims.set_current_step(0, plain)
    assert panel.noticed.text() == "Nothing was noticed."
    assert table.currentRow() == -1
    viewer.dims.set_current_step(0, rows[1])
    assert table.currentRow() == 1
    viewer.dims.set_point(0, 0)
    table.setCurrentCell(1, 0)
    viewer.layers["Aligned images"].visible = False
    qtbot.keyClick(table, Qt.Key.Key_Return)
    assert viewer.dims.current_step[0] == rows[1]
    assert viewer.layers["Aligned images"].visible


def test_image_that_failed_says_why(shown: Any) -> None:
    viewer, panel = shown
    viewer.dims.set_current_step(0, GONE)
    assert "Failed: gone.png" in panel.title.text()
    assert panel.noticed.text() == ""


def test_one_picture_at_a_time_lies_below(shown: Any, qtbot: Any) -> None:
    viewer, panel = shown
    for role, name in (("quality sd", "SD image"), ("quality coverage", "Coverage")):
        panel.companions[role].click()
        assert visible(viewer) == {"Aligned images", name}
        assert viewer.layers[name].colormap.name == "viridis"
    panel.companions[""].click()
    assert visible(viewer) == {"Aligned images"}


def test_page_opens_in_the_browser(
    shown: Any, checked: Path, qtbot: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    from qtpy.QtGui import QDesktopServices

    _, panel = shown
    # Python's function had written none.
    assert (checked / "quality.html").is_file()
    opened: list[str] = []
    monkeypatch.setattr(
        QDesktopServices, "openUrl", lambda url: opened.append(url.toLocalFile()) or len(opened) > 1
    )
    panel.page_button.click()
    assert "No browser was found" in panel.job_bar.status.text()
    panel.page_button.click()
    assert opened == [str(checked / "quality.html")] * 2


def test_cancel_keeps_what_is_finished(panel: Any, faulty: Path, tmp_path: Path, qtbot: Any):
    out = tmp_path / "out"
    fill_in(panel, faulty, out)

    def stop(progress: Any) -> None:
        if progress.stage == "Averaging images":
            panel.cancel()

    panel.runner.progressed.connect(stop)
    with qtbot.waitSignal(panel.runner.cancelled, timeout=TIMEOUT):
        panel.check()
    panel.runner.progressed.disconnect(stop)
    assert "Stopped" in panel.job_bar.status.text()
    assert panel.layers.view is None
    with qtbot.waitSignal(panel.runner.failed, timeout=TIMEOUT):
        panel.open_folder(out)
    with qtbot.waitSignal(panel.runner.succeeded, timeout=TIMEOUT):
        panel.check()
    assert len(panel.layers.view.images) == GONE + 1


def test_folders_and_tables_that_are_none_get_one_sentence(
    panel: Any, faulty: Path, tmp_path: Path, qtbot: Any
) -> None:
    panel.check()
    assert panel.job_bar.status.text() == "Choose a cohort table."
    with qtbot.waitSignal(panel.runner.failed, timeout=TIMEOUT):
        panel.open_folder(tmp_path)
    sentence = panel.job_bar.status.text()
    assert str(tmp_path) in sentence
    assert "holds no quality control" in sentence
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "file.txt").write_text("mine")
    fill_in(panel, faulty, tmp_path / "other")
    with qtbot.waitSignal(panel.runner.failed, timeout=TIMEOUT):
        panel.check()
    assert "something else than aligned images" in panel.job_bar.status.text()
    fill_in(panel, tmp_path / "nothing.csv", tmp_path / "out")
    with qtbot.waitSignal(panel.runner.failed, timeout=TIMEOUT):
        panel.check()
    assert "nothing.csv" in panel.job_bar.status.text()
    assert panel.layers.view is None
    assert panel.check_button.isEnabled()


def test_checking_anew_into_the_folder_in_view(
    make_napari_viewer: Any, faulty: Path, tmp_path: Path, qtbot: Any, monkeypatch: Any
) -> None:
    from napari_globalxai.widgets.session import run_view

    # Read image by image from the stack, which the second check writes anew.
    monkeypatch.setattr(run_view, "MOST_BYTES_IN_MEMORY", 0)
    viewer = make_napari_viewer()
    panel = make_panel(viewer)
    fill_in(panel, faulty, tmp_path / "out")
    for height in (HEIGHT, HEIGHT // 2):
        panel.height_box.setValue(height)
        with qtbot.waitSignal(panel.runner.succeeded, timeout=TIMEOUT):
            panel.check()
            assert len(viewer.layers) == 0
        assert panel.layers.layer(STACK).data.shape == (GONE + 1, height, WIDTH, 3)
        assert panel.layers.layer("quality mean").data.shape == (height, WIDTH, 3)


def test_closing_the_viewer_while_checking_stops_the_work(
    make_napari_viewer: Any, faulty: Path, tmp_path: Path, qtbot: Any
) -> None:
    from qtpy.QtCore import QThreadPool

    viewer = make_napari_viewer()
    panel = make_panel(viewer)
    fill_in(panel, faulty, tmp_path / "out")
    with qtbot.waitSignal(panel.runner.progressed, timeout=TIMEOUT):
        panel.check()
    viewer.close()
    assert QThreadPool.globalInstance().waitForDone(TIMEOUT)
    assert not (tmp_path / "out" / "quality.json").exists()


def test_panel_that_is_opened_again_shows_what_was_found(shown: Any, qtbot: Any) -> None:
    viewer, panel = shown
    texts = panel.table.texts()
    viewer.window.remove_dock_widget(panel)
    panel.deleteLater()
    qtbot.wait(50)
    viewer.dims.set_current_step(0, DARK)
    again = make_panel(viewer)
    assert again.table.texts() == texts
    assert f"{DARK:03}.png" in again.title.text()


def test_run_and_quality_control_take_turns(opened: Any, checked: Path, qtbot: Any) -> None:
    """What the user worked with last is in front; nothing of a run is ever removed."""
    viewer, session = opened.viewer, opened.session
    # The map with a stored result of PEPPR, so that all kinds of layers are there.
    session.choose_map("left")
    qtbot.waitUntil(lambda: session.result is not None and TURNS.is_idle, timeout=TIMEOUT)
    before, seen = opened.layer_names(), visible(viewer)
    chosen = viewer.layers.selection.active
    panel = opened_panel(viewer, checked, qtbot)
    assert viewer.layers.selection.active.name == "Aligned images"
    mine = {"Aligned images", "Mean image"}
    assert set(before) < set(opened.layer_names())
    assert visible(viewer) == mine
    zoom = viewer.scene.camera.zoom
    panel.front_box.setChecked(False)
    assert visible(viewer) == seen
    # napari's controls are not those of a layer that is hidden.
    assert viewer.layers.selection.active is chosen
    # Each fills the canvas, whatever the size of the other's frame.
    assert viewer.scene.camera.zoom != zoom

    panel.table.setCurrentCell(0, 0)
    assert visible(viewer) == mine
    assert viewer.scene.camera.zoom == zoom
    assert panel.front_box.isChecked()
    assert session.run is not None
    for touch in (
        lambda: session.choose_map("overall"),
        lambda: session.scrub(0.4, "erase"),
        lambda: session.open(session.view),
    ):
        panel.layers.bring_forward()
        touch()
        assert not panel.front_box.isChecked()
        assert not mine & visible(viewer)
        assert "Images" in visible(viewer)
    assert np.array_equal(opened.explain.layers.layer("images").data, session.view.images)


# PySide6 asks for a point with fractions, which PyQt6 does not take.
@pytest.mark.filterwarnings("ignore:Function. 'QDragEnterEvent:DeprecationWarning")
def test_what_is_dropped_goes_where_it_belongs(
    panel: Any, faulty: Path, inputs: Any, finished_run: Path, qtbot: Any
) -> None:
    line, viewer = panel.cohort_field.line, napari.current_viewer()
    drop(line, faulty)
    qtbot.waitUntil(lambda: "9 images" in panel.preview.facts.text(), timeout=TIMEOUT)
    assert "gone.png" in panel.preview.problems.text()
    # The window takes what is ours as well, though no panel of a run was opened before.
    drop(viewer.window._qt_viewer, finished_run)
    explain = find_panel(viewer, "Global explanations")
    drop(line, inputs.model)
    assert explain.model_field.path == inputs.model
    with qtbot.waitSignal(explain.runner.succeeded, timeout=TIMEOUT):
        pass
    assert explain.session.run.folder == finished_run
    assert panel.cohort_field.path == faulty


def test_samples_cohort_is_taken_and_its_folder_suggested(
    make_napari_viewer: Any, home: Path, tmp_path: Path, qtbot: Any
) -> None:
    from napari_globalxai.widgets.sample_cohort import open_phantom

    viewer = make_napari_viewer()
    panel = make_panel(viewer)
    for data, meta, _ in open_phantom():
        viewer.add_image(data[:2], **meta)
    assert panel.cohort_field.path.name == "cohort.csv"
    assert panel.output_field.path == home / "napari-globalxai" / "cohort-quality"
    # What was typed stays.
    panel.output_field.line.clear()
    qtbot.keyClicks(panel.output_field.line, str(tmp_path / "own"))
    panel.cohort_field.path = tmp_path / "other.csv"
    assert panel.output_field.path == tmp_path / "own"


def test_default_folder_passes_over_other_results(
    checked: Path, faulty: Path, finished_run: Path, tmp_path: Path, home: Path
) -> None:
    import shutil

    from napari_globalxai.widgets.panels.quality.quality_widget import default_quality_folder

    first = default_quality_folder(faulty)
    first.parent.mkdir(parents=True)
    shutil.copytree(checked, first)
    assert default_quality_folder(faulty) == first
    shutil.rmtree(first)
    shutil.copytree(finished_run, first)
    assert default_quality_folder(faulty) == first.with_name(f"{first.name}-2")


def test_every_setting_of_the_frame_is_in_the_panel_at_its_default(panel: Any) -> None:
    from napari_globalxai.settings.frame_settings import CohortFrameSettings

    shown = {**panel.frame_form.fields, **panel.alignment_form.fields}
    assert set(shown) == set(CohortFrameSettings.model_fields)
    known = CohortFrameSettings()
    arguments = {**panel.frame_form.arguments(), **panel.alignment_form.arguments()}
    assert arguments == {name: getattr(known, name) for name in arguments}


def test_native_pixels_are_left_for_the_quality_control(
    panels: Any, finished_run: Path, checked: Path, qtbot: Any
) -> None:
    with qtbot.waitSignal(panels.explain.runner.succeeded, timeout=TIMEOUT):
        panels.explain.open_run(finished_run)
    panels.explain.native_box.click()
    assert panels.session.native
    panel = opened_panel(panels.viewer, checked, qtbot)
    assert not panels.session.native
    assert not panels.explain.native_box.isChecked()
    assert panel.layers.in_front
    # The other way round, the run comes back.
    panels.explain.native_box.click()
    assert not panel.layers.in_front


def test_what_is_noticed_is_read_in_a_narrow_panel(shown: Any, qtbot: Any) -> None:
    _, panel = shown
    panel.table.setFixedWidth(220)
    qtbot.waitUntil(lambda: panel.table.width() == 220)
    assert panel.table.rowCount()
    assert cut_texts(panel.table) == []
