"""Measure what the bundled cohort, truth and models promise, without the package.

Written plainly and on its own, so that it can serve as a second opinion on the package. Run from
the top of the repository::

    python sample_data/scripts/verify.py
    python sample_data/scripts/verify.py --controls 0    # without the slow spatial controls
"""

from __future__ import annotations

import argparse
import csv
from dataclasses import dataclass
from pathlib import Path

import framing
import numpy as np
import phantom
import tifffile
import torch
from numpy.typing import NDArray
from safetensors.torch import load_file
from scipy.ndimage import gaussian_filter
from scipy.stats import rankdata

SAMPLE_DATA = Path(__file__).resolve().parents[1]
STRIDE = 16
FRACTIONS = (0, 0.01, 0.02, 0.035, 0.05, 0.075, 0.1, 0.13, 0.16, 0.2, 0.25, 0.35, 0.5, 0.7, 0.85, 1)
"""Erased or restored fractions of the valid mask; the curves bend early."""

_Array = NDArray[np.float64]
GLA = phantom.LABELS.index("Gla")


@dataclass
class Cohort:
    """Frames and labels of one table."""

    frames: torch.Tensor
    labels: NDArray[np.int64]

    @classmethod
    def read(cls, name: str) -> Cohort:
        """Read a table of `sample_data/cohort` and its images."""
        table = SAMPLE_DATA / "cohort" / f"{name}.csv"
        with table.open(newline="", encoding="utf-8") as file:
            rows = list(csv.DictReader(file))
        frames = [
            framing.to_frame(
                framing.decode((table.parent / row["filename"]).read_bytes()), row["LR"]
            )
            for row in rows
        ]
        labels = [[int(row[label]) for label in phantom.LABELS] for row in rows]
        return cls(torch.stack(frames), np.array(labels))


def roc_auc(truth: NDArray[np.bool_], score: _Array) -> float:
    """Return the area under the ROC curve, ties counted half."""
    ranks, n = rankdata(score), int(truth.sum())
    return float((ranks[truth].sum() - n * (n + 1) / 2) / (n * (truth.size - n)))


@torch.inference_mode()
def logits(network: torch.nn.Module, frames: torch.Tensor) -> _Array:
    """Return the logits of uint8-valued frames."""
    batches = (network(framing.normalise(batch)) for batch in frames.split(64))
    return torch.cat(list(batches)).double().numpy()


def grad_cam(network: torch.nn.Module, frames: torch.Tensor, label: int) -> _Array:
    """Return the mean Grad-CAM map of `layer4` over frames, at native resolution."""
    kept: list[torch.Tensor] = []
    handle = network.layer4.register_forward_hook(  # type: ignore[union-attr, operator]
        lambda module, inputs, output: kept.append(output)
    )
    maps = []
    for batch in frames.split(64):
        kept.clear()
        logit = network(framing.normalise(batch))[:, label].sum()
        (gradient,) = torch.autograd.grad(logit, kept[0])
        weights = gradient.mean((2, 3), keepdim=True)
        maps.append((weights * kept[0]).sum(1).clamp(min=0).detach())
    handle.remove()
    return torch.cat(maps).mean(0).double().numpy()


def upsample(cells: _Array) -> _Array:
    """Interpolate linearly between cells; cell i is centred on input pixel 16 i."""
    rows, columns = (np.arange(n) / STRIDE for n in (framing.FRAME_HEIGHT, framing.FRAME_WIDTH))
    grid = range(cells.shape[0]), range(cells.shape[1])
    tall = np.stack([np.interp(rows, grid[0], column) for column in cells.T], axis=1)
    return np.stack([np.interp(columns, grid[1], row) for row in tall])


