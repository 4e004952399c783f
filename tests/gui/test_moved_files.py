"""A run whose model or images lie elsewhere by now: a person says where, and it is proved."""

from __future__ import annotations

import errno
import json
import shutil
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tiny
from qtpy.QtCore import Qt

from napari_globalxai.widgets.jobs.event_turns import TURNS
from napari_globalxai.widgets.layers.region_drawing import draw_region
from napari_globalxai.widgets.session.remembered import moved_to
from napari_globalxai.widgets.workbench.open_panels import open_panel

pytestmark = pytest.mark.gui

TIMEOUT = 60_000


@pytest.fixture
def moved_run(finished_run: Path, inputs: Any, tmp_path: Path) -> Path:
    """A run that knows neither its model nor its images where they are."""
    folder = Path(shutil.copytree(finished_run, tmp_path / "run"))
    record = json.loads((folder / "run.json").read_text())
    record["model"]["source"] = str(tmp_path / "old" / "linear.yaml")
    (folder / "run.json").write_text(json.dumps(record))
    table = (folder / "images.csv").read_text()
    old = str(inputs.cohort.parent)
    assert old in table
    (folder / "images.csv").write_text(table.replace(old, str(tmp_path / "old")))
    return folder


def type_into(qtbot: Any, field: Any, path: Path) -> None:
    field.line.clear()
    # Pasted, as names may hold letters that no key of the test has.
    field.line.insert(str(path))
    qtbot.keyClick(field.line, Qt.Key.Key_Return)


def test_model_and_images_are_named_anew(
    panels: Any, moved_run: Path, inputs: Any, tmp_path: Path, qtbot: Any
) -> None:
    viewer, explain, peppr = panels.viewer, panels.explain, panels.peppr
    regions = open_panel(viewer, "Regions")
    with qtbot.waitSignal(explain.runner.succeeded, timeout=TIMEOUT):
        explain.open_run(moved_run)
    asked = peppr.moved_model
    qtbot.waitUntil(lambda: asked.isVisibleTo(peppr), timeout=TIMEOUT)
    qtbot.waitUntil(lambda: regions.moved_model.isVisibleTo(regions), timeout=TIMEOUT)
    assert "linear.yaml: the model is not there any more" in asked.said.text()
    assert "--" not in asked.said.text()
    # Another model is none.
    other = tiny.write_linear(tmp_path / "other", 2 * tiny.sign_weights())
    type_into(qtbot, asked.field, other)
    with qtbot.waitSignal(asked.runner.failed, timeout=TIMEOUT):
        asked.button.click()
    assert "is not the model that" in asked.job_bar.status.text()
    assert panels.session.model_of(panels.session.run) is None
    # The same in another folder is.
    here = Path(shutil.copytree(inputs.model.parent, tmp_path / "new model ä")) / inputs.model.name
    type_into(qtbot, asked.field, here)
    with qtbot.waitSignal(asked.runner.succeeded, timeout=TIMEOUT):
        asked.button.click()
    qtbot.waitUntil(lambda: not asked.isVisibleTo(peppr), timeout=TIMEOUT)
    qtbot.waitUntil(lambda: not regions.moved_model.isVisibleTo(regions), timeout=TIMEOUT)
    # What needs it goes on, in every panel.
    region = np.zeros(panels.session.view.valid.shape, bool)
    region[: tiny.HEIGHT // 2] = True
    qtbot.waitUntil(lambda: TURNS.is_idle, timeout=TIMEOUT)
    layer = draw_region(viewer, region, "top", viewer.layers["Images"])
    regions.regions.choose(layer)
    with qtbot.waitSignal(regions.eraser.succeeded, timeout=TIMEOUT):
        regions.erase_button.click()
    assert regions.numbers.effects
    # It is known the next time, too.
    assert moved_to(panels.session.run.record.model.sha256) == here

    # Likewise the images.
    images = explain.moved_images
    qtbot.waitUntil(lambda: TURNS.is_idle, timeout=TIMEOUT)
    with qtbot.waitSignal(explain.layers.native_moved, timeout=TIMEOUT):
        explain.native_box.click()
    assert images.isVisibleTo(explain)
    assert not explain.native_box.isChecked()
    assert "is not there any more" in images.said.text()
    with qtbot.waitSignal(explain.layers.native_moved, timeout=TIMEOUT):
        type_into(qtbot, images.field, tmp_path / "new model ä")
    assert "does not hold" in images.said.text()
    with qtbot.waitSignal(explain.layers.native_shown, timeout=TIMEOUT):
        type_into(qtbot, images.field, inputs.cohort.parent)
    assert explain.native_box.isChecked()
    assert not images.isVisibleTo(explain)


def test_a_stopped_run_whose_table_has_moved_is_gone_on_with_in_its_folder(
    panels: Any, moved_run: Path, inputs: Any, qtbot: Any, notifications: Any
) -> None:
    record = json.loads((moved_run / "run.json").read_text())
    record["status"], record["cohort"]["table"] = "running", "/old/cohort.csv"
    (moved_run / "run.json").write_text(json.dumps(record))
    explain = panels.explain
    with qtbot.waitSignal(explain.runner.failed, timeout=TIMEOUT):
        explain.open_run(moved_run)
    qtbot.waitUntil(lambda: explain.form.preview.problems.text() != "", timeout=TIMEOUT)
    type_into(qtbot, explain.cohort_field, inputs.cohort)
    type_into(qtbot, explain.model_field, inputs.model)
    assert explain.output_field.path == moved_run
    with qtbot.waitSignal(explain.runner.succeeded, timeout=TIMEOUT):
        explain.compute_button.click()
    assert panels.session.run.folder == moved_run
    assert panels.session.run.record.cohort.table == str(inputs.cohort)
    assert notifications


def test_a_run_that_cannot_be_written_to_says_what_to_do(
    opened: Any, monkeypatch: pytest.MonkeyPatch, qtbot: Any
) -> None:
    def refuse(dir: Any) -> Any:
        raise OSError(errno.EROFS, "Read-only file system", f"{dir}/tmp123")

    monkeypatch.setattr(tempfile, "TemporaryFile", refuse)
    run = opened.session.run
    said = (
        f"{run.folder}: cannot be written to, the disk is read-only; copy the run to a folder that "
        "you may write to, and open it there."
    )
    regions = open_panel(opened.viewer, "Regions")
    qtbot.waitUntil(lambda: TURNS.is_idle, timeout=TIMEOUT)
    regions.new_region()
    regions.regions.layer.add_rectangles([[[5, 5], [12, 15]]])
    regions.keep()
    assert regions.said.text() == f"⚠ {said}"
    opened.explain.answers.ensure_made()
    ask = opened.explain.answers.ask
    ask.ensure_made()
    ask.box.setCurrentIndex(ask.box.findData("audit"))
    for runner, start in (
        (ask.runner, ask.ask_button.click),
        (regions.auditor, regions.audit_view.audit),
        (opened.explain.report_runner, opened.explain.write_report),
        (opened.peppr.runner, opened.peppr.compute),
        (opened.peppr.sanity.runner, opened.peppr.sanity.compute),
    ):
        with qtbot.waitSignal(runner.failed, timeout=TIMEOUT) as failed:
            start()
        assert failed.args == [said]
