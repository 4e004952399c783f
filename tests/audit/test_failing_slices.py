"""Slices of a run in which the model fails: what is told, and the files."""

import json

import numpy as np
import pandas as pd
import pytest
import tifffile
from stored_run import Plan, write_run

import napari_globalxai as gx
from napari_globalxai.errors import InputError


def spoil(folder, chosen, how):
    """Change the predictions of the first label where a table says so."""
    table = pd.read_csv(folder / "images.csv", index_col="row")
    rows = chosen(table)
    if how == "noise":
        values = np.random.default_rng(0).normal(0, 1, int(rows.sum()))
        table.loc[rows, "logit_L0"] = values
    else:
        table.loc[rows, "logit_L0"] += 2.5
    table["probability_L0"] = 1 / (1 + np.exp(-table["logit_L0"]))
    table.to_csv(folder / "images.csv")


@pytest.fixture
def folder(tmp_path):
    return write_run(tmp_path / "run", Plan(images=800, labels=2))


def test_a_conjunction_that_fails_is_told_with_its_map(folder):
    spoil(folder, lambda table: (table["site"] == "B") & (table["sex"] == "F"), "noise")
    result = gx.slices(folder)
    (first, *_) = [each for each in result.found if each.measure == "roc_auc"]
    assert first.label == "L0"
    assert set(first.query.split(" and ")) == {"site == 'B'", "sex == 'F'"}
    assert first.value < first.rest - 0.1
    assert first.p <= 0.05
    run = gx.open_run(folder)
    rows = (run.images["site"] == "B") & (run.images["sex"] == "F")
    expected = run.maps_of(rows, labels=["L0"])["L0"].mean
    assert np.array_equal(tifffile.imread(folder / "slices" / first.map), expected)
    saved = json.loads((folder / "slices" / "slices.json").read_text())
    assert [each["query"] for each in saved["slices"]] == [each.query for each in result.found]
    assert saved["searched"] > 50
    assert set(pd.read_csv(folder / "slices" / "calibration.csv")["label"]) == {"L0", "L1"}
    assert len(pd.read_csv(folder / "slices" / "thresholds.csv")) == 38


def test_what_lies_above_what_happens_is_told(folder):
    spoil(folder, lambda table: table["site"] == "B", "shift")
    found = [each for each in gx.slices(folder).found if each.measure == "calibration"]
    assert [each.query for each in found] == ["site == 'B'"]
    assert found[0].value > 0.2
    assert "above what happens" in found[0].sentence


def test_clusters_are_slices_too(tmp_path):
    folder = write_run(tmp_path / "run", Plan(images=400, labels=2, shortcut=True))
    gx.audit(folder, erase="none")
    spoil(folder, lambda table: table["site"] == "B", "noise")
    found = {each.query for each in gx.slices(folder, columns=()).found}
    assert len(found) == 1
    assert found.pop().startswith("cluster ")


def test_nothing_is_told_of_predictions_that_are_alike(tmp_path):
    told = [
        bool(gx.slices(write_run(tmp_path / str(seed), Plan(seed=seed))).found) for seed in range(8)
    ]
    assert sum(told) <= 1


def test_a_column_that_is_not_there_is_refused(folder):
    with pytest.raises(InputError, match="no column 'colour'"):
        gx.slices(folder, columns=("colour",))