def integrated_gradients(network: torch.nn.Module, frames: torch.Tensor, label: int) -> _Array:
    """Return the mean absolute integrated gradients (mean-colour baseline), a little blurred."""
    total, steps = torch.zeros(frames.shape[-2:]), 16
    for batch in frames.split(64):
        inputs, gradients = framing.normalise(batch), 0
        for step in range(steps):
            point = (inputs * (step + 0.5) / steps).requires_grad_()
            (gradient,) = torch.autograd.grad(network(point)[:, label].sum(), point)
            gradients = gradients + gradient / steps
        total += (inputs * gradients).sum(1).abs().sum(0)
    return gaussian_filter((total / len(frames)).double().numpy(), 1.5)


class Peppr:
    """Progressive erasing and restoring over a valid mask, filled with the cohort's mean image."""

    def __init__(self, network: torch.nn.Module, cohort: Cohort) -> None:
        self._network, self._cohort = network, cohort
        self._fill = cohort.frames.float().mean(0)
        self.valid = ((cohort.frames.amax(1) > 20).float().mean(0) >= 0.5).numpy()
        self._jitter = np.random.default_rng(0).random(self.valid.shape)
        self._truth = cohort.labels.astype(bool)

    def auc(self, kept: NDArray[np.bool_], label: int) -> float:
        """Return the AUC with all but the kept pixels filled."""
        mask = torch.from_numpy(kept)
        images = torch.where(mask, self._cohort.frames.float(), self._fill)
        return roc_auc(self._truth[:, label], logits(self._network, images)[:, label])

    def curves(self, ranking: _Array, label: int) -> tuple[_Array, _Array]:
        """Return AUC against fraction when restoring and when erasing, best pixels first."""
        order = np.lexsort((self._jitter[self.valid], -ranking[self.valid]))
        pixels = np.flatnonzero(self.valid)[order]
        restore, erase = [], []
        for fraction in FRACTIONS:
            count = round(fraction * len(pixels))
            for curve, shown in ((restore, pixels[:count]), (erase, pixels[count:])):
                kept = np.zeros(self.valid.size, dtype=bool)
                kept[shown] = True
                blank = len(shown) == 0
                curve.append(0.5 if blank else self.auc(kept.reshape(self.valid.shape), label))
        return np.array(restore), np.array(erase)

    def gain(self, ranking: _Array, label: int) -> tuple[float, float]:
        """Return restored minus erased area, and the sufficient fraction."""
        restore, erase = self.curves(ranking, label)
        needed = 0.5 + 0.95 * (restore[-1] - 0.5)
        sufficient = FRACTIONS[int(np.argmax(restore >= needed))]
        return float(np.trapezoid(restore - erase, FRACTIONS)), sufficient


def load(variant: str) -> torch.nn.Module:
    """Load a bundled classifier."""
    network = framing.build_network().eval().requires_grad_(False)
    network.load_state_dict(load_file(SAMPLE_DATA / "models" / f"{variant}.safetensors"))
    # Grad-CAM needs a graph from layer4 on, integrated gradients make their own.
    for parameter in network.layer4.parameters():  # type: ignore[union-attr, operator]
        parameter.requires_grad_(True)
    return network


def print_maps(network: torch.nn.Module, cohort: Cohort) -> dict[str, _Array]:
    """Print how well the maps of each label find the planted truth; return the native maps."""
    random_maps: dict[str, list[_Array]] = {label: [] for label in phantom.LABELS}
    for seed in range(5):
        torch.manual_seed(seed)
        untrained = framing.build_network().eval()
        for k, label in enumerate(phantom.LABELS):
            positive = cohort.frames[cohort.labels[:, k] == 1]
            random_maps[label].append(upsample(grad_cam(untrained, positive, k)))
    maps = {}
    for k, label in enumerate(phantom.LABELS):
        maps[label] = grad_cam(network, cohort.frames[cohort.labels[:, k] == 1], k)
    for k, label in enumerate(phantom.LABELS):
        truth = tifffile.imread(SAMPLE_DATA / "truth" / f"{label}.tif")
        planted = (truth > truth.max() / 2).ravel()
        cams = {name: roc_auc(planted, upsample(cells).ravel()) for name, cells in maps.items()}
        others = max(auc for name, auc in cams.items() if name != label)
        untrained_auc = max(roc_auc(planted, m.ravel()) for m in random_maps[label])
        positive = cohort.frames[cohort.labels[:, k] == 1]
        ig = roc_auc(planted, integrated_gradients(network, positive, k).ravel())
        print(
            f"{label}: Grad-CAM {cams[label]:.3f}, best other label's {others:.3f}, "
            f"best of 5 random models {untrained_auc:.3f}; integrated gradients {ig:.3f}"
        )
    return maps


