"""``run.json``: typed, versioned, and told apart by kind."""

from __future__ import annotations

import json
import shutil

import numpy as np
import pytest
import tiny

import napari_globalxai as gx
from napari_globalxai.errors import InputError
from napari_globalxai.runs.record import AlignRecord, RunRecord, read_record, write_record
from napari_globalxai.storage import read_json, write_json


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    base = tmp_path_factory.mktemp("record")
    table = tiny.write_cohort(base / "cohort")
    gx.explain(table, tiny.linear_classifier(), base / "run", "saliency", seed=3)
    gx.align(table, base / "align", height=32, width=48, registration="none")
    gx.check_quality(table, base / "check", height=32, width=48, registration="none")
    return base


def changed(folder, to, **values):
    """Copy a folder, with other values in its record."""
    shutil.copytree(folder, to)
    known = {**read_json(to / "run.json"), **values}
    write_json(to / "run.json", {key: value for key, value in known.items() if value is not None})
    return to


def as_format_1(folder, to, kind):
    """Copy a folder as releases before 0.2 left it."""
    record = read_json(folder / "run.json")
    settings = record["settings"]
    for name in ("template", "cam_layer", "device") if kind is None else ():
        settings.pop(name)
    return changed(folder, to, format=None, kind=kind, settings=settings)


@pytest.mark.parametrize("kind", ["run", "align", "check"])
def test_a_record_says_what_it_is_and_comes_back_the_same(folders, tmp_path, kind):
    values = read_json(folders / kind / "run.json")
    assert (values["format"], values["kind"], values["status"]) == (2, kind, "finished")
    record = read_record(folders / kind)
    assert isinstance(record, RunRecord if kind == "run" else AlignRecord)
    write_record(tmp_path, record)
    assert read_json(tmp_path / "run.json") == values


def test_a_run_of_format_1_opens_and_goes_on(folders, tmp_path):
    old = as_format_1(folders / "run", tmp_path / "old", None)
    run, now = gx.open_run(old), gx.open_run(folders / "run")
    assert run.record.settings.decisive == now.record.settings.decisive
    assert all(np.array_equal(run.maps[name], now.maps[name]) for name in now.maps)
    table = folders / "cohort" / "cohort.csv"
    model = tiny.linear_classifier()
    again = gx.explain(table, model, old, "saliency", seed=3, resume=True)
    assert read_json(old / "run.json")["format"] == 2
    assert np.array_equal(again.maps["left"], now.maps["left"])


@pytest.mark.parametrize("kind", ["align", "check"])
def test_other_folders_of_format_1_are_told_apart(folders, tmp_path, kind):
    old = as_format_1(folders / kind, tmp_path / "old", "alignment")
    assert read_record(old).kind == kind


def test_a_newer_format_is_refused(folders, tmp_path):
    newer = changed(folders / "run", tmp_path / "newer", format=99)
    with pytest.raises(InputError, match=r"run.json: .*newer version.*format 99.*newest version"):
        gx.open_run(newer)


@pytest.mark.parametrize(
    ("kind", "sentence"),
    [
        ("align", r"holds aligned images, not a run; give it to `explain --aligned`"),
        ("check", r"holds a quality control, not a run; look at its quality.html"),
    ],
)
def test_a_folder_of_another_kind_says_what_it_is(folders, kind, sentence):
    with pytest.raises(InputError, match=sentence):
        gx.open_run(folders / kind)
    with pytest.raises(InputError, match=sentence):
        gx.peppr(folders / kind)


def test_a_run_is_no_quality_control_and_no_place_for_one(folders):
    for kind in ("run", "align"):
        with pytest.raises(InputError, match=r"holds .*, not a quality control"):
            gx.open_quality(folders / kind)
    table = folders / "cohort" / "cohort.csv"
    with pytest.raises(InputError, match="holds a run, not aligned images"):
        gx.align(table, folders / "run", height=32, width=48, registration="none")
    with pytest.raises(InputError, match=r"holds aligned images, not a run.*another folder"):
        gx.explain(table, tiny.linear_classifier(), folders / "align", "saliency", resume=True)


@pytest.mark.parametrize(
    "text", ["", "{", "[]", '{"kind": "run"}', '{"kind": "tale"}', '{"format": "x"}', "\udcff"]
)
def test_a_damaged_record_is_named(tmp_path, text):
    (tmp_path / "run.json").write_bytes(text.encode(errors="surrogateescape"))
    with pytest.raises(InputError, match=r"run.json: .*(damaged|newer)"):
        read_record(tmp_path)


def test_another_setting_is_named_on_resume(folders, tmp_path):
    shutil.copytree(folders / "run", tmp_path / "run")
    table, model = folders / "cohort" / "cohort.csv", tiny.linear_classifier()
    with pytest.raises(InputError, match=r"made with another settings \(scale\);"):
        gx.explain(table, model, tmp_path / "run", "saliency", seed=3, scale="mass", resume=True)
    # Where and how it is computed is no difference.
    gx.explain(table, model, tmp_path / "run", "saliency", seed=3, batch_size=5, resume=True)


def test_a_run_opens_without_the_package_that_its_method_came_from(folders, tmp_path):
    values = read_json(folders / "run" / "run.json")["settings"]
    values["method"] = {"name": "not-installed", "steps": 3}
    gone = changed(folders / "run", tmp_path / "gone", settings=values)
    run = gx.open_run(gone)
    assert run.record.settings.method_record == {"name": "not-installed", "steps": 3}
    assert json.loads((gone / "run.json").read_text())["settings"]["method"]["steps"] == 3
