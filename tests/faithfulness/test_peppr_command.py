"""The command `peppr` and what it writes."""

import json
import shutil
import sys

import numpy as np
import pandas as pd
import pytest
import tifffile
import tiny

import napari_globalxai as gx
from napari_globalxai import cli

QUICK = ["--steps", "4", "--control-steps", "3", "--controls", "1", "--bootstrap", "20"]
QUICK += ["--device", "cpu"]


@pytest.fixture(scope="module")
def explained(tmp_path_factory):
    folder = tmp_path_factory.mktemp("explained")
    cohort = tiny.write_cohort(folder / "cohort", size=24)
    return gx.explain(cohort, tiny.write_linear(folder), folder / "run", "saliency").folder


@pytest.fixture
def run(explained, tmp_path):
    return shutil.copytree(explained, tmp_path / "run")


@pytest.fixture
def command(monkeypatch, capsys):
    def call(*arguments):
        monkeypatch.setattr(sys, "argv", ["napari-globalxai", *map(str, arguments)])
        with pytest.raises(SystemExit) as end:
            cli.main()
        captured = capsys.readouterr()
        return end.value.code or 0, captured.out, captured.err

    return call


def said(run, name):
    return json.loads((run / "peppr" / f"{name}.json").read_text())


def test_several_fills_in_one_call(run, command):
    status, out, _ = command(
        "peppr", run, "--map", "left", "--fill", "mean-image", "--fill", "neighbour", *QUICK
    )
    assert status == 0
    assert "fills: all 2 fills say not enough data" in out
    for name in ("left", "left.neighbour"):
        assert said(run, name)["fills"]["left"]["agree"] is True
        assert (run / "peppr" / f"{name}.csv").is_file()
    assert said(run, "left.neighbour")["settings"]["fill"] == "neighbour"
    assert said(run, "left.neighbour")["fill_facts"]["donors"] > 1
    opened = gx.open_run(run)
    assert opened.peppr_names == ["left"]
    assert opened.peppr_fills("left") == ["mean-image", "neighbour"]
    assert opened.peppr_result("left").settings["fill"] == "mean-image"
    assert opened.peppr_result("left", "neighbour").settings["fill"] == "neighbour"
    with pytest.raises(gx.InputError, match="not run along 'left' with the fill 'black'"):
        opened.peppr_result("left", "black")


def test_fills_that_cannot_be_used_are_one_line(run, command):
    for fill, message in (("image:none.png", "none.png: does not exist"), ("x", "no fill 'x'")):
        status, _, err = command("peppr", run, "--fill", fill, *QUICK)
        assert status == 2
        assert message in err.strip().splitlines()[-1]


def test_the_whole_frame(run, command):
    status, _, _ = command("peppr", run, "--map", "left", "--area", "frame", *QUICK)
    assert status == 0
    settings = said(run, "left")["settings"]
    assert settings["area"] == "frame"
    assert settings["valid_pixels"] == tiny.HEIGHT * tiny.WIDTH
    assert said(run, "left")["mass_outside"] == 0


def test_regions(run, command, tmp_path):
    image = np.zeros((tiny.HEIGHT, tiny.WIDTH), np.uint8)
    image[tiny.SIGNS["left"]] = 3
    tifffile.imwrite(tmp_path / "regions.tif", image)
    status, out, _ = command("peppr", run, "--regions", tmp_path / "regions.tif", *QUICK)
    assert status == 0
    assert "erasing region-3 takes the AUC of left from 1.000" in out
    table = pd.read_csv(run / "peppr" / "regions.csv")
    assert set(table["label"]) == {"left", "right"}
    assert set(table["arm"]) == {"erase", "keep"}
    assert said(run, "regions")["settings"]["file"].endswith("regions.tif")
    # Regions alone: no map was tested.
    assert gx.open_run(run).peppr_names == []
    status, _, _ = command(
        "peppr", run, "--regions", tmp_path / "regions.tif", "--map", "left", *QUICK
    )
    assert status == 0
    assert gx.open_run(run).peppr_names == ["left"]
    assert set(pd.read_csv(run / "peppr" / "regions.csv")["label"]) == {"left"}