def print_peppr(
    network: torch.nn.Module, cohort: Cohort, maps: dict[str, _Array], controls: int
) -> None:
    """Print PEPPR along each label's own map, against circularly shifted maps."""
    peppr = Peppr(network, cohort)
    for k, label in enumerate(phantom.LABELS):
        own = upsample(maps[label])
        delta, sufficient = peppr.gain(own, k)
        rng = np.random.default_rng([k, 1])
        shifts = [tuple(int(rng.integers(1, n)) for n in own.shape) for _ in range(controls)]
        shifted = [peppr.gain(np.roll(own, shift, (0, 1)), k)[0] for shift in shifts]
        text = f"{label}: sufficient fraction {sufficient:.3f}, Delta {delta:.3f}"
        if shifted:
            p = (1 + sum(s >= delta for s in shifted)) / (1 + controls)
            text += f", {controls} shifts at most {max(shifted):.3f}, p {p:.3f}"
        print(text, flush=True)


def print_shortcut(models: dict[str, torch.nn.Module], cohort: Cohort, unmarked: Cohort) -> None:
    """Print how much of the glaucoma map and of the performance lies in the corner mark."""
    region = tifffile.imread(SAMPLE_DATA / "truth" / "mark.tif") > 0
    truth = cohort.labels[:, GLA] == 1
    fill = cohort.frames.float().mean(0)
    erased = torch.where(torch.from_numpy(region), fill, cohort.frames.float())
    for name, network in models.items():
        cam = upsample(grad_cam(network, cohort.frames[truth], GLA))
        ratio = cam[region].sum() / cam.sum() / region.mean()
        marked, plain, blotted = (
            roc_auc(truth, logits(network, frames)[:, GLA])
            for frames in (cohort.frames, unmarked.frames, erased)
        )
        print(
            f"{name}: mark's share of the Gla map / of the area {ratio:.2f}; Gla AUC "
            f"marked {marked:.4f}, unmarked {plain:.4f}, corner erased {blotted:.4f}; "
            f"erasing takes {marked - blotted:.4f}, gain was {marked - plain:.4f}"
        )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--controls", type=int, default=19, help="circular shifts a label")
    options = parser.parse_args()
    torch.set_num_threads(2)
    names = ("cohort", "cohort_unmarked", "cohort_independent")
    cohorts = {name: Cohort.read(name) for name in names}
    models = {variant: load(variant) for variant in ("honest", "shortcut")}
    labels = cohorts["cohort"].labels
    print(
        f"{len(labels)} images, positives {dict(zip(phantom.LABELS, labels.sum(0), strict=True))}"
    )
    for variant, network in models.items():
        for name, cohort in cohorts.items():
            scores = logits(network, cohort.frames)
            aucs = [roc_auc(cohort.labels[:, k] == 1, scores[:, k]) for k in range(4)]
            text = ", ".join(f"{n} {a:.4f}" for n, a in zip(phantom.LABELS, aucs, strict=True))
            print(f"AUC {variant} on {name}: {text}; logits {scores.min():.1f}..{scores.max():.1f}")
    maps = print_maps(models["honest"], cohorts["cohort"])
    print_shortcut(models, cohorts["cohort"], cohorts["cohort_unmarked"])
    print_peppr(models["honest"], cohorts["cohort"], maps, options.controls)


if __name__ == "__main__":
    main()
