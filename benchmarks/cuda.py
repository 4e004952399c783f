"""A GPU beside the CPU: the same maps and verdicts, and what they cost.

    python benchmarks/cuda.py [--parts explain peppr network bits] [--folder cuda] [--device cuda]

``explain`` and ``peppr`` take the bundled cohort and its honest network through both; ``network``
fits a ResNet-34 at 2 × 384 × 512 to the bundled images, and tests its maps with all controls and
with as many as are needed; ``bits`` makes the same maps of it again and again, with cuDNN's
deterministic algorithms, as they are made, and without. Wall time, as nothing else ought to run
there.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from calibration_models import Bench
from calibration_power import stability
from monai.networks.nets import resnet34
from side_by_side import HEIGHT, WIDTH
from torch import nn

from napari_globalxai import explain
from napari_globalxai.attribution.method import make_method
from napari_globalxai.models.card.model_card import InputCard, ModelCard
from napari_globalxai.models.classifier import Classifier
from napari_globalxai.runs.peppr.evaluate import make_evaluation, peppr
from napari_globalxai.runs.run import Run
from napari_globalxai.samples import sample_folder

METHODS = ("grad-cam", "saliency", "integrated-gradients")
LABELS = ("AMD", "RVO", "RP", "Gla")
# Images with each label, and without any, of the large network's cohort.
EACH = 20


def timed(job: Callable[[], Any], device: str) -> tuple[float, Any]:
    start = time.perf_counter()
    found = job()
    if device.startswith("cuda"):
        torch.cuda.synchronize()
    return time.perf_counter() - start, found


def compare_maps(folder: Path, device: str, methods: list[str]) -> None:
    """Print how far maps and probabilities of the two devices are apart."""
    sample = sample_folder()
    table, card = sample / "cohort" / "cohort.csv", sample / "models" / "honest.yaml"
    print("| method | numbers | maps apart, of the largest value | probabilities apart "
          "| seconds, CPU | seconds, GPU |\n|---|---|---|---|---|---|")  # fmt: skip
    first: Path | None = None
    for method in methods:
        usual: tuple[float, Run] | None = None
        for where, precision in (
            ("cpu", "float32"), (device, "float32"), (device, "tf32"), (device, "auto")
        ):  # fmt: skip
            out = folder / f"{method}-{where.replace(':', '')}-{precision}"
            taken = first
            seconds, run = timed(
                lambda method=method, where=where, precision=precision, out=out, taken=taken: (
                    explain(
                        table, card, out, method, aligned=taken, device=where, precision=precision
                    )
                ),
                where,
            )
            if usual is None:
                usual = seconds, run
                first = first or out
                continue
            before, other = usual
            apart = max(
                np.abs(run.maps[label] - other.maps[label]).max() / np.abs(other.maps[label]).max()
                for label in run.labels
            )
            columns = [f"probability_{label}" for label in run.labels]
            moved = np.abs(_numbers(run, columns) - _numbers(other, columns)).max()
            numbers = run.record.precision
            print(f"| {method} | {numbers} | {apart:.1e} | {moved:.1e} | {before:.1f} "
                  f"| {seconds:.1f} |", flush=True)  # fmt: skip


def _numbers(run: Run, columns: list[str]) -> np.ndarray:
    return np.asarray(run.images[columns].to_numpy(float))


def compare_verdicts(folder: Path, device: str, labels: list[str]) -> None:
    """Print Δ and verdict of the two devices, for the bundled network's own maps."""
    sample = sample_folder()
    table, card = sample / "cohort" / "cohort.csv", sample / "models" / "honest.yaml"
    print("| map | verdict | Δ, CPU | Δ apart | curves apart, AUC | seconds, CPU "
          "| seconds, GPU |\n|---|---|---|---|---|---|---|")  # fmt: skip
    runs = {}
    for where in ("cpu", device):
        out = folder / f"peppr-{where.replace(':', '')}"
        explain(table, card, out, "grad-cam", device=where, precision="float32")
        runs[where] = out
    for label in labels:
        found = {
            where: timed(
                lambda out=out, where=where, label=label: peppr(out, label, device=where), where
            )
            for where, out in runs.items()
        }
        (slow, usual), (quick, other) = found["cpu"], found[device]
        apart = np.nanmax(np.abs(_curve(usual) - _curve(other)))
        deltas = [each.areas[label]["delta"] for each in (usual, other)]
        words = {str(each.verdict[label].word) for each in (usual, other)}
        print(f"| {label} | {' or '.join(sorted(words))} | {deltas[0]:.4f} "
              f"| {abs(deltas[0] - deltas[1]):.1e} | {apart:.1e} | {slow:.0f} | {quick:.0f} |",
              flush=True)  # fmt: skip


