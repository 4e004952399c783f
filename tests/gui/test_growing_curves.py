"""Curves of PEPPR while a map is tested."""

from __future__ import annotations

import shutil
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from qtpy.QtCore import Qt

from napari_globalxai import open_run, peppr
from napari_globalxai.errors import Cancelled
from napari_globalxai.faithfulness.predictions.watching import watched_by
from napari_globalxai.progress import Progress
from napari_globalxai.runs.peppr.compare_maps import compare_maps
from napari_globalxai.settings.peppr_settings import PepprSettings
from napari_globalxai.widgets.jobs.event_turns import TURNS
from napari_globalxai.widgets.panels.peppr.growing_curves import GrowingCurves, GrowingMaps

pytestmark = pytest.mark.gui

TIMEOUT = 60_000
CHOSEN = {"steps": 8, "control_steps": 4, "controls": 3, "bootstrap": 20, "adaptive": False}


@pytest.fixture
def untested(finished_run: Path, tmp_path: Path) -> Path:
    """A run of which no map was tested."""
    folder = tmp_path / "untested"
    shutil.copytree(finished_run, folder, ignore=shutil.ignore_patterns("peppr"))
    return folder


def points(curves: Any, order: str) -> Any:
    some = curves[(curves["label"] == "left") & (curves["metric"] == "roc_auc")]
    return some[some["order"] == order].sort_values(["arm", "fraction"])


def test_what_has_grown_to_its_end_is_the_result(untested: Path) -> None:
    grown = GrowingCurves("left", PepprSettings(**CHOSEN))
    assert grown.result("left") is None
    with watched_by(grown):
        result = peppr(untested, "left", **CHOSEN)
    last = grown.result("left")
    assert last is not None
    assert {"map", *result.judged_by} <= set(last.curves["order"])
    for order in ("map", *result.judged_by):
        known, seen = points(result.curves, order), points(last.curves, order)
        for column in ("fraction", "value", "ci_low", "ci_high"):
            np.testing.assert_allclose(seen[column], known[column], atol=1e-12)
    areas, known = last.areas["left"], result.areas["left"]
    assert areas["intact_auc"] == pytest.approx(known["intact_auc"])
    assert areas["delta_on_control_steps"] == pytest.approx(known["delta_on_control_steps"])
    for name in result.judged_by:
        assert areas["control_deltas"][name] == pytest.approx(known["control_deltas"][name])


def test_one_that_was_stopped_begins_with_what_it_had(untested: Path) -> None:
    stopped = GrowingCurves("left", PepprSettings(**CHOSEN))

    def stop(progress: Progress) -> None:
        if progress.stage.startswith("Testing") and progress.done == 1:
            raise Cancelled

    with watched_by(stopped), pytest.raises(Cancelled):
        peppr(untested, "left", progress=stop, **CHOSEN)
    resumed = GrowingCurves("left", PepprSettings(**CHOSEN))
    before: list[Any] = []

    def look(progress: Progress) -> None:
        if progress.stage.startswith("Testing") and progress.done == 1 and not before:
            before.append(resumed.result("left"))

    with watched_by(resumed):
        peppr(untested, "left", progress=look, **CHOSEN)
    left, found = stopped.result("left"), before[0]
    assert left is not None
    assert left.curves.equals(found.curves)
    assert len(points(left.curves, "map")) > len(points(left.curves, "nothing"))


def test_the_panel_shows_them_and_keeps_them_when_it_is_stopped(
    panels: Any, untested: Path, qtbot: Any
) -> None:
    explain, panel = panels.explain, panels.peppr
    with qtbot.waitSignal(explain.runner.succeeded, timeout=TIMEOUT):
        explain.open_run(untested)
    panel.map_box.setCurrentText("left")
    curves = panel.growing.start(open_run(untested), "left", panel.settings())
    panel.growing._run = panels.session.run
    told: list[Any] = []

    def work(progress: Any) -> Any:
        with watched_by(curves):
            peppr(untested, "left", progress=lambda each: None, **CHOSEN)
        told.append(True)
        while True:
            progress(Progress("Waiting", 1, 2))
            time.sleep(0.01)

    panel.runner.run(work)
    qtbot.waitUntil(lambda: bool(told) and panel.growing.result is not None, timeout=TIMEOUT)
    assert panels.session.result is None
    assert panel.label_box.currentText() == "left"
    assert not panel.badge.isVisibleTo(panel)
    panel.label_box.setCurrentText("right")
    qtbot.waitUntil(lambda: set(panel.growing.result.curves["label"]) == {"right"}, timeout=TIMEOUT)
    panel.cancel()
    qtbot.waitUntil(lambda: not panel.runner.is_running, timeout=TIMEOUT)
    qtbot.waitUntil(lambda: not panel.plot.is_drawing, timeout=TIMEOUT)
    lines = [line.get_label() for line in panel.plot.curves_axes.get_lines()]
    assert "Restored along the map" in lines
    assert open_run(untested).peppr_names


def test_maps_that_are_compared_have_grown_to_their_deltas(untested: Path) -> None:
    grown = GrowingMaps(PepprSettings(**CHOSEN))
    assert grown.result("left") is None
    seen: list[tuple[str, ...]] = []

    def look(progress: Progress) -> None:
        found = grown.result("left")
        if found is not None:
            seen.append((found.result.map_name, *(each.map_name for each in found.others)))

    names = ["left", "right", "overall"]
    with watched_by(grown):
        result = compare_maps(untested, names, progress=look, **CHOSEN)
    assert list(dict.fromkeys(seen)) == [
        ("left",), ("right", "left"), ("overall", "left", "right")
    ]  # fmt: skip
    for label in ("left", "right"):
        last = grown.result(label)
        assert last is not None
        for each in (last.result, *last.others):
            assert set(each.curves["label"]) == {label}
            sides = [each.curves[each.curves["arm"] == arm] for arm in ("restore", "erase")]
            areas = [np.trapezoid(side["value"], side["fraction"]) for side in sides]
            told = [
                known
                for known in result.maps
                if (known.name, known.label) == (each.map_name, label)
            ]
            assert areas[0] - areas[1] == pytest.approx(told[0].delta)


