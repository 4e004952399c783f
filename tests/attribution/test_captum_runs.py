"""captum's methods from the command line to the run folder, stopped and gone on with."""

import json

import numpy as np
import pytest
import tiny
from typer.testing import CliRunner

from napari_globalxai.cli import app
from napari_globalxai.errors import Cancelled, InputError
from napari_globalxai.runs.pipeline import explain
from napari_globalxai.runs.run import open_run
from napari_globalxai.widgets.session.folders import default_folder

RUNS = {
    "captum:KernelShap": {"side": 16, "n_samples": 12},
    "captum:GradientShap": {"n_samples": 2, "stdevs": 0.3},
    "captum:Saliency": {"noise_tunnel": "smoothgrad", "nt_samples": 2},
}
SUPERPIXELS = ["--set", "features=superpixels", "--set", "superpixels=6", "--set", "n_samples=32"]


@pytest.fixture(scope="module")
def inputs(tmp_path_factory):
    folder = tmp_path_factory.mktemp("inputs")
    tiny.write_cohort(folder / "cohort", size=40)
    tiny.write_linear(folder / "linear")
    tiny.write_resnet(folder / "resnet")
    return folder


@pytest.mark.parametrize("method", RUNS)
def test_a_stopped_run_goes_on_to_the_same_bits(inputs, tmp_path, method):
    def run(out, **more):
        return explain(
            inputs / "cohort" / "cohort.csv", inputs / "linear" / "linear.yaml", out, method,
            method_settings=RUNS[method], batch_size=8, **more,
        )  # fmt: skip

    def stop(progress):
        if "Explaining" in progress.stage and progress.done > 32:
            raise Cancelled

    whole = run(tmp_path / "whole")
    with pytest.raises(Cancelled):
        run(tmp_path / "stopped", progress=stop)
    lines = (tmp_path / "stopped" / "attributions.jsonl").read_text().splitlines()
    assert 0 < sum(len(json.loads(line)["images"]) for line in lines) < 40
    resumed = run(tmp_path / "stopped", resume=True)
    assert np.array_equal(tiny.attributions(resumed), tiny.attributions(whole))
    assert whole.info["settings"]["method"]["name"] == method
    for name, value in RUNS[method].items():
        assert whole.info["settings"]["method"][name] == value
    # The plain mean of what is stored, and no smoothing by itself.
    assert whole.info["settings"]["aggregation"]["smoothing"] == 0


@pytest.mark.parametrize(
    ("method", "options", "shape"),
    [
        ("captum:FeatureAblation", ["--set", "side=16"], (2, 3)),
        ("captum:Lime", SUPERPIXELS, (32, 48)),
        ("captum:LayerGradCam", [], None),
    ],
)
def test_from_the_command_line(inputs, tmp_path, method, options, shape):
    model = "resnet/model.yaml" if shape is None else "linear/linear.yaml"
    command = [
        "explain", str(inputs / "cohort" / "cohort.csv"), "--model", str(inputs / model),
        "--out", str(tmp_path / "run"), "--method", method, *options,
    ]  # fmt: skip
    result = CliRunner().invoke(app, command)
    assert result.exit_code == 0, result.output
    run = open_run(tmp_path / "run")
    assert run.info["settings"]["method"]["name"] == method
    maps = tiny.attributions(run)
    # Small maps are stored small.
    assert maps.shape[2:] == (run.store.grid.shape if shape is None else shape)
    assert maps.shape[2:] != (32, 48) or "superpixels" in str(options)
    assert run.maps["overall"].shape == (32, 48)
    assert run.maps["overall"].any()


@pytest.mark.parametrize(
    ("name", "parameters"),
    [
        ("captum:KernelShap", ["n_samples=256", "features=squares", "side=0", "seed=0"]),
        ("captum:IntegratedGradients", ["n_steps=50", "noise_tunnel=none", "stdevs=0.5"]),
    ],
)
def test_the_command_line_lists_methods_and_their_parameters(name, parameters):
    listed = CliRunner().invoke(app, ["methods"]).output
    assert f"{name}: " in listed
    output = CliRunner().invoke(app, ["methods", name]).output
    for parameter in parameters:
        assert f"{parameter}  " in output


def test_an_unknown_name_gets_the_nearest(inputs, tmp_path):
    command = [
        "explain", str(inputs / "cohort" / "cohort.csv"), "--model",
        str(inputs / "linear" / "linear.yaml"), "--out", str(tmp_path / "run"),
        "--method", "captum:ShapleyValuesSampling",
    ]  # fmt: skip
    result = CliRunner().invoke(app, command)
    assert isinstance(result.exception, InputError)
    assert "captum:ShapleyValueSampling" in str(result.exception)
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("method", ["captum:KernelShap", "captum:LRP"])
def test_folders_have_no_colon(method, tmp_path, monkeypatch):
    """Windows allows none in the names of files."""
    monkeypatch.setenv("HOME", str(tmp_path))
    folder = default_folder(["cohort", method], lambda info: False)
    assert folder.name == f"cohort-{method.replace(':', '_')}"