def _curve(result: Any) -> np.ndarray:
    curves = result.curves
    chosen = curves[(curves["order"] == "map") & (curves["metric"] == "roc_auc")]
    return np.asarray(chosen["value"].to_numpy(float))


class Counted:
    """A model that counts the images that it predicts."""

    def __init__(self) -> None:
        self.images = 0
        self._logits = Classifier.logits

    def __enter__(self) -> Counted:
        counted, logits = self, self._logits

        def count(model: Classifier, inputs: torch.Tensor) -> torch.Tensor:
            counted.images += len(inputs)
            return logits(model, inputs)

        Classifier.logits = count  # type: ignore[method-assign]
        return self

    def __exit__(self, *_: object) -> None:
        Classifier.logits = self._logits  # type: ignore[method-assign]


def large_network(chosen: argparse.Namespace) -> None:
    """Fit a ResNet-34, test one of its maps, and count the controls that all of them need."""
    folder, device, labels = chosen.folder, chosen.device, list(chosen.labels)
    table = _few_images(folder)
    model = classifier(resnet34(spatial_dims=2, n_input_channels=2, num_classes=4), device)
    untrained = explain(table, model, folder / "untrained")
    fitted = _fit(untrained, model, device, chosen.epochs)
    seconds, run = timed(
        lambda: explain(
            table, classifier(fitted, device), folder / "network", aligned=untrained.folder
        ),
        device,
    )
    print(f"\nResNet-34 explains {len(run.images)} images in {seconds:.1f} s "
          f"({run.record.precision})\n{run.performance}\n", flush=True)  # fmt: skip
    ready = run.classifier()
    with Counted() as counted:
        seconds, result = timed(lambda: peppr(run, labels[0]), device)
    bare = _bare(ready, run)
    print(f"peppr --map {labels[0]}: {result.verdict[labels[0]].word}, {counted.images} images "
          f"predicted in {seconds:.1f} s, {1e3 * seconds / counted.images:.3f} ms each; bare "
          f"forward at best {1e3 * bare:.3f} ms; {seconds / counted.images / bare:.2f} times\n",
          flush=True)  # fmt: skip
    if not chosen.seeds:
        return
    bench = Bench(make_evaluation(run), {label: run.maps[label] for label in labels})
    kept = folder / "bank"
    kept.mkdir(exist_ok=True)
    stability(bench, 6, chosen.seeds, chosen.bank, 1.0, kept)


def _few_images(folder: Path) -> Path:
    """Write a table of some of the bundled images, and return it."""
    source = sample_folder() / "cohort"
    table = pd.read_csv(source / "cohort.csv")
    table["filename"] = [str(source / name) for name in table["filename"]]
    positive = table[list(LABELS)].to_numpy(float) == 1
    rows: set[int] = set()
    for label in range(len(LABELS)):
        rows |= set(np.flatnonzero(positive[:, label])[:EACH].tolist())
    rows |= set(np.flatnonzero(~positive.any(axis=1))[:EACH].tolist())
    folder.mkdir(parents=True, exist_ok=True)
    table.iloc[sorted(rows)].to_csv(folder / "cohort.csv", index=False)
    return folder / "cohort.csv"


def classifier(network: nn.Module, device: str) -> Classifier:
    given = InputCard(
        channels=("red", "green"),
        height=HEIGHT,
        width=WIDTH,
        mean=(0.385, 0.224),
        std=(0.236, 0.136),
    )
    card = ModelCard(weights="none", labels=LABELS, input=given, cam_layer="layer4")
    return Classifier(network.eval(), card, device=device, precision="bfloat16")


