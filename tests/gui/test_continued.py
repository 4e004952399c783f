"""What a command began, a window ends, and the other way round; the numbers are the same."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import tiny

import napari_globalxai as gx
from napari_globalxai import cli
from napari_globalxai.settings.cohort_settings import CohortSettings
from napari_globalxai.widgets.panels.maps.explain_jobs import explaining

pytestmark = pytest.mark.gui

TIMEOUT = 60_000


def test_an_explanation_that_a_command_began_is_ended_in_the_window(
    panels: Any, inputs: Any, finished_run: Path, tmp_path: Path, qtbot: Any
) -> None:
    out, explain = tmp_path / "run", panels.explain

    def stop(report: Any) -> None:
        if report.stage == "Aligning images" and report.done >= 10:
            raise gx.Cancelled

    with pytest.raises(gx.Cancelled):
        gx.explain(inputs.cohort, inputs.model, out, "saliency", progress=stop)
    begun = (out / "aligned.zarr" / "rows.jsonl").read_text()
    explain.cohort_field.path, explain.model_field.path = inputs.cohort, inputs.model
    explain.method_box.setCurrentText("saliency")
    explain.output_field.path = out
    with qtbot.waitSignal(explain.runner.succeeded, timeout=TIMEOUT):
        explain.compute_button.click()
    assert begun
    assert (out / "aligned.zarr" / "rows.jsonl").read_text().startswith(begun)
    whole = gx.open_run(finished_run)
    for name, image in whole.maps.items():
        np.testing.assert_array_equal(panels.session.run.maps[name], image)


def test_peppr_that_the_window_began_is_ended_by_a_command(
    panels: Any, finished_run: Path, tmp_path: Path, qtbot: Any
) -> None:
    for name in ("run", "anew"):
        shutil.copytree(finished_run, tmp_path / name)
        shutil.rmtree(tmp_path / name / "peppr")
    with qtbot.waitSignal(panels.explain.runner.succeeded, timeout=TIMEOUT):
        panels.explain.open_run(tmp_path / "run")
    peppr = panels.peppr
    peppr.map_box.setCurrentText("left")
    peppr.steps_box.setValue(8)
    peppr.controls_box.setValue(3)
    controls = tmp_path / "run" / "peppr" / "controls"

    def finished() -> dict[str, bytes]:
        return {path.name: path.read_bytes() for path in controls.glob("*") if path.is_file()}

    with qtbot.waitSignal(peppr.runner.cancelled, timeout=TIMEOUT):
        peppr.compute_button.click()
        qtbot.waitUntil(lambda: any(finished().values()), timeout=TIMEOUT)
        peppr.job_bar.cancel_button.click()
    kept = finished()
    chosen = peppr.settings()
    gx.peppr(tmp_path / "run", "left", chosen)
    after = finished()
    assert any(kept.values())
    assert all(after[name].startswith(text) for name, text in kept.items())
    gx.peppr(tmp_path / "anew", "left", chosen)
    ended, anew = (pd.read_csv(tmp_path / name / "peppr" / "left.csv") for name in ("run", "anew"))
    pd.testing.assert_frame_equal(ended, anew)


def stop_aligning(report: Any) -> None:
    if report.stage == "Aligning images" and report.done >= 4:
        raise gx.Cancelled


def test_how_a_table_is_read_goes_from_a_command_to_the_window_and_back(
    panels: Any, inputs: Any, tmp_path: Path, qtbot: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    table, form = tiny.write_odd_cohort(tmp_path), panels.explain.form
    cohort = gx.read_cohort(table, **tiny.ODD)
    with pytest.raises(gx.Cancelled):
        gx.explain(
            cohort, inputs.model, tmp_path / "run", "saliency",
            labels=["right"], scale="max", progress=stop_aligning,
        )  # fmt: skip
    explain = panels.explain
    form.cohort_form.expand()
    # What was said of another table goes.
    type_into(form.cohort_form.fields["class_column"], "diagnosis", qtbot)
    with qtbot.waitSignal(explain.runner.finished, timeout=TIMEOUT):
        explain.open_run(tmp_path / "run")
    chosen = form.cohort_form.values()
    assert chosen.pop("image_root") == tmp_path / "pictures"
    assert chosen == {
        **{key: value for key, value in tiny.ODD.items() if key != "image_root"},
        "laterality_values": "0=L,1=R",
        "label_columns": ("left", "right"),
    }
    assert form.settings().labels == ("right",)
    # Neither looking at what stands there nor its method's settings make it another run.
    form.settings_form.expand()
    qtbot.waitUntil(lambda: form.settings_form._shown == "saliency", timeout=TIMEOUT)
    for line in (form.cohort_field.line, form.cohort_form.fields["file_column"]):
        line.setFocus()
        line.editingFinished.emit()
    assert explain.output_field.path == tmp_path / "run"
    qtbot.waitUntil(lambda: "file: scan" in form.preview.facts.text(), timeout=TIMEOUT)
    with qtbot.waitSignal(explain.runner.succeeded, timeout=TIMEOUT):
        explain.compute_button.click()
    assert panels.session.run.record.cohort.columns == cohort.guesses
    # The other way round: begun by what the form says; the command is not told again.
    read, settings = CohortSettings(**form.cohort_form.values()), form.settings()
    work = explaining(table, read, inputs.model, tmp_path / "back", settings, trust=False)
    with pytest.raises(gx.Cancelled):
        work(stop_aligning)
    asked = ["--model", inputs.model, "--out", "back", "--method", "saliency", "--labels", "right"]
    asked = ["x", "explain", table, *asked, "--scale", "max", "--resume"]
    monkeypatch.setattr(sys, "argv", [str(each) for each in asked])
    with pytest.raises(SystemExit) as end:
        cli.main()
    assert not end.value.code
    for name, image in gx.open_run(tmp_path / "back").maps.items():
        np.testing.assert_array_equal(panels.session.run.maps[name], image)


def type_into(line: Any, text: str, qtbot: Any) -> None:
    line.setFocus()
    qtbot.keyClicks(line, text)
    line.editingFinished.emit()
