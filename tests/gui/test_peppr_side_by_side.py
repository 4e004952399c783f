"""Results of PEPPR side by side, and what else a run's folder holds of it."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import tifffile
from PIL import Image
from qtpy.QtCore import Qt

import napari_globalxai as gx
from napari_globalxai.storage import read_json, write_json
from napari_globalxai.widgets.fields.setting_fields import field_value
from napari_globalxai.widgets.jobs.event_turns import TURNS
from napari_globalxai.widgets.workbench.open_panels import open_panel

pytestmark = pytest.mark.gui

TIMEOUT = 60_000


@pytest.fixture
def with_two(panels: Any, finished_run: Path, tmp_path: Path, qtbot: Any) -> Any:
    """A run with two results along one map: the second with other curves, and tables beside."""
    folder = tmp_path / "run"
    shutil.copytree(finished_run, folder)
    peppr = folder / "peppr"
    curves = pd.read_csv(peppr / "left.csv")
    for name in ("value", "ci_low", "ci_high"):
        curves[name] = 1 - curves[name]
    curves.to_csv(peppr / "left.blur.csv", index=False)
    shutil.copy(peppr / "left.npz", peppr / "left.blur.npz")
    summary = read_json(peppr / "left.json")
    summary["settings"]["fill"] = "blur"
    write_json(peppr / "left.blur.json", summary)
    pair = {"label": "left", "a": "left", "b": "file", "delta_a": 0.4, "delta_b": 0.1}
    pair |= {"difference": 0.3, "ci_low": 0.2, "ci_high": 0.4, "p": 0.01, "p_holm": 0.02}
    pd.DataFrame([pair]).to_csv(peppr / "compared.csv", index=False)
    found = {"images": 9, "delta": {"mean": 0.25, "mean_ci": [0.1, 0.4]}, "share_above_zero": 0.75}
    write_json(peppr / "left.per-image.json", {"per_image": {"left": found}})
    (peppr / "regions.csv").write_text("no table of ours\n1\n")
    with qtbot.waitSignal(panels.explain.runner.succeeded, timeout=TIMEOUT):
        panels.explain.open_run(folder)
    panels.explain.map_box.setCurrentText("left")
    qtbot.waitUntil(lambda: panels.session.result is not None, timeout=TIMEOUT)
    return panels


def test_results_that_are_marked_lie_beside_each_other(with_two: Any, qtbot: Any) -> None:
    peppr, table = with_two.peppr, with_two.peppr.results
    assert [texts[1] for texts in table.texts()] == ["mean-image", "blur"]
    qtbot.waitUntil(lambda: not peppr.plot.is_drawing, timeout=TIMEOUT)
    assert "left, blur, restored" not in peppr.plot.curves_axes.get_legend_handles_labels()[1]
    place = table.visualItemRect(table.item(1, 1)).center()
    qtbot.mouseClick(
        table.viewport(), Qt.MouseButton.LeftButton, Qt.KeyboardModifier.ControlModifier, place
    )

    def drawn() -> dict[str, Any]:
        return {line.get_label(): line for line in peppr.plot.curves_axes.get_lines()}

    qtbot.waitUntil(lambda: "left, blur, restored" in drawn(), timeout=TIMEOUT)
    own, other = drawn()["Restored along the map"], drawn()["left, blur, restored"]
    np.testing.assert_allclose(other.get_ydata(), 1 - np.asarray(own.get_ydata()))
    assert not any("maps, restored" in name for name in drawn())
    # One result alone again.
    qtbot.mouseClick(table.viewport(), Qt.MouseButton.LeftButton, pos=place)
    qtbot.waitUntil(
        lambda: with_two.session.result.settings["fill"] == "blur" and not peppr.plot.is_drawing,
        timeout=TIMEOUT,
    )
    assert "left, blur, restored" not in drawn()


def test_further_results_are_listed_where_the_run_has_them(
    with_two: Any, finished_run: Path, qtbot: Any
) -> None:
    peppr, further = with_two.peppr, with_two.peppr.further
    qtbot.waitUntil(lambda: further.isVisibleTo(peppr), timeout=TIMEOUT)
    further.expand()
    assert further.pairs.texts() == [["left", "left − file", "0.30", "0.20 to 0.40", "0.020"]]
    assert further.images.texts() == [["left", "left", "9", "0.25", "0.10 to 0.40", "75 %"]]
    assert not further.regions.isVisibleTo(peppr)
    with qtbot.waitSignal(with_two.explain.runner.succeeded, timeout=TIMEOUT):
        with_two.explain.open_run(finished_run)
    qtbot.waitUntil(lambda: not further.isVisibleTo(peppr), timeout=TIMEOUT)


def test_the_boxes_are_those_of_the_result_on_show(
    panels: Any, finished_run: Path, tmp_path: Path, qtbot: Any
) -> None:
    """A map from a file and a fill from a picture, in a panel that is closed and opened again."""
    run = gx.open_run(shutil.copytree(finished_run, tmp_path / "run"))
    tifffile.imwrite(tmp_path / "my map.tif", run.maps["left"])
    picture = tmp_path / "grey.png"
    Image.fromarray(np.full((*run.stack.shape, 3), 90, np.uint8)).save(picture)
    few = {"control_steps": 4, "controls": 2, "folds": 1, "random_weights": False}
    gx.peppr(run, str(tmp_path / "my map.tif"), steps=10, bootstrap=25, **few)
    gx.peppr(run, "left", fill=f"image:{picture}", steps=6, bootstrap=30, **few)
    with qtbot.waitSignal(panels.explain.runner.succeeded, timeout=TIMEOUT):
        panels.explain.open_run(run.folder)
    peppr, session = panels.peppr, panels.session

    def boxes() -> tuple[Any, ...]:
        more = peppr.more_form.arguments()
        return (
            peppr.map_box.currentText(),
            *(field_value(box) for box in (peppr.fill_box, peppr.steps_box, peppr.controls_box)),
            *(more[name] for name in ("bootstrap", "folds", "random_weights")),
        )

    qtbot.waitUntil(lambda: len(peppr.results.texts()) == 3, timeout=TIMEOUT)
    expected = {
        "mean-image": ("my_map", "mean-image", 10, 2, 25, 1, False),
        f"image:{picture}": ("left", f"image:{picture}", 6, 2, 30, 1, False),
    }
    for fill, wanted in expected.items():
        rows = [(line[0], line[1]) for line in peppr.results.texts()]
        peppr.results.cellClicked.emit(rows.index((wanted[0], fill)), 0)
        qtbot.waitUntil(lambda wanted=wanted: boxes() == wanted, timeout=TIMEOUT)
        shown = session.result
        panels.viewer.window.remove_dock_widget(peppr)
        peppr = open_panel(panels.viewer, "PEPPR")
        qtbot.waitUntil(lambda: TURNS.is_idle, timeout=TIMEOUT)
        qtbot.wait(100)
        assert session.result is shown
        assert boxes() == wanted
        names = [peppr.map_box.itemText(at) for at in range(peppr.map_box.count())]
        assert names == ["overall", "left", "right", "my_map"]
    # A result that comes while another is looked at brings its map's name with it.
    peppr.results.cellClicked.emit(0, 0)
    qtbot.waitUntil(lambda: session.result.settings["fill"] == "mean-image", timeout=TIMEOUT)
    peppr.map_box.setCurrentText("my_map")
    qtbot.waitUntil(lambda: session.result.map_name == "my_map", timeout=TIMEOUT)
    session.set_result(shown)
    assert peppr.map_box.currentText() == "left"


def test_a_panel_that_was_closed_follows_nothing(
    panels: Any, finished_run: Path, qtbot: Any
) -> None:
    """Whoever refers to it keeps it, and it would load results behind the back of the next one."""
    with qtbot.waitSignal(panels.explain.runner.succeeded, timeout=TIMEOUT):
        panels.explain.open_run(finished_run)
    peppr, session, window = panels.peppr, panels.session, panels.viewer.window
    qtbot.waitUntil(lambda: TURNS.is_idle, timeout=TIMEOUT)
    session.choose_map("left")
    assert peppr.map_box.currentText() == "left"
    listeners = len(session.map_changed)
    window.remove_dock_widget(peppr)
    session.choose_map("right")
    assert peppr.map_box.currentText() == "left"
    assert len(session.map_changed) < listeners
    # Docked again, it goes on.
    window.add_dock_widget(peppr, name="PEPPR again")
    session.choose_map("overall")
    assert peppr.map_box.currentText() == "overall"
    assert len(session.map_changed) == listeners
