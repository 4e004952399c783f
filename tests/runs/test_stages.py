"""A run in stages, each driven by itself."""

from __future__ import annotations

import numpy as np
import tiny

import napari_globalxai as gx
from napari_globalxai.cohort.table import read_cohort
from napari_globalxai.runs.plan import plan_run
from napari_globalxai.runs.record import read_record
from napari_globalxai.settings.explain_settings import ExplainSettings


def test_stages_driven_one_by_one_give_the_same_run(tmp_path):
    table = tiny.write_cohort(tmp_path / "cohort")
    settings = ExplainSettings(method="saliency", seed=2)
    whole = gx.explain(table, tiny.linear_classifier(), tmp_path / "whole", settings)
    plan = plan_run(read_cohort(table), tiny.linear_classifier(), tmp_path / "run", settings)
    # Nothing is written before the first stage.
    assert not plan.folder.exists()
    aligned = plan.align()
    assert len(aligned.rows) == 24
    assert read_record(plan.folder).status == "running"
    attributed = aligned.attribute()
    assert np.isfinite(attributed.logits).all()
    assert set(attributed.members) == set(tiny.LABELS)
    aggregated = attributed.aggregate()
    assert [image.label for image in aggregated.maps] == list(tiny.LABELS)
    assert not (plan.folder / "maps").exists()
    run = aggregated.write()
    assert read_record(plan.folder).status == "finished"
    for name in whole.maps:
        assert np.array_equal(run.maps[name], whole.maps[name])
    for name in ("images.csv", "maps/maps.csv"):
        assert (run.folder / name).read_bytes() == (whole.folder / name).read_bytes()


def test_every_report_of_progress_can_carry_the_remaining_time(tmp_path):
    told = []
    gx.explain(
        tiny.write_cohort(tmp_path / "cohort"),
        tiny.write_linear(tmp_path / "model"),
        tmp_path / "run",
        "saliency",
        progress=told.append,
    )
    stages = list(dict.fromkeys(each.stage for each in told))
    assert stages[0] == "Loading the model"
    assert any(stage.startswith("Explaining images") for stage in stages)
    explaining = [each for each in told if each.stage.startswith("Explaining") and each.done]
    # While images are explained, what comes after counts as well.
    assert all(each.remaining is not None and each.remaining > 0 for each in explaining)
    assert told[-1].remaining == 0
