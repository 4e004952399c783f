"""The list of runs: what each is, opened, laid beside, gone on with, taken off; none is deleted."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest
from qtpy.QtCore import Qt
from qtpy.QtGui import QDesktopServices

import napari_globalxai as gx
from napari_globalxai.runs.record import read_record
from napari_globalxai.widgets.session.remembered import listed_runs, remember_run
from napari_globalxai.widgets.words.table_words import local_time

pytestmark = pytest.mark.gui

TIMEOUT = 60_000


@pytest.fixture
def listed(inputs: Any, finished_run: Path, tmp_path: Path, panels: Any, qtbot: Any) -> Any:
    """Panels with four runs in the list: finished, gone, damaged, and one that was stopped."""

    def stop(report: Any) -> None:
        if report.stage == "Aligning images" and report.done >= 10:
            raise gx.Cancelled

    with pytest.raises(gx.Cancelled):
        gx.explain(
            inputs.cohort, inputs.model, tmp_path / "begun", "saliency", scale="none", progress=stop
        )
    shutil.copytree(finished_run, tmp_path / "whole")
    (tmp_path / "damaged").mkdir()
    (tmp_path / "damaged" / "run.json").write_text("{")
    for name in ("whole", "gone", "damaged", "begun"):
        remember_run(tmp_path / name)
    panels.viewer.window.show()
    panels.viewer.window.resize(1200, 900)
    runs = panels.explain.runs
    # As of a window that is opened now.
    runs.refresh()
    qtbot.mouseClick(runs.button, Qt.MouseButton.LeftButton)
    qtbot.waitUntil(lambda: len(runs.runs) == 4, timeout=TIMEOUT)
    return panels


def mark(runs: Any, name: str) -> None:
    names = [line[0] for line in runs.table.texts()]
    runs.table.setCurrentCell(names.index(name), 0)


def test_runs_tell_what_they_are_and_are_opened_and_laid_beside(
    listed: Any, finished_run: Path, tmp_path: Path, qtbot: Any
) -> None:
    runs, session = listed.explain.runs, listed.session
    lines = {line[0]: line[1:] for line in runs.table.texts()}
    record = gx.open_run(finished_run).record
    assert list(lines) == ["begun", "damaged", "gone", "whole"]
    assert lines["whole"][:3] == ["finished", Path(record.model.source).name, "saliency"]
    assert lines["whole"][3:5] == [Path(record.cohort.table).name, "40"]
    assert lines["whole"][5] == local_time(record.finished)
    assert [lines[name][0] for name in ("begun", "gone", "damaged")] == [
        "stopped",
        "not there",
        "cannot be read",
    ]
    buttons = (runs.open_button, runs.beside_button, runs.show_button, runs.forget_button)
    assert not any(button.isEnabled() for button in buttons)
    mark(runs, "gone")
    assert [button.isEnabled() for button in buttons] == [False, False, False, True]
    mark(runs, "whole")
    assert [button.isEnabled() for button in buttons] == [True, False, True, True]
    with qtbot.waitSignal(listed.explain.runner.succeeded, timeout=TIMEOUT):
        qtbot.mouseClick(runs.open_button, Qt.MouseButton.LeftButton)
    assert session.run.folder == tmp_path / "whole"
    qtbot.waitUntil(lambda: runs.table.text(0, 0) == "whole", timeout=TIMEOUT)
    mark(runs, "whole")
    beside = listed.explain.beside
    with qtbot.waitSignal(beside.runner.succeeded, timeout=TIMEOUT):
        qtbot.mouseClick(runs.beside_button, Qt.MouseButton.LeftButton)
    assert beside.layers.run.folder == tmp_path / "whole"


def test_a_run_is_taken_off_by_key_and_its_folder_stays(
    listed: Any, tmp_path: Path, qtbot: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    runs = listed.explain.runs
    mark(runs, "whole")
    shown: list[str] = []
    monkeypatch.setattr(
        QDesktopServices, "openUrl", lambda url: shown.append(url.toLocalFile()) or True
    )
    qtbot.mouseClick(runs.show_button, Qt.MouseButton.LeftButton)
    assert shown == [str(tmp_path / "whole")]
    runs.table.setFocus()
    qtbot.keyClick(runs.table, Qt.Key.Key_Delete)
    assert [line[0] for line in runs.table.texts()] == ["begun", "damaged", "gone"]
    # Nothing is marked now: the key does nothing.
    qtbot.keyClick(runs.table, Qt.Key.Key_Delete)
    assert [path.name for path in listed_runs()] == ["begun", "damaged", "gone"]
    assert (tmp_path / "whole" / "run.json").is_file()


def test_a_stopped_run_goes_on_with_what_it_was_to_be(
    listed: Any, inputs: Any, tmp_path: Path, qtbot: Any
) -> None:
    explain, runs = listed.explain, listed.explain.runs
    mark(runs, "begun")
    assert runs.open_button.text() == "Go on"
    qtbot.mouseClick(runs.open_button, Qt.MouseButton.LeftButton)
    assert explain.cohort_field.path == inputs.cohort
    assert explain.model_field.path == inputs.model
    assert explain.output_field.path == tmp_path / "begun"
    assert explain.settings().method == "saliency"
    assert explain.settings().scale == "none"
    begun = (tmp_path / "begun" / "aligned.zarr" / "rows.jsonl").read_text()
    with qtbot.waitSignal(explain.runner.succeeded, timeout=TIMEOUT):
        qtbot.mouseClick(explain.compute_button, Qt.MouseButton.LeftButton)
    assert begun
    whole = (tmp_path / "begun" / "aligned.zarr" / "rows.jsonl").read_text()
    assert whole.startswith(begun)
    qtbot.waitUntil(lambda: runs.table.text(0, 1) == "finished", timeout=TIMEOUT)


def test_a_stopped_run_that_is_opened_or_dropped_is_offered_to_go_on(
    listed: Any, inputs: Any, tmp_path: Path, qtbot: Any
) -> None:
    explain = listed.explain
    with qtbot.waitSignal(explain.runner.finished, timeout=TIMEOUT):
        explain.open_run(tmp_path / "begun")
    assert explain.output_field.path == tmp_path / "begun"
    assert explain.settings().method == "saliency"
    assert "Compute goes on with it" in explain.job_bar.status.text()
    # What fails otherwise leaves the form alone.
    explain.output_field.path = tmp_path / "new"
    with qtbot.waitSignal(explain.runner.finished, timeout=TIMEOUT):
        explain.open_run(tmp_path / "damaged")
    assert explain.output_field.path == tmp_path / "new"


@pytest.mark.parametrize("unfolded", [False, True])
def test_the_form_follows_what_is_set_of_method_and_layer(
    unfolded: bool, panels: Any, finished_run: Path, qtbot: Any
) -> None:
    form, record = panels.explain.form, read_record(finished_run)
    if unfolded:
        form.settings_form.expand()
    settings = record.settings.model_copy(
        update={"method": "integrated-gradients", "method_settings": {"steps": 9}}
    )
    form.follow_record(finished_run, record.model_copy(update={"settings": settings}))
    qtbot.waitUntil(lambda: not unfolded or "steps" in form.settings_form.fields, timeout=TIMEOUT)
    assert form.settings().method_settings == {"steps": 9}
    # Still so once somebody looks, and not of another method.
    form.settings_form.expand()
    qtbot.waitUntil(lambda: "steps" in form.settings_form.fields, timeout=TIMEOUT)
    assert form.settings().method_settings == {"steps": 9}
    settings = settings.model_copy(
        update={"method": "grad-cam", "method_settings": {}, "cam_layer": "features.3"}
    )
    form.follow_record(finished_run, record.model_copy(update={"settings": settings}))
    assert form.settings().method_settings == {}
    assert form.settings().cam_layer == "features.3"
