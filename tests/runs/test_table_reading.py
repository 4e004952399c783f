"""A run remembers how its table was read, and whoever goes on with it need not say it again."""

from __future__ import annotations

import json
import sys

import numpy as np
import pytest
import tiny

import napari_globalxai as gx
from napari_globalxai import InputError, cli
from napari_globalxai.runs.inputs.table_reading import gone_on_with, recorded_reading
from napari_globalxai.runs.record import TableReading, read_record
from napari_globalxai.settings.cohort_settings import CohortSettings


def stop(report):
    if report.stage == "Aligning images" and report.done >= 4:
        raise gx.Cancelled


@pytest.fixture
def begun(tmp_path, monkeypatch):
    """A run that was stopped, its table read as said from another folder."""
    monkeypatch.chdir(tmp_path)
    table, model = tiny.write_odd_cohort(tmp_path), tiny.write_linear(tmp_path / "model")
    with pytest.raises(gx.Cancelled):
        gx.explain(gx.read_cohort(table, **tiny.ODD), model, "run", "saliency", progress=stop)
    monkeypatch.chdir(tmp_path / "tables")
    return table, model, tmp_path / "run"


def test_a_command_goes_on_without_what_was_said_of_the_table(begun, monkeypatch, capsys):
    table, model, out = begun
    told = read_record(out).cohort.reading.given()
    assert told["image_root"] == out.parent / "pictures"
    assert told["file_column"] == "scan"
    done = (out / "aligned.zarr" / "rows.jsonl").read_text()
    asked = [table, "--model", model, "--out", out, "--method", "saliency", "--resume"]
    for more in ([], ["--patient-column", "scan"]):
        monkeypatch.setattr(sys, "argv", ["x", "explain", *map(str, asked), *more])
        with pytest.raises(SystemExit) as end:
            cli.main()
        # What is said now goes before what was said then, and would be another cohort.
        assert (end.value.code or 0) == (2 if more else 0)
        refused = "another cohort: it read the same table otherwise (patient: who); read it so"
        assert (refused in capsys.readouterr().err) is bool(more)
    assert (out / "aligned.zarr" / "rows.jsonl").read_text().startswith(done)
    monkeypatch.chdir(out.parent)
    whole = gx.explain(gx.read_cohort(table, **tiny.ODD), model, "whole", "saliency")
    run = gx.open_run(out)
    assert run.record.cohort.columns == whole.record.cohort.columns
    for name, image in whole.maps.items():
        np.testing.assert_array_equal(run.maps[name], image)


def test_python_goes_on_from_the_path_of_the_table(begun):
    table, model, out = begun
    with pytest.raises(InputError, match="file"):
        gx.explain(table, model, out.with_name("new"), "saliency")
    run = gx.explain(table, model, out, "saliency", resume=True)
    assert run.record.counts.explained == 16
    assert run.images["laterality"].tolist() == ["R" if row % 3 == 0 else "L" for row in range(16)]


def test_a_record_that_says_nothing_of_it_is_read_as_before(begun):
    out = begun[2]
    values = json.loads((out / "run.json").read_text())
    assert set(values["cohort"]["reading"]) == set(tiny.ODD)
    del values["cohort"]["reading"]
    (out / "run.json").write_text(json.dumps(values))
    assert gone_on_with(out, CohortSettings(file_column="x")) == CohortSettings(file_column="x")
    # What a later version may add is passed over.
    values["cohort"]["reading"] = {"file_column": "scan", "of_later": 1}
    (out / "run.json").write_text(json.dumps(values))
    assert recorded_reading(read_record(out).cohort) == {"file_column": "scan"}


def test_a_store_that_only_a_record_names_is_not_asked(begun):
    cohort = read_record(begun[2]).cohort
    strange = TableReading(image_root="s3://strange/images", file_column="scan")
    assert recorded_reading(cohort.model_copy(update={"reading": strange})) == {
        "file_column": "scan"
    }
