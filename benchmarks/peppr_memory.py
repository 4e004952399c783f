"""The peak of memory of PEPPR as the cohort grows: what it holds beside a network and a batch.

    python benchmarks/peppr_memory.py [--sizes N ...]

Each size is a process of its own, because the peak of a process never goes down. The model is
linear, the images are drawn whenever they are read, and half as many patients as there are images
are resampled as by default.
"""

import argparse
import json
import resource
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
from calibration_models import LinearModel

from napari_globalxai.faithfulness.evaluation import Evaluation
from napari_globalxai.faithfulness.fills.fill_kinds import fit_fill
from napari_globalxai.faithfulness.peppr import run_peppr
from napari_globalxai.settings.peppr_settings import PepprSettings

_LABELS = ("a", "b", "c", "d")


class Drawn:
    """Images that are drawn anew each time that they are read, so that none is held."""

    shape = (32, 40)

    def read(self, rows: list[int]) -> np.ndarray:
        return np.stack(
            [
                np.random.default_rng(int(row)).integers(0, 256, (2, *self.shape), np.uint8)
                for row in rows
            ]
        )

    def mean_image(self, rows: list[int]) -> np.ndarray:
        return self.read(rows[:16]).mean(axis=0).astype(np.float32)


def measure(size: int) -> dict[str, float]:
    """Return the peak before and after, in MiB."""
    rng = np.random.default_rng(0)
    weights = rng.normal(size=(len(_LABELS), 2, *Drawn.shape)) / 1000
    images, rows = Drawn(), np.arange(size)
    evaluation = Evaluation(
        classifier=LinearModel(_LABELS, weights, np.zeros(len(_LABELS))),
        stack=images,
        rows=rows,
        truth=rng.integers(0, 2, (size, len(_LABELS))).astype(float),
        patients=tuple(f"P{row // 2}" for row in rows),
        valid=np.ones(images.shape, bool),
        fill=fit_fill("mean-image", images, rows),
        batch_size=128,
        key="memory",
    )
    image = rng.random(images.shape)
    settings = PepprSettings(steps=8, control_steps=4, controls=2)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    with tempfile.TemporaryDirectory() as folder:
        run_peppr(evaluation, "map", image, _LABELS[:1], settings, cache=Path(folder))
    after = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return {"before": before, "after": after}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--sizes", type=int, nargs="+", default=[200, 2000])
    parser.add_argument("--one", type=int, help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.one:
        print(json.dumps(measure(asked.one)))
        return
    print("| images | peak before, MiB | peak, MiB |")
    print("|---|---|---|")
    for size in asked.sizes:
        command = [sys.executable, __file__, "--one", str(size)]
        done = subprocess.run(command, check=True, capture_output=True, text=True)
        found = json.loads(done.stdout.splitlines()[-1])
        print(f"| {size} | {found['before']:.0f} | {found['after']:.0f} |", flush=True)


if __name__ == "__main__":
    main()
