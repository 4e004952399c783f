"""Columns of ours and of the user's do not take each other's place."""

from __future__ import annotations

import csv

import numpy as np
import pandas as pd
import pytest
import tiny
from stored_run import Plan, write_run

import napari_globalxai as gx
from napari_globalxai.csv_text import unmarked
from napari_globalxai.errors import InputError
from napari_globalxai.models.card.model_card import ModelCard
from napari_globalxai.models.classifier import Classifier
from napari_globalxai.runs.tables import truth_column, with_table_columns

NASTY = ("status", "error", "file", "path", "patient", "row", "probability_b", "laterality")


def read_rows(path):
    with path.open(newline="") as stream:
        return list(csv.DictReader(stream))


@pytest.mark.parametrize("name", NASTY)
def test_a_label_may_be_called_what_we_call_a_column(tmp_path, name):
    table = tiny.write_cohort(tmp_path / "cohort")
    frame = pd.read_csv(table, dtype=str).rename(columns={"left": name, "right": "b"})
    frame.to_csv(table, index=False)
    card = ModelCard(weights="none", labels=(name, "b"), input=tiny.input_card())
    model = Classifier(tiny.LinearNet(tiny.sign_weights()), card, device="cpu")
    cohort = gx.read_cohort(table, label_columns=[name, "b"], patient_column="ID")
    run = gx.explain(cohort, model, tmp_path / "run", "saliency")
    rows = read_rows(run.folder / "images.csv")
    assert {row["status"] for row in rows} == {"ok"}
    assert [row["file"] for row in rows] == frame["filename"].tolist()
    assert [row["patient"] for row in rows] == frame["ID"].tolist()
    assert [row[truth_column(name)] for row in rows] == frame[name].tolist()
    assert run.truth((name, "b"))[:, 0].tolist() == frame[name].astype(float).tolist()
    reopened = gx.open_run(run.folder)
    assert len(reopened.finished_rows) == len(frame)
    assert set(reopened.maps) == {"overall", name, "b"}


def test_the_columns_of_the_table_are_kept(tmp_path):
    table = tiny.write_cohort(tmp_path / "cohort")
    frame = pd.read_csv(table, dtype=str)
    frame["site"] = ["A", "=B"] * (len(frame) // 2)
    frame["status"] = "checked"
    frame["sex"] = ["", "F"] * (len(frame) // 2)
    frame["patient"] = "007"
    frame.to_csv(table, index=False)
    cohort = gx.read_cohort(table, patient_column="ID")
    run = gx.explain(cohort, tiny.linear_classifier(), tmp_path / "run", "saliency")
    gx.align(cohort, tmp_path / "aligned", height=32, width=48, registration="none")
    for folder in (run.folder, tmp_path / "aligned"):
        rows = read_rows(folder / "images.csv")
        for name in ("filename", "ID", "LR", "age", "site", "sex", "left"):
            # What a spreadsheet would run has a mark.
            kept = [unmarked(row[name]) for row in rows]
            assert kept == frame[name].fillna("").tolist(), name
        assert {row["site"] for row in rows} == {"A", "'=B"}
        assert {row["status"] for row in rows} == {"ok"}
        assert {row["table:status"] for row in rows} == {"checked"}
        assert {row["table:patient"] for row in rows} == {"007"}
        # What says the same is not said twice.
        assert "table:left" not in rows[0]
    assert gx.open_run(run.folder).images["age"].dtype.kind == "i"


def test_a_column_of_the_table_that_says_the_same_is_left_out():
    table = pd.DataFrame({"file": ["a", "b"], "x": ["1", np.nan], "table:x": ["p", "q"]})
    ours = {"file": ["a", "b"], "x": [2, 3]}
    columns = with_table_columns(ours, table)
    assert columns == {
        "file": ["a", "b"],
        "x": [2, 3],
        "table:x": ["1", ""],
        "table:table:x": ["p", "q"],
    }


def test_a_table_that_was_sorted_meanwhile_tells_of_the_same_images(tmp_path):
    """As spreadsheets do: else each map would be taken for another image's."""
    folder = write_run(tmp_path / "run", Plan(images=40))
    before, maps = gx.open_run(folder).images, gx.open_run(folder).maps_of(where="age > 60")
    lines = (folder / "images.csv").read_text().splitlines(keepends=True)
    (folder / "images.csv").write_text("".join([lines[0], *sorted(lines[1:])[::-1]]))
    run = gx.open_run(folder)
    pd.testing.assert_frame_equal(run.images, before)
    for name, image in run.maps_of(where="age > 60").items():
        np.testing.assert_array_equal(image.mean, maps[name].mean)


@pytest.mark.parametrize("kept", [slice(1, None), slice(None, -1)])
def test_a_table_that_lacks_an_image_is_refused(tmp_path, kept):
    folder = write_run(tmp_path / "run", Plan(images=40))
    lines = (folder / "images.csv").read_text().splitlines(keepends=True)
    (folder / "images.csv").write_text("".join([lines[0], *lines[1:][kept]]))
    with pytest.raises(InputError, match=r"images\.csv: (rows were left out|it has 39 rows)"):
        gx.open_run(folder).maps_of()
