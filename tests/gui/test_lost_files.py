"""A run whose files are moved or deleted while it is on show: sentences, and nothing made up."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tiny

from napari_globalxai.errors import InputError
from napari_globalxai.widgets.jobs.event_turns import TURNS
from napari_globalxai.widgets.panels.regions.region_view import keep_region
from napari_globalxai.widgets.session import run_view
from napari_globalxai.widgets.session.lazy_images import black_where_lost
from napari_globalxai.widgets.session.shown_maps import Selection
from napari_globalxai.widgets.workbench.open_panels import open_panel

pytestmark = pytest.mark.gui

TIMEOUT = 60_000


def test_a_run_that_was_moved_is_said_to_be_gone(
    panels: Any,
    finished_run: Path,
    tmp_path: Path,
    qtbot: Any,
    notifications: Any,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # Read as they come into view, as of a run of thousands of images.
    monkeypatch.setattr(run_view, "MOST_BYTES_IN_MEMORY", 0)
    folder = Path(shutil.copytree(finished_run, tmp_path / "run"))
    session, explain = panels.session, panels.explain
    with qtbot.waitSignal(explain.runner.succeeded, timeout=TIMEOUT):
        explain.open_run(folder)
    session.choose_map("left")
    layers = explain.layers
    qtbot.waitUntil(
        lambda: session.result is not None and TURNS.is_idle and layers.layer("seen") is not None,
        timeout=TIMEOUT,
    )
    explain.attribution_box.setChecked(True)
    qtbot.waitUntil(lambda: layers.layer("attribution").data.any(), timeout=TIMEOUT)
    shutil.move(folder, tmp_path / "moved")
    panels.viewer.dims.set_current_step(0, 30)
    qtbot.waitUntil(lambda: layers.layer("attribution") is None, timeout=TIMEOUT)
    gone = f"{folder}: is not there any more; open the run where it lies now."
    assert explain.job_bar.status.text() == gone
    assert not layers.layer("seen").visible
    assert not np.asarray(panels.viewer.layers["Images"].data[30]).any()
    said = [str(each.message) for each in notifications]
    assert any("a file of image 31 is not there any more" in each for each in said)
    assert not any("--" in each for each in said)
    # Not at every step.
    count = len(said)
    panels.viewer.dims.set_current_step(0, 30)
    panels.viewer.layers["Images"].refresh()
    assert len(notifications) == count
    # Maps of a selection, and what a region holds of them.
    explain.job_bar.say("")
    session.select(Selection("age > 60", tuple(range(20))))
    qtbot.waitUntil(lambda: explain.job_bar.status.text() == gone, timeout=TIMEOUT)
    session.select(None)
    regions = open_panel(panels.viewer, "Regions")
    qtbot.waitUntil(lambda: TURNS.is_idle, timeout=TIMEOUT)
    regions.new_region()
    with qtbot.waitSignal(regions.runner.failed, timeout=TIMEOUT) as failed:
        regions.regions.layer.add_rectangles([[[5, 5], [12, 15]]])
    assert failed.args == [gone]
    # Nothing is written where it lay.
    with pytest.raises(InputError, match="is not there any more; open the run where it lies"):
        keep_region(session.run, "corner", np.ones((tiny.HEIGHT, tiny.WIDTH), bool), [], {})
    assert regions.session is session
    for runner, start in (
        (panels.peppr.runner, panels.peppr.compute),
        (panels.peppr.sanity.runner, panels.peppr.sanity.compute),
        (regions.auditor, regions.audit_view.audit),
        (explain.report_runner, explain.write_report),
    ):
        with qtbot.waitSignal(runner.failed, timeout=TIMEOUT) as failed:
            start()
        assert "is not there any more" in failed.args[0]
    assert not folder.exists()
    # Put back, what is in view comes back.
    shutil.move(tmp_path / "moved", folder)
    panels.viewer.dims.set_current_step(0, 29)
    assert layers.layer("seen").visible


def test_images_that_are_left_are_read_beside_lost_ones() -> None:
    told: list[str] = []

    def read(rows: Any) -> Any:
        if 2 in rows:
            raise InputError("2 is lost")
        return np.full((len(rows), 3, 4, 3), 7, np.uint8)

    reading = black_where_lost(read, (5, 3, 4, 3), told.append)
    for _ in range(2):
        found = reading(np.arange(5))
        assert [int(image.max()) for image in found] == [7, 7, 0, 7, 7]
    assert told == ["2 is lost"]


def test_a_map_that_is_missing_is_named_with_what_makes_it_again(
    panels: Any, finished_run: Path, tmp_path: Path, qtbot: Any, notifications: Any
) -> None:
    folder = Path(shutil.copytree(finished_run, tmp_path / "run"))
    lost = folder / "maps" / "right.tif"
    lost.unlink()
    panel = panels.explain
    with qtbot.waitSignal(panel.runner.finished, timeout=TIMEOUT):
        panel.open_run(folder)

    def said() -> str:
        words = [panel.job_bar.status.text(), *(str(each.message) for each in notifications)]
        return " ".join(words)

    qtbot.waitUntil(lambda: "right.tif" in said(), timeout=TIMEOUT)
    assert f"{lost}: is missing; explain the cohort again with Compute" in said()
    assert "damaged" not in said()
