"""Images of a run ranked by how unlike the global map they are, as it is kept."""

import json
import sys

import numpy as np
import pandas as pd
import pytest
import tifffile
import tiny
from scipy.stats import percentileofscore

import napari_globalxai as gx
from napari_globalxai import cli
from napari_globalxai.errors import InputError
from napari_globalxai.runs.questions.image_outliers import open_outliers, residual_map


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    folder = tmp_path_factory.mktemp("outliers")
    tiny.write_cohort(folder / "cohort", size=24)
    return gx.explain(
        folder / "cohort" / "cohort.csv", tiny.write_resnet(folder / "model"), folder / "run"
    )


def test_similarity_and_percentile_are_in_the_table_of_images(run):
    for label in run.labels:
        values = run.images[f"similarity_{label}"]
        among = values[run.images[label] == 1].dropna()
        assert len(among) > 3
        for value, found in zip(values, run.images[f"percentile_{label}"], strict=True):
            expected = percentileofscore(among, value, kind="mean") if value == value else np.nan
            np.testing.assert_allclose(found, expected)


def test_tables(run):
    found = gx.outliers(run, top=3, neighbours=2)
    for label in run.labels:
        table = pd.read_csv(found.folder / f"{label}.csv")
        rows = run.members(label)
        assert sorted(table["row"]) == rows.tolist()
        assert table["similarity"].dropna().is_monotonic_increasing
        by_row = table.set_index("row")
        np.testing.assert_allclose(
            by_row["similarity"][rows], run.images[f"similarity_{label}"][rows], rtol=1e-9
        )
        np.testing.assert_allclose(
            by_row["similarity_percentile"][rows], run.images[f"percentile_{label}"][rows]
        )
        assert by_row["member"].all()
        assert table["file"].tolist() == run.images["file"][table["row"]].tolist()
        nearest = pd.read_csv(found.folder / f"{label}.nearest.csv")
        assert nearest.groupby("row").size().tolist() == [2, 2, 2]
        assert set(nearest["row"]) == set(table["row"][:3])
        assert (nearest["row"] != nearest["nearest_row"]).all()
        for row in table["row"][:3]:
            image = tifffile.imread(found.folder / "residuals" / f"{label}-{row}.tif")
            assert np.array_equal(image, residual_map(run, label, row), equal_nan=True)
            assert image.shape == run.maps[label].shape
    again = open_outliers(run)
    assert again.tables["left"]["file"].tolist() == found.tables["left"]["file"].tolist()


def test_other_images_than_members(run):
    found = gx.outliers(run, where="row < 10", selection="negatives", labels=["right"])
    table = found.tables["right"]
    lacks = np.flatnonzero(run.images["right"] == 0)
    assert sorted(table["row"]) == [row for row in lacks if row < 10]
    assert not table["member"].any()
    # Percentiles are still those among the images that make the map.
    row = table.iloc[-1]
    assert row["similarity_percentile"] == run.images["percentile_right"][row["row"]]
    assert not (found.folder / "left.csv").exists()


def test_nothing_to_compare_is_said(run):
    found = gx.outliers(run, where="row > 100")
    assert found.record["warnings"][0].startswith("No image of the run matches")
    assert "left: no image was compared" in found.record["warnings"]
    assert len(open_outliers(run).tables["left"]) == 0
    with pytest.raises(InputError, match="no explained image in row 99"):
        residual_map(run, "left", 99)


def test_the_command(run, monkeypatch, capsys):
    # A run is meant by what lies in it, too.
    file = str(run.folder / "run.json")
    monkeypatch.setattr(sys, "argv", ["napari-globalxai", "outliers", file, "--top", "1", "--json"])
    with pytest.raises(SystemExit) as end:
        cli.main()
    assert not end.value.code
    found = json.loads(capsys.readouterr().out)
    assert [each["rank"] for each in found["ranked"]["left"]][:2] == [1, 2]
    assert found["labels"]["left"]["members"] == len(run.members("left"))
