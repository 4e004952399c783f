"""A run that is killed, at any moment, goes on and ends with the same bits."""

import os
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import tifffile
import tiny
import zarr

from napari_globalxai.runs.pipeline import explain
from napari_globalxai.runs.run import open_run

COUNT = 72  # three chunks of the store


def command(table, model, out):
    return [
        *(sys.executable, "-m", "napari_globalxai", "explain", str(table)),
        *("--model", str(model), "--out", str(out), "--method", "smooth-grad"),
        *("--batch-size", "3", "--device", "cpu", "--resume"),
    ]


def wait_for(path, process, size=1):
    """Wait until a file has grown to a size; the process must not end before."""
    deadline = time.monotonic() + 120
    while not path.is_file() or path.stat().st_size < size:
        assert process.poll() is None, "the run ended before it could be killed"
        assert time.monotonic() < deadline
        time.sleep(0.002)


@pytest.mark.slow
def test_a_killed_run_is_bit_identical(tmp_path):
    table = tiny.write_cohort(tmp_path / "cohort", size=COUNT)
    model = tiny.write_resnet(tmp_path / "model")
    undisturbed = explain(table, model, tmp_path / "undisturbed", "smooth-grad", batch_size=3)
    out = tmp_path / "killed"
    # Not seeded: any moment must do.
    rng = np.random.default_rng()
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}
    for reached, size in (("aligned.zarr/rows.jsonl", 1), ("attributions.jsonl", 1)):
        process = subprocess.Popen(
            command(table, model, out), env=environment, stderr=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
        )  # fmt: skip
        wait_for(out / reached, process, size)
        time.sleep(rng.uniform(0, 0.2))
        assert process.poll() is None
        process.kill()
        assert process.wait() != 0
    resumed = explain(table, model, out, "smooth-grad", batch_size=3, resume=True)
    assert np.array_equal(tiny.attributions(resumed), tiny.attributions(undisturbed))
    for path in sorted((undisturbed.folder / "maps").glob("*.tif")):
        assert np.array_equal(tifffile.imread(out / "maps" / path.name), tifffile.imread(path))
    pd.testing.assert_frame_equal(open_run(out).images, open_run(undisturbed.folder).images)


def test_images_that_went_and_came_back_are_explained_again(tmp_path):
    table = tiny.write_cohort(tmp_path / "cohort")
    images = tmp_path / "cohort" / "images"
    first, second = images / "000.png", images / "001.png"
    kept = first.read_bytes(), second.read_bytes()
    model = tiny.linear_classifier()

    def go_on():
        return explain(table, model, tmp_path / "run", "saliency", resume=True)

    whole = go_on()
    before = tiny.attributions(whole).copy()
    means = {name: whole.maps[name].copy() for name in whole.maps}
    first.unlink()
    second.write_bytes(b"rubbish")
    assert go_on().record.counts.failed == 2
    assert np.isnan(tiny.attributions(whole)[:2]).all()
    first.write_bytes(kept[0])
    second.write_bytes(kept[1])
    again = go_on()
    assert again.record.counts.explained == 24
    np.testing.assert_array_equal(tiny.attributions(again), before)
    for name, mean in means.items():
        np.testing.assert_array_equal(again.maps[name], mean)


def test_a_row_is_finished_only_if_its_map_is_there(tmp_path):
    table, model = tiny.write_cohort(tmp_path / "cohort"), tiny.linear_classifier()
    run = explain(table, model, tmp_path / "run", "saliency")
    before = tiny.attributions(run).copy()
    # As an older release left it, whose journal still counted what it had forgotten.
    store = zarr.open_array(run.folder / "attributions.zarr", mode="r+")
    store[3:5] = np.nan
    explain(table, model, tmp_path / "run", "saliency", resume=True)
    np.testing.assert_array_equal(tiny.attributions(run), before)
