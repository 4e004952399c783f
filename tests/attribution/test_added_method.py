"""A method of another package, by one class and one entry point, is offered wherever ours are."""

from __future__ import annotations

import json

import numpy as np
import pytest
import tiny
from typer.testing import CliRunner

from napari_globalxai.attribution.method import declared_parameters
from napari_globalxai.cli.commands import app
from napari_globalxai.report.html import write_report
from napari_globalxai.runs.run import open_run
from napari_globalxai.settings.declared import declared_fields
from napari_globalxai.settings.explain_settings import ExplainSettings


@pytest.fixture
def folder(tmp_path, added_package):
    table = tiny.write_cohort(tmp_path / "cohort", 8)
    model = tiny.write_linear(tmp_path / "model")
    arguments = ["--model", model, "--out", tmp_path / "run", "--method", "brightness"]
    done = CliRunner().invoke(
        app,
        [str(each) for each in ("explain", table, *arguments, "--set", "power=2")],
        catch_exceptions=False,
    )
    assert done.exit_code == 0, done.output
    return tmp_path / "run"


def test_it_is_a_choice(added_package):
    (method,) = (each for each in declared_fields(ExplainSettings) if each.name == "method")
    assert method.choices["brightness"] == "From drill_method"
    (power,) = declared_parameters("brightness")
    assert (power.default, power.low, power.high) == (1.0, 0, 4)
    said = CliRunner().invoke(app, ["methods"]).output
    assert "brightness: From drill_method" in said


def test_it_explains_and_is_recorded_and_reported(folder):
    settings = json.loads((folder / "run.json").read_text())["settings"]
    assert settings["method"] == {"name": "brightness", "power": 2.0}
    run = open_run(folder)
    images = run.stack.read(range(8)).astype(float) / 255
    bright = ((images - 0.3) / 0.1).mean(axis=1)
    expected = (bright - bright.min(axis=(1, 2), keepdims=True)) ** 2
    carries = run.truth(("left",))[:, 0] == 1
    np.testing.assert_allclose(run.maps["left"], expected[carries].mean(axis=0), rtol=1e-4)
    assert "brightness" in write_report(run).read_text()


def test_its_run_outlives_the_package(folder, added_package):
    added_package.uninstall()
    assert open_run(folder).record.settings.method == "brightness"
