"""Time a whole `explain` beside the attribution alone, and watch its memory as the cohort grows.

The cohort is the bundled sample, its images repeated. Aligning is left out: it happens once, and
the stack stays. What is left to pay beside the attribution is reading the stack, writing the store,
averaging, and comparing every image with its global map.
"""

from __future__ import annotations

import argparse
import json
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from monai.networks.nets import resnet34
from side_by_side import INPUT

from napari_globalxai.attribution.method import make_method
from napari_globalxai.frame.stack import batches
from napari_globalxai.models.card.model_card import ModelCard
from napari_globalxai.models.classifier import Classifier
from napari_globalxai.models.loaders import load_model
from napari_globalxai.progress import Progress
from napari_globalxai.runs.pipeline import explain
from napari_globalxai.samples import sample_folder

REPEATS = 3


def write_cohort(folder: Path, size: int) -> Path:
    """Write a table of the sample's images, repeated."""
    source = sample_folder() / "cohort"
    table = pd.read_csv(source / "cohort.csv")
    table["filename"] = [str(source / name) for name in table["filename"]]
    repeated = table.iloc[np.arange(size) % len(table)]
    folder.mkdir(parents=True)
    repeated.to_csv(folder / "cohort.csv", index=False)
    return folder / "cohort.csv"


def load(network: str) -> Classifier:
    """Return the sample's small model, or a ResNet-34 of the reference size and random weights."""
    if network == "sample":
        return load_model(sample_folder() / "models" / "honest.yaml", precision="float32")
    card = ModelCard(weights="none", labels=("AMD", "RVO", "RP", "Gla"), input=INPUT)
    plain = resnet34(spatial_dims=2, n_input_channels=2, num_classes=4)
    return Classifier(plain, card, precision="float32")


def measure(size: int, method: str, network: str) -> dict[str, float]:
    """Explain a cohort of a size; return seconds and the peak of memory in MiB."""
    stages: dict[str, float] = {}

    def note(progress: Progress) -> None:
        stages.setdefault(progress.stage, time.perf_counter())

    model = load(network)
    with tempfile.TemporaryDirectory() as folder:
        table = write_cohort(Path(folder) / "cohort", size)
        run = explain(table, model, Path(folder) / "run", method, progress=note)
        end = time.perf_counter()
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        whole = end - stages["Choosing number format and batch size"]
        explainer = make_method(method)
        labels = [model.labels.index(label) for label in run.labels]
        # As many at once as the run took.
        batch = run.info["settings"]["batch_size"]
        images = run.stack.read(range(batch))
        times = []
        for _ in range(REPEATS):
            start = time.perf_counter()
            for part in batches(range(size), batch):
                explainer.attribute(model, model.to_input(images[: len(part)]), labels)
            times.append(time.perf_counter() - start)
        alone = statistics.median(times)
    return {"whole": whole, "alone": alone, "peak": peak}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sizes", type=int, nargs="+", default=[200, 2000])
    parser.add_argument("--method", default="grad-cam")
    parser.add_argument("--network", choices=["sample", "resnet34"], default="sample")
    parser.add_argument("--one", type=int, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.one:
        print(json.dumps(measure(options.one, options.method, options.network)))
        return
    print(f"{options.method}, {options.network}, {torch.get_num_threads()} threads")
    print(f"{'images':>8}{'attribution, s':>16}{'whole run, s':>14}{'ratio':>8}{'peak, MiB':>11}")
    for size in options.sizes:
        # A process each, because the peak of a process never goes down.
        command = [sys.executable, __file__, "--one", str(size)]
        command += ["--method", options.method, "--network", options.network]
        done = subprocess.run(command, check=True, capture_output=True, text=True)
        found = json.loads(done.stdout.splitlines()[-1])
        ratio = found["whole"] / found["alone"]
        print(
            f"{size:>8}{found['alone']:>16.1f}{found['whole']:>14.1f}{ratio:>8.2f}"
            f"{found['peak']:>11.0f}"
        )


if __name__ == "__main__":
    main()