def test_the_panel_shows_maps_that_are_compared_while_they_are(
    panels: Any, untested: Path, qtbot: Any
) -> None:
    explain, view, session = panels.explain, panels.peppr.otherwise, panels.session
    with qtbot.waitSignal(explain.runner.succeeded, timeout=TIMEOUT):
        explain.open_run(untested)
    view.expand()
    assert not view.curves.isVisibleTo(view)
    plot, box = view.curves.plot, view.curves.label_box
    maps, told = GrowingMaps(PepprSettings(**CHOSEN)), []

    def work(progress: Any) -> Any:
        with watched_by(maps):
            compare_maps(untested, ["left", "right"], **CHOSEN)
        told.append(True)
        while True:
            progress(Progress("Waiting", 1, 2))
            time.sleep(0.01)

    view.curves.begin(maps)
    view.runner.run(work)
    qtbot.waitUntil(lambda: bool(told) and view.curves.isVisibleTo(view), timeout=TIMEOUT)

    def lines() -> set[str]:
        return {line.get_label() for line in plot.curves_axes.get_lines()}

    names = {"Restored along right", "Erased along right", "left, restored"}
    qtbot.waitUntil(lambda: not plot.is_drawing and names <= lines(), timeout=TIMEOUT)
    shown = box.currentText()
    wanted = {"left": "right", "right": "left"}[shown]

    box.setCurrentText(wanted)
    qtbot.waitUntil(lambda: plot._label == wanted and not plot.is_drawing, timeout=TIMEOUT)
    assert plot.curves_axes.get_ylabel() == f"ROC AUC of {wanted}"
    drawn = {line.get_label(): line for line in plot.curves_axes.get_lines()}
    curves = maps.result(wanted).others[0].curves.query("arm == 'restore'")
    assert set(curves["label"]) == {wanted}
    np.testing.assert_allclose(drawn["left, restored"].get_ydata(), curves["value"])
    # Stopped, they stay; so they do once all is done.
    with qtbot.waitSignal(view.runner.cancelled, timeout=TIMEOUT):
        view.cancel()
    assert view.curves.isVisibleTo(view)
    view.form.maps.tick(("left", "right"))
    with qtbot.waitSignal(view.runner.succeeded, timeout=TIMEOUT):
        view.start_button.click()
    qtbot.waitUntil(lambda: view.curves.isVisibleTo(view), timeout=TIMEOUT)
    qtbot.waitUntil(lambda: not plot.is_drawing and names <= lines(), timeout=TIMEOUT)
    assert session.result is None
    # As published, its curves are the panel's own in the end.
    view.form.maps.tick(())
    view.form.protocol_box.setCurrentText("paper")
    with qtbot.waitSignal(view.runner.succeeded, timeout=TIMEOUT):
        view.start_button.click()
    assert not view.curves.isVisibleTo(view)


def test_the_curves_are_in_view_once_a_test_has_begun(
    panels: Any, untested: Path, qtbot: Any
) -> None:
    """In a window 900 pixels high, also where the settings were unfolded to be chosen."""
    peppr = panels.peppr
    with qtbot.waitSignal(panels.explain.runner.succeeded, timeout=TIMEOUT):
        panels.explain.open_run(untested)
    panels.viewer.window.show()
    panels.viewer.window.resize(1440, 900)
    peppr.bring_forward()
    fold = peppr.form.chosen
    peppr.form.more_form.expand()
    peppr.form.more_form.put({**CHOSEN, "adaptive": False})
    peppr.steps_box.setValue(8)
    peppr.controls_box.setValue(19)
    qtbot.waitUntil(lambda: TURNS.is_idle, timeout=TIMEOUT)
    assert fold.isExpanded()
    assert share_in_view(peppr.plot) < 0.5
    seen: list[float] = []

    def look(result: Any) -> None:
        if not seen:
            # The panel scrolls in a turn of its own.
            TURNS.add(lambda: seen.append(share_in_view(peppr.plot)))

    peppr.growing.grown.connect(look)
    with qtbot.waitSignal(peppr.runner.succeeded, timeout=TIMEOUT):
        qtbot.mouseClick(peppr.compute_button, Qt.MouseButton.LeftButton)
    qtbot.waitUntil(lambda: bool(seen) and TURNS.is_idle, timeout=TIMEOUT)
    assert seen[0] > 0.95
    assert not fold.isExpanded()
    # From the verdict on, which is long here.
    qtbot.waitUntil(lambda: share_in_view(peppr.plot) > 0.8, timeout=TIMEOUT)
    assert share_in_view(peppr.badge) > 0.95
    # Who unfolds them again keeps them, whatever is shown next, until the next test.
    peppr.ensureWidgetVisible(fold.button)
    qtbot.mouseClick(fold.button, Qt.MouseButton.LeftButton)
    peppr.map_box.setCurrentText("left")
    peppr.map_box.setCurrentText("overall")
    qtbot.waitUntil(lambda: panels.session.result is not None and TURNS.is_idle, timeout=TIMEOUT)
    assert fold.isExpanded()
    with qtbot.waitSignal(peppr.runner.succeeded, timeout=TIMEOUT):
        peppr.compute()
    assert not fold.isExpanded()


def share_in_view(part: Any) -> float:
    return float(part.visibleRegion().boundingRect().height() / part.height())
