"""One worker and two: ResNet-34, 2 × 384 × 512, Grad-CAM and PEPPR, a thread each.

    OMP_NUM_THREADS=1 python benchmarks/workers.py [--images 128] [--workers 1 2] [--explain-alone]

Wall time says what two workers are good for only where two cores are free. So beside it stands
what does not depend on who else is there: the processor time of the busiest worker, and that of
this process, which gives out the work and aggregates. Where cores are free, a stage takes at least
as long as the busier of the two. What is imported to load a model is there before the clock starts,
the model is not.
"""

from __future__ import annotations

import argparse
import os
import tempfile
import time
from dataclasses import replace
from importlib import import_module
from pathlib import Path

import numpy as np
import torch
import yaml
from monai.networks.nets import ResNet
from PIL import Image
from safetensors.torch import save_file

from napari_globalxai.cohort.table import read_cohort
from napari_globalxai.execution.dask_workers import Workers, open_workers
from napari_globalxai.faithfulness.orders.map_orders import random_orders, step_counts
from napari_globalxai.faithfulness.predictions.spread_passes import SpreadPasses
from napari_globalxai.models.loaders import load_model
from napari_globalxai.runs.peppr.evaluate import make_evaluation
from napari_globalxai.runs.plan import plan_run
from napari_globalxai.settings.execution_settings import WorkerSettings
from napari_globalxai.settings.explain_settings import ExplainSettings

HEIGHT, WIDTH, LABELS = 384, 512, ("AMD", "RVO", "Gla", "RP")
NETWORK = {
    "block": "basic",
    "layers": [3, 4, 6, 3],
    "block_inplanes": [64, 128, 256, 512],
    "spatial_dims": 2,
    "n_input_channels": 2,
    "num_classes": len(LABELS),
}


def write_inputs(folder: Path, images: int) -> tuple[Path, Path]:
    """Write a cohort of noise and a network that has learnt nothing."""
    generator = np.random.default_rng(0)
    lines = [",".join(("filename", "ID", "LR", *LABELS))]
    for row in range(images):
        pixels = generator.integers(0, 255, (HEIGHT // 8, WIDTH // 8, 3), dtype=np.uint8)
        Image.fromarray(pixels).resize((WIDTH, HEIGHT)).save(folder / f"{row}.png")
        truth = ",".join(str(int(each)) for each in generator.integers(0, 2, len(LABELS)))
        lines.append(f"{row}.png,P{row},L,{truth}")
    (folder / "cohort.csv").write_text("\n".join(lines) + "\n")
    torch.manual_seed(0)
    state = {key: value.contiguous() for key, value in ResNet(**NETWORK).state_dict().items()}
    save_file(state, folder / "resnet.safetensors")
    card = {
        "weights": "resnet.safetensors",
        "network": {"name": "ResNet", "arguments": NETWORK},
        "labels": list(LABELS),
        "input": {"channels": 2, "height": HEIGHT, "width": WIDTH, "mean": 0.3, "std": 0.1},
        "activation": "sigmoid",
        "cam_layer": "layer4",
    }
    (folder / "model.yaml").write_text(yaml.safe_dump(card))
    return folder / "cohort.csv", folder / "model.yaml"


def processor_times(workers: Workers) -> dict[str, float]:
    """Return what each worker has spent so far, in seconds."""
    found: dict[str, float] = workers._client.run(time.process_time)
    return found


def timed(workers: Workers, work: object) -> tuple[float, float, float]:
    """Return wall time, processor time of the busiest worker and of this process."""
    before, own, wall = processor_times(workers), time.process_time(), time.perf_counter()
    work()  # type: ignore[operator]
    elapsed, spent = time.perf_counter() - wall, time.process_time() - own
    after = processor_times(workers)
    return elapsed, max(after[name] - before[name] for name in after), spent


def measure(
    folder: Path, inputs: tuple[Path, Path], count: int, tests: bool
) -> dict[str, tuple[float, ...]]:
    """Explain, and test, with so many workers."""
    settings = ExplainSettings(precision="float32", batch_size=2)
    model = load_model(inputs[1], precision="float32")
    plan = plan_run(read_cohort(inputs[0]), model, folder / f"run-{count}", settings)
    with open_workers(WorkerSettings(workers=count)) as workers:
        assert workers is not None
        aligned = plan.align(workers=workers)
        workers._client.run(import_module, "napari_globalxai.attribution.chunks")
        found = {}
        attributed = []
        found["explain"] = timed(
            workers, lambda: attributed.append(aligned.attribute(workers=workers))
        )
        if not tests:
            return found
        run = attributed[0].aggregate().write()
        evaluation = make_evaluation(run, classifier=model, batch_size=2)
        spread = replace(evaluation, elsewhere=SpreadPasses(workers, folder / f"shared-{count}"))
        _ = spread.ends
        counts = step_counts(int(evaluation.valid.sum()), 2)
        orders = list(random_orders(evaluation.valid, 1, 0))
        found["peppr"] = timed(workers, lambda: list(spread.logits_along(orders, counts)))
    return found


def main() -> None:
    """Measure, and print a table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--images", type=int, default=128)
    parser.add_argument("--explain-alone", action="store_true", help="leave PEPPR out")
    parser.add_argument("--workers", type=int, nargs="+", default=[1, 2])
    options = parser.parse_args()
    torch.set_num_threads(1)
    rows: dict[str, dict[int, tuple[float, ...]]] = {}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        inputs = write_inputs(folder, options.images)
        for count in options.workers:
            found = measure(folder, inputs, count, not options.explain_alone)
            for work, figures in found.items():
                rows.setdefault(work, {})[count] = figures
            print(f"{count} workers: load {os.getloadavg()[0]:.1f}", flush=True)
    print("| work | workers | wall, s | ratio | busiest worker, s | ratio | this process, s |")
    print("|---|---|---|---|---|---|---|")
    for work, by_count in rows.items():
        first = by_count[options.workers[0]]
        for count, (wall, busiest, own) in by_count.items():
            print(
                f"| {work} | {count} | {wall:.1f} | {first[0] / wall:.2f} | {busiest:.1f} | "
                f"{first[1] / busiest:.2f} | {own:.1f} |"
            )


if __name__ == "__main__":
    main()
