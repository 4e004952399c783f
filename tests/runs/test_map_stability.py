"""The stability of a run's maps, as it is kept."""

import json
import sys

import numpy as np
import pandas as pd
import pytest
import tifffile
import tiny

import napari_globalxai as gx
from napari_globalxai import cli
from napari_globalxai.errors import InputError
from napari_globalxai.runs.questions.map_stability import open_stability


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    folder = tmp_path_factory.mktemp("stability")
    tiny.write_cohort(folder / "cohort", size=24)
    return gx.explain(
        folder / "cohort" / "cohort.csv", tiny.write_resnet(folder / "model"), folder / "run"
    )


def test_files_and_numbers(run):
    found = gx.stability(run, splits=100, bootstrap=100)
    folder = run.folder / "stability"
    assert found.folder == folder
    bands = {f"{name}.{kind}.tif" for name in run.maps for kind in ("low", "high")}
    assert {path.name for path in folder.iterdir()} == bands | {
        "stability.json", "stability.csv", "growth.csv",
    }  # fmt: skip
    assert list(found.labels) == ["overall", *run.labels]
    for label in run.labels:
        facts = found.labels[label]
        rows = run.members(label)
        assert facts["n"] == len(rows)
        assert facts["n_patients"] == len(set(run.images["patient"].iloc[rows]))
        assert "fewer than 20" in facts["warning"]
        low, high = (tifffile.imread(folder / f"{label}.{kind}.tif") for kind in ("low", "high"))
        assert low.shape == run.maps[label].shape
        assert (low <= high).all()
        assert ((low <= run.maps[label]) & (run.maps[label] <= high)).mean() > 0.8
    either = np.union1d(run.members("left"), run.members("right"))
    assert found.labels["overall"]["n"] == len(either)
    table = pd.read_csv(folder / "stability.csv")
    assert table["label"].tolist() == ["overall", *run.labels]
    assert table["reliability"].tolist() == pytest.approx(
        [facts["reliability"] for facts in found.labels.values()], nan_ok=True
    )
    assert set(found.growth["label"]) <= set(found.labels)


def test_of_a_selection(run):
    gx.make_maps(run, "some", where="row < 12", labels=["left"], selection="all", scale="max")
    found = gx.stability(run, "some", splits=100, bootstrap=100)
    assert found.folder == run.folder / "selections" / "some" / "stability"
    assert list(found.labels) == ["overall", "left"]
    assert found.labels["left"]["n"] == 12
    assert open_stability(run, "some").record == found.record
    with pytest.raises(InputError, match="has no selection 'other'; selections are some"):
        gx.stability(run, "other")


def test_of_no_image(run):
    gx.make_maps(run, "none", where="row > 100")
    found = gx.stability(run, "none", splits=100, bootstrap=100)
    for facts in found.labels.values():
        assert facts["n_patients"] == 0
        assert facts["sentence"] == "Nothing can be said with 0 patients."
        assert facts["warning"]


def test_many_cells_are_averaged_over_squares(run, monkeypatch):
    monkeypatch.setattr("napari_globalxai.runs.questions.map_stability._MOST_BYTES", 8 * 24 * 2 * 8)
    found = gx.stability(run, splits=100, bootstrap=100)
    assert np.prod(found.record["cells"]) <= 8
    assert tifffile.imread(found.folder / "left.low.tif").shape == run.maps["left"].shape


def test_the_command(run, monkeypatch, capsys):
    arguments = ["stability", str(run.folder), "--splits", "100", "--bootstrap", "100", "--json"]
    monkeypatch.setattr(sys, "argv", ["napari-globalxai", *arguments])
    with pytest.raises(SystemExit) as end:
        cli.main()
    assert not end.value.code
    found = json.loads(capsys.readouterr().out)
    assert list(found["labels"]) == ["overall", *run.labels]
