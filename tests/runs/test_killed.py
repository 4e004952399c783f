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
