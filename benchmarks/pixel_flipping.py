"""Time a step of erasing and restoring beside Quantus and pytorch-grad-cam, in one run.

A step is the prediction of all images with some pixels replaced. Quantus' PixelFlipping replaces
them by one colour, as a fill that all images share does; ROAD, in pytorch-grad-cam, imputes them,
as the fill `noisy-linear` does. Both score one label a call, ours all of them. Peers that are not
installed are left out. Seconds are those that this process spent, so that a busy machine does not
count, of one step of one image.
"""

from __future__ import annotations

import importlib
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from grad_cam import pytorch_grad_cam
from side_by_side import HEIGHT, LABELS, WIDTH, arguments, classifier, images, network, print_table

from napari_globalxai.faithfulness.fills.fill_kinds import fit_fill
from napari_globalxai.faithfulness.orders.map_orders import kept_pixels, order_by_map
from napari_globalxai.faithfulness.predictions.masked_prediction import predict_masked

STEPS = 8
# Imputing takes seconds a step there.
ROAD_STEPS = 2
SHAPE = (HEIGHT, WIDTH)


class Pictures:
    """Images in memory."""

    shape = SHAPE

    def __init__(self, pixels: np.ndarray) -> None:
        self.pixels = pixels

    def read(self, rows: Any) -> np.ndarray:
        return self.pixels[np.asarray(rows, int)]

    def mean_image(self, rows: Any) -> np.ndarray:
        return self.read(rows).mean(axis=0).astype(np.float32)


def important() -> np.ndarray:
    """Return a smooth map without ties, (height, width)."""
    y, x = np.mgrid[:HEIGHT, :WIDTH]
    away = np.hypot(y - 0.4 * HEIGHT, x - 0.6 * WIDTH)
    return (away.max() - away).astype(np.float32)


def bare(batch: int) -> Callable[[], int]:
    model = classifier("float32", "cpu").working_with(images_a_forward=batch)
    inputs = images(batch, "cpu").contiguous(memory_format=torch.channels_last)

    def run() -> int:
        with torch.inference_mode():
            for _ in range(STEPS):
                model.logits(inputs)
        return STEPS

    return run


def ours(batch: int, fill_name: str, steps: int) -> Callable[[], int]:
    model = classifier("float32", "cpu").working_with(images_a_forward=batch)
    pixels = np.random.default_rng(0).integers(0, 256, (batch, 2, *SHAPE)).astype(np.uint8)
    stack, rows = Pictures(pixels), np.arange(batch)
    fill = fit_fill(fill_name, stack, rows)
    order = order_by_map(important(), np.ones(SHAPE, bool), 0)
    counts = [round(order.size * step / (steps + 1)) for step in range(1, steps + 1)]
    kept = [kept_pixels(order, count, "erase", SHAPE) for count in counts]

    def run() -> int:
        predict_masked(model, stack, rows, kept, fill, batch_size=batch)
        return steps

    return run


def quantus(batch: int) -> Callable[[], int] | None:
    try:
        package = importlib.import_module("quantus")
    except ImportError:
        return None
    metric = package.PixelFlipping(
        features_in_step=2 * HEIGHT * WIDTH // STEPS, disable_warnings=True
    )
    inputs = images(batch, "cpu").numpy()
    maps = np.broadcast_to(important(), (batch, 1, *SHAPE))

    def run() -> int:
        metric(
            model=network(),
            x_batch=inputs,
            y_batch=np.zeros(batch, int),
            a_batch=maps,
            device="cpu",
            batch_size=batch,
        )
        return STEPS

    return run


def road(batch: int) -> Callable[[], int] | None:
    # Imports the package, with what it asks for but does not need here.
    if pytorch_grad_cam(images(1, "cpu"), "cpu") is None:
        return None
    package = importlib.import_module("pytorch_grad_cam.metrics.road")
    targets = importlib.import_module("pytorch_grad_cam.utils.model_targets")
    model, inputs = network(), images(batch, "cpu")
    maps = np.broadcast_to(important(), (batch, *SHAPE))
    wanted = [targets.ClassifierOutputTarget(0)] * batch

    def run() -> int:
        for step in range(1, ROAD_STEPS + 1):
            kept = 100 - 100 * step / (ROAD_STEPS + 1)
            metric = package.ROADMostRelevantFirst(percentile=kept)
            metric(inputs, maps, wanted, model)
        return ROAD_STEPS

    return run


def seconds_a_step(run: Callable[[], int], batch: int, repeats: int) -> float:
    """Return the least time of an image and step, after one warm-up."""
    run()
    found = []
    for _ in range(repeats):
        start = time.process_time()
        steps = run()
        found.append((time.process_time() - start) / (steps * batch))
    return min(found)


def main() -> None:
    options = arguments(__doc__ or "", batch=4)
    batch = options.batch
    contestants = {
        "bare forward": bare(batch),
        "napari-globalxai, mean-image": ours(batch, "mean-image", STEPS),
        "Quantus PixelFlipping": quantus(batch),
        "napari-globalxai, noisy-linear": ours(batch, "noisy-linear", ROAD_STEPS),
        "pytorch-grad-cam ROAD": road(batch),
    }
    times = {
        name: seconds_a_step(run, batch, options.repeats)
        for name, run in contestants.items()
        if run is not None
    }
    against = {
        "Quantus PixelFlipping": "napari-globalxai, mean-image",
        "pytorch-grad-cam ROAD": "napari-globalxai, noisy-linear",
    }
    rows = []
    for name, value in times.items():
        ratio = value / times[against[name]] if name in against else None
        peer = ["", ""] if ratio is None else [f"{ratio:.1f}", f"{ratio * len(LABELS):.1f}"]
        rows.append([name, f"{value:.4f}", f"{value / times['bare forward']:.2f}", *peer])
    head = ["what", "seconds an image and step", "bare forwards", "times ours", "all labels"]
    print_table("Erasing and restoring", head, rows, options)


if __name__ == "__main__":
    main()
