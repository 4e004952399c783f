"""What the benchmarks share: the network, the timing, the table.

A ResNet-34 for two channels of 384 × 512 pixels and eight labels, as the reference
ultra-widefield model is; weights are random, which does not change how long it takes.
"""

from __future__ import annotations

import argparse
import platform
import statistics
import sys
import time
import warnings
from collections.abc import Callable, Mapping

import torch
from monai.networks.nets import resnet34
from torch import Tensor, nn

from napari_globalxai.models.card.model_card import InputCard, ModelCard
from napari_globalxai.models.classifier import Classifier

LABELS = tuple(f"label {number}" for number in range(8))
HEIGHT, WIDTH = 384, 512
# Reference normalisation of the ultra-widefield model; any would do.
INPUT = InputCard(
    channels=("red", "green"),
    height=HEIGHT,
    width=WIDTH,
    mean=(0.22578795, 0.23797078),
    std=(0.14651306, 0.11282759),
)


def network(seed: int = 0) -> nn.Module:
    torch.manual_seed(seed)
    return resnet34(spatial_dims=2, n_input_channels=2, num_classes=len(LABELS)).eval()


def classifier(precision: str, device: str) -> Classifier:
    card = ModelCard(weights="none", labels=LABELS, input=INPUT, cam_layer="layer4")
    return Classifier(network(), card, device=device, precision=precision)


def seconds(run: Callable[[], Tensor], device: str, repeats: int) -> tuple[list[float], Tensor]:
    result = run()
    times = []
    for _ in range(repeats):
        if device.startswith("cuda"):
            torch.cuda.synchronize()
        start = time.perf_counter()
        result = run()
        if device.startswith("cuda"):
            torch.cuda.synchronize()
        times.append(time.perf_counter() - start)
    return times, result


def arguments(description: str, batch: int) -> argparse.Namespace:
    """Read the options that all benchmarks have."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--batch", type=int, default=batch, help="images")
    parser.add_argument("--repeats", type=int, default=3, help="timed repeats, after one warm-up")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--threads", type=int, default=0, help="CPU threads, 0 for torch's choice")
    parser.add_argument("--markdown", action="store_true", help="print a Markdown table")
    chosen = parser.parse_args()
    warnings.simplefilter("ignore")
    if chosen.threads:
        torch.set_num_threads(chosen.threads)
    return chosen


def images(batch: int, device: str) -> Tensor:
    """Return normalised images, (image, channel, height, width)."""
    generator = torch.Generator().manual_seed(0)
    return torch.randn((batch, 2, HEIGHT, WIDTH), generator=generator).to(device)


def race(
    contestants: Mapping[str, Callable[[], Tensor] | None],
    options: argparse.Namespace,
    once: tuple[str, ...] = (),
) -> tuple[dict[str, float], dict[str, Tensor]]:
    """Time contestants; return seconds an image, and what each gave.

    Those whose name holds a text of `once` are timed once: they are slow enough to be told apart.
    """
    medians: dict[str, float] = {}
    results: dict[str, Tensor] = {}
    for name, run in contestants.items():
        if run is None:
            print(f"{name}: not installed, left out", file=sys.stderr)
            continue
        repeats = 1 if any(text in name for text in once) else options.repeats
        times, results[name] = seconds(run, options.device, repeats)
        medians[name] = statistics.median(times) / options.batch
        print(f"{name}: {medians[name]:.4f} s an image", file=sys.stderr)
    return medians, results


def print_table(
    title: str, head: list[str], rows: list[list[str]], options: argparse.Namespace
) -> None:
    """Print a table for people, or for a README."""
    print(
        f"{title}, {len(LABELS)} labels, ResNet-34, 2 × {HEIGHT} × {WIDTH}, batch {options.batch}, "
        f"{options.device}, {torch.get_num_threads()} threads, torch {torch.__version__}, Python "
        f"{platform.python_version()}"
    )
    if options.markdown:
        print("| " + " | ".join(head) + " |\n|" + "---|" * len(head))
        for row in rows:
            print("| " + " | ".join(row) + " |")
    else:
        for row in [head, *rows]:
            print(f"{row[0]:<40}" + "".join(f"{cell:>24}" for cell in row[1:]))