def _fit(run: Run, model: Classifier, device: str, epochs: int) -> nn.Module:
    """Fit a network to aligned images, parts of which are hidden, so that it looks at many."""
    torch.manual_seed(0)
    network = resnet34(spatial_dims=2, n_input_channels=2, num_classes=4).to(device)
    network = network.to(memory_format=torch.channels_last).train()
    rows = run.finished_rows
    images = model.to_input(run.stack.read(rows)).clone()
    truth = torch.from_numpy(np.nan_to_num(run.truth(model.labels)[rows])).float().to(device)
    steps = epochs * -(-len(rows) // 16)
    learner = torch.optim.AdamW(network.parameters(), lr=1e-3, weight_decay=1e-2)
    pace = torch.optim.lr_scheduler.OneCycleLR(learner, 2e-3, total_steps=steps)
    mean = images.mean(dim=0, keepdim=True)
    for _ in range(steps):
        chosen = torch.randint(len(rows), (16,), device=device)
        hidden = torch.rand((16, 1, 6, 8), device=device) < 0.3 * torch.rand((), device=device)
        hidden = hidden.repeat_interleave(HEIGHT // 6, 2).repeat_interleave(WIDTH // 8, 3)
        shown = torch.where(hidden, mean, images[chosen])
        shown = shown + 0.05 * torch.randn_like(shown)
        shown = shown.contiguous(memory_format=torch.channels_last)
        with torch.autocast(torch.device(device).type, dtype=torch.bfloat16):
            lost = nn.functional.binary_cross_entropy_with_logits(network(shown), truth[chosen])
        learner.zero_grad()
        lost.backward()
        learner.step()
        pace.step()
    print(f"fitted, last loss {lost.item():.3f}")
    return network.to("cpu").float()


def repeat_maps(device: str, methods: list[str]) -> None:
    """Print whether maps are the same to the bit when they are made again, and what that costs."""
    torch.manual_seed(0)
    network = resnet34(spatial_dims=2, n_input_channels=2, num_classes=4)
    images = np.random.default_rng(0).integers(0, 255, (16, 2, HEIGHT, WIDTH)).astype(np.uint8)
    print("| method | numbers | cuDNN | repeats that are the same | apart, of the largest value "
          "| seconds |\n|---|---|---|---|---|---|")  # fmt: skip
    for numbers in ("float32", "tf32", "bfloat16"):
        model = classifier(network, device).working_with(precision=numbers)
        inputs = model.to_input(images)
        for name in methods:
            method = make_method(name, **({"steps": 8} if "integrated" in name else {}))

            def attribute(
                method: Any = method, model: Classifier = model, inputs: torch.Tensor = inputs
            ) -> np.ndarray:
                with model.rounding():
                    maps = method.attribute(model, inputs, range(len(LABELS))).maps
                return np.asarray(maps.float().cpu().numpy())

            for deterministic in (False, True):
                torch.backends.cudnn.deterministic = deterministic
                attribute()
                made = [timed(attribute, device) for _ in range(4)]
                first = made[0][1]
                apart = max(np.abs(maps - first).max() for _, maps in made[1:])
                same = sum(np.array_equal(maps, first) for _, maps in made[1:])
                print(f"| {name} | {numbers} | {'deterministic' if deterministic else 'free'} "
                      f"| {same} of 3 | {apart / np.abs(first).max():.1e} "
                      f"| {min(seconds for seconds, _ in made):.3f} |", flush=True)  # fmt: skip


def _bare(model: Classifier, run: Run) -> float:
    """Return the least seconds an image of a forward, over sizes of batches."""
    found = []
    for batch in (16, 32, 64, 128):
        rows = np.resize(run.finished_rows, batch)
        inputs = model.to_input(run.stack.read(rows))
        inputs = inputs.contiguous(memory_format=torch.channels_last)
        sized = model.working_with(images_a_forward=batch)

        def forwards(sized: Classifier = sized, inputs: torch.Tensor = inputs) -> None:
            with torch.inference_mode():
                for _ in range(10):
                    sized.logits(inputs)

        where = str(model.device)
        timed(forwards, where)
        found.append(min(timed(forwards, where)[0] for _ in range(3)) / (10 * batch))
    return min(found)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--parts", nargs="+", default=["explain", "peppr", "network"])
    parser.add_argument("--folder", type=Path, default=Path("cuda"))
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--methods", nargs="+", default=list(METHODS))
    parser.add_argument("--bank", type=int, default=96, help="surrogates of each map")
    parser.add_argument("--epochs", type=int, default=60)
    parser.add_argument("--seeds", type=int, default=100, help="0: no bank of controls")
    parser.add_argument("--labels", nargs="+", default=list(LABELS))
    chosen = parser.parse_args()
    if chosen.device.startswith("cuda"):
        print(torch.cuda.get_device_name(), torch.__version__, flush=True)
    if "explain" in chosen.parts:
        compare_maps(chosen.folder, chosen.device, list(chosen.methods))
    if "peppr" in chosen.parts:
        compare_verdicts(chosen.folder, chosen.device, list(chosen.labels))
    if "network" in chosen.parts:
        large_network(chosen)
    if "bits" in chosen.parts:
        repeat_maps(chosen.device, list(chosen.methods))


if __name__ == "__main__":
    main()
