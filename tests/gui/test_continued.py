"""What a command began, a window ends, and the other way round; the numbers are the same."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

import napari_globalxai as gx

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
