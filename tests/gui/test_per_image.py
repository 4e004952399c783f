"""PEPPR image by image, from the panel: started, listed, and each image along its own map."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from qtpy.QtCore import Qt

from napari_globalxai.widgets.jobs.event_turns import TURNS

pytestmark = pytest.mark.gui

TIMEOUT = 60_000


@pytest.fixture
def own(panels: Any, finished_run: Path, tmp_path: Path, qtbot: Any) -> Any:
    """Panels in a window, on a run that a test may write into."""
    shutil.copytree(finished_run, tmp_path / "run")
    with qtbot.waitSignal(panels.explain.runner.succeeded, timeout=TIMEOUT):
        panels.explain.open_run(tmp_path / "run")
    panels.viewer.window.show()
    panels.viewer.window.resize(1200, 900)
    panels.peppr.bring_forward()
    panels.session.choose_map("left")
    qtbot.waitUntil(lambda: panels.session.result is not None and TURNS.is_idle, timeout=TIMEOUT)
    return panels


def slow_area(run: Any, row: int, label: str, fraction: float) -> Any:
    """Which pixels are restored of an image along its own map, one by one."""
    image = run.image_map(row, label)
    valid = run.coverage >= run.record.settings.valid_share
    places = sorted(zip(*np.nonzero(valid), strict=True), key=lambda place: -image[place])
    area = np.zeros(valid.shape, np.uint8)
    for place in places[: round(fraction * len(places))]:
        area[place] = 1
    return area


def test_images_are_tested_listed_and_scrubbed_along_their_own_maps(
    own: Any, tmp_path: Path, qtbot: Any
) -> None:
    peppr, session, view = own.peppr, own.session, own.peppr.images
    cohort = session.result
    qtbot.mouseClick(view.button, Qt.MouseButton.LeftButton)
    assert not view.found.isVisibleTo(view)
    peppr.steps_box.setValue(6)
    with qtbot.waitSignal(view.runner.succeeded, timeout=TIMEOUT):
        qtbot.mouseClick(view.compute_button, Qt.MouseButton.LeftButton)
    qtbot.waitUntil(lambda: bool(view.rows), timeout=TIMEOUT)
    stem = tmp_path / "run" / "peppr" / "left.per-image"
    table = pd.read_csv(f"{stem}.csv").sort_values("delta", kind="stable")
    # Lowest first, as the panel says; the number of images is that of the file.
    assert view.rows == table["row"].tolist()
    assert view.table.text(0, 0) == table["file"].iloc[0]
    told = json.loads(Path(f"{stem}.json").read_text())["per_image"]["left"]
    assert f"over {told['images']} images" in view.said.text()

    view.order_box.setCurrentIndex(view.order_box.findData("high"))
    assert view.rows == table["row"].tolist()[::-1]
    # By the keyboard: the next line shows the next image.
    view.table.setFocus()
    view.table.setCurrentCell(0, 0)
    qtbot.keyClick(view.table, Qt.Key.Key_Down)
    row = view.rows[1]
    qtbot.waitUntil(lambda: getattr(session.result, "row", None) == row, timeout=TIMEOUT)
    assert session.row == row
    result = session.result
    values = table[table["row"] == row].iloc[0]
    assert result.areas["left"]["delta"] == pytest.approx(values["delta"])
    assert "says nothing of the global map" in peppr.reason.text()
    # The scrubber runs along this image's own map.
    peppr.scrubber.slider.setValue(300)
    qtbot.waitUntil(lambda: TURNS.is_idle, timeout=TIMEOUT)
    layers = own.explain.layers
    expected = slow_area(session.run, row, "left", session.fraction)
    constant = np.ptp(session.run.image_map(row, "left")) == 0
    assert not constant
    assert np.count_nonzero(layers.layer("area").data) == np.count_nonzero(expected)
    image = session.run.image_map(row, "left")
    shown = image[layers.layer("area").data > 0]
    # Equal values fall in a random order.
    np.testing.assert_allclose(np.sort(shown), np.sort(image[expected > 0]))
    assert "probability of left" in peppr.probability.text()
    qtbot.waitUntil(lambda: not peppr.plot.is_drawing, timeout=TIMEOUT)
    lines = {line.get_label(): line for line in peppr.plot.curves_axes.get_lines()}
    for arm, name in (("restore", "Restored, this image"), ("erase", "Erased, this image")):
        x, y = lines[name].get_xdata() / 100, lines[name].get_ydata()
        kind = {"restore": "insertion", "erase": "deletion"}[arm]
        assert np.trapezoid(y, x) == pytest.approx(values[kind], abs=1e-5)
    # The slider goes on to another image, along that one's map; one without the label has none.
    other = view.rows[3]
    own.viewer.dims.set_current_step(0, other)
    qtbot.waitUntil(lambda: getattr(session.result, "row", None) == other, timeout=TIMEOUT)
    without = next(at for at in range(40) if at not in set(view.rows))
    own.viewer.dims.set_current_step(0, without)
    qtbot.waitUntil(lambda: session.result is None, timeout=TIMEOUT)
    own.viewer.dims.set_current_step(0, other)
    qtbot.waitUntil(lambda: getattr(session.result, "row", None) == other, timeout=TIMEOUT)
    # The panel may have scrolled to what was worked with last.
    qtbot.wait(100)
    peppr.ensureWidgetVisible(view.back_button)
    qtbot.mouseClick(view.back_button, Qt.MouseButton.LeftButton)
    qtbot.waitUntil(lambda: session.result is not None, timeout=TIMEOUT)
    qtbot.waitUntil(lambda: not hasattr(session.result, "row"), timeout=TIMEOUT)
    assert session.result.map_name == cohort.map_name == "left"
    assert not view.back_button.isEnabled()


def test_each_fill_is_tested_and_a_stop_keeps_what_was(
    own: Any, tmp_path: Path, qtbot: Any
) -> None:
    peppr, view, folder = own.peppr, own.peppr.images, tmp_path / "run"
    fills = peppr.form.fills
    peppr.fill_box.setCurrentText("black")
    fills.more_button.setFocus()
    qtbot.keyClick(fills.more_button, Qt.Key.Key_Space)
    fills.others.setFocus()
    fills.others.setCurrentRow(fills.others.names().index("mean-image"))
    qtbot.keyClick(fills.others, Qt.Key.Key_Space)
    peppr.steps_box.setValue(5)
    qtbot.mouseClick(view.button, Qt.MouseButton.LeftButton)
    stages: list[str] = []

    def stop(progress: Any) -> None:
        stages.append(progress.stage)
        if progress.stage.startswith("mean-image: ") and progress.done >= 3:
            view.cancel()

    view.runner.progressed.connect(stop)
    with qtbot.waitSignal(view.runner.finished, timeout=TIMEOUT):
        qtbot.mouseClick(view.compute_button, Qt.MouseButton.LeftButton)
    view.runner.progressed.disconnect(stop)
    assert any(each.startswith("black: Single images") for each in stages)
    assert (folder / "peppr" / "left.black.per-image.csv").is_file()
    stopped = view.job_bar.status.text()
    if not (folder / "peppr" / "left.per-image.csv").is_file():
        assert stopped.startswith("Stopped. Images tested by then are kept")
    done: list[int] = []
    view.runner.progressed.connect(
        lambda each: done.append(each.done) if each.stage.startswith("black: Single") else None
    )
    with qtbot.waitSignal(view.runner.succeeded, timeout=TIMEOUT):
        qtbot.mouseClick(view.compute_button, Qt.MouseButton.LeftButton)
    qtbot.waitUntil(lambda: view.label_box.count() == 2, timeout=TIMEOUT)
    words = [view.label_box.itemText(at) for at in range(2)]
    assert sorted(words) == ["left, black", "left, mean-image"]
    # Which had been tested whole, so that the second start found all of it.
    assert set(done) == {len(pd.read_csv(folder / "peppr" / "left.black.per-image.csv"))}


def test_what_the_command_line_tested_is_shown_also_of_an_older_release(
    own: Any, tmp_path: Path, qtbot: Any
) -> None:
    from napari_globalxai import peppr_images

    view, session = own.peppr.images, own.session
    peppr_images(tmp_path / "run", "overall", steps=4, fill="black")
    # Which kept no curves of single images.
    (tmp_path / "run" / "peppr" / "overall.black.per-image-curves.npz").unlink()
    view.expand()
    qtbot.waitUntil(lambda: view.label_box.count() == 2, timeout=TIMEOUT)
    assert [view.label_box.itemText(at) for at in range(2)] == [
        "left, black, as part of overall",
        "right, black, as part of overall",
    ]
    view.label_box.setCurrentIndex(1)
    view.table.cellClicked.emit(2, 0)
    row = view.rows[2]
    qtbot.waitUntil(lambda: getattr(session.result, "row", None) == row, timeout=TIMEOUT)
    assert session.map_name == "right"
    assert own.peppr.scrubber.isEnabled()
    # Another map: its own result, or none.
    session.choose_map("left")
    qtbot.waitUntil(
        lambda: session.result is not None and session.result.map_name == "left", timeout=TIMEOUT
    )
    assert view.followed is None
