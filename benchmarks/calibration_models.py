"""Models whose predictions along any order cost next to nothing, and the bundled network."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import tifffile
import torch
from scipy.ndimage import gaussian_filter

from napari_globalxai import explain
from napari_globalxai.faithfulness.evaluation import Evaluation, LogitsByArm
from napari_globalxai.faithfulness.fills.fill_kinds import fit_fill
from napari_globalxai.runs.peppr.evaluate import make_evaluation
from napari_globalxai.runs.run import open_run
from napari_globalxai.samples import sample_folder

_COARSER = 4
# Of the ridge regression, in mean squares of an image.
_PENALTY = 0.3


class Pictures:
    """Images in memory."""

    def __init__(self, pixels: np.ndarray) -> None:
        self.pixels = pixels
        self.shape = pixels.shape[2:]

    def read(self, rows: Any) -> np.ndarray:
        return self.pixels[np.asarray(rows, int)]

    def mean_image(self, rows: Any) -> np.ndarray:
        return self.read(rows).mean(axis=0).astype(np.float32)


class LinearModel:
    """One weight a pixel and label, (label, channel, height, width)."""

    activation = "sigmoid"
    device = torch.device("cpu")

    def __init__(self, labels: tuple[str, ...], weights: np.ndarray, offset: np.ndarray) -> None:
        self.labels = labels
        self.weights = weights.astype(np.float32)
        self.offset = offset.astype(np.float32)

    def to_input(self, images: np.ndarray) -> torch.Tensor:
        return torch.as_tensor(np.asarray(images, np.float32))

    def logits(self, inputs: torch.Tensor) -> torch.Tensor:
        flat = torch.from_numpy(self.weights.reshape(len(self.labels), -1))
        return inputs.flatten(1) @ flat.T - torch.from_numpy(self.offset)

    def probabilities(self, logits: np.ndarray) -> np.ndarray:
        return 1 / (1 + np.exp(-np.asarray(logits, np.float64)))


@dataclass(frozen=True)
class LinearEvaluation(Evaluation):
    """Of a linear model and one fill for all: each pixel adds its part, whatever else is shown."""

    @cached_property
    def parts(self) -> np.ndarray:
        """What each pixel adds to the logit of the fill, (image and label, pixel)."""
        model: Any = self.classifier
        gap = self.stack.read(self.rows) - self.fill.image  # type: ignore[attr-defined]
        parts = np.einsum("ichw,lchw->ilhw", gap, model.weights)
        return parts.reshape(len(gap) * len(model.labels), -1)

    @cached_property
    def ends(self) -> np.ndarray:
        model: Any = self.classifier
        blank = (model.weights * self.fill.image).sum(axis=(1, 2, 3))  # type: ignore[attr-defined]
        none = np.broadcast_to(blank - model.offset, (len(self.rows), len(model.labels)))
        whole = self.parts[:, self.valid.ravel()].sum(axis=1).reshape(none.shape)
        return np.stack([none + whole, none]).astype(np.float32)

    def logits(
        self,
        order: np.ndarray,
        counts: np.ndarray,
        tick: Callable[[int, int], None] = lambda done, total: None,
    ) -> LogitsByArm:
        shown = np.zeros((self.valid.size, len(counts)), np.float32)
        for step, count in enumerate(counts):
            shown[order[:count], step] = 1
        intact, blank = self.ends
        added = (self.parts @ shown).T.reshape(len(counts), *blank.shape)
        restored, erased = blank + added, intact - added
        full = counts == order.size
        restored[full], erased[full] = intact, blank
        return {"erase": erased, "restore": restored}


@dataclass(frozen=True)
class Bench:
    """What is evaluated, and the maps that are known to be true."""

    evaluation: Evaluation
    true_maps: dict[str, np.ndarray]


def network_bench(name: str, folder: Path) -> Bench:
    """Return the bundled network, with its own maps."""
    sample = sample_folder()
    cohort, card = sample / "cohort" / "cohort.csv", sample / "models" / f"{name}.yaml"
    run = explain(cohort, card, folder / name, resume=True)
    return Bench(make_evaluation(run), {label: run.maps[label] for label in run.labels})


def coarse(values: np.ndarray) -> np.ndarray:
    """Return the means of squares of pixels."""
    height, width = (size // _COARSER for size in values.shape[-2:])
    cut = values[..., : height * _COARSER, : width * _COARSER]
    return cut.reshape(*values.shape[:-2], height, _COARSER, width, _COARSER).mean((-3, -1))


def linear_bench(folder: Path, kind: str) -> Bench:
    """Return a linear model of the bundled images at a quarter of their resolution.

    Parameters
    ----------
    folder : pathlib.Path
        For the run that aligns the images.
    kind : str
        ``fitted``: by ridge regression, where lesions were planted; ``contrast``: what differs
        there between images with and without the label, a poor model; ``random``: smooth noise.
    """
    sample = sample_folder()
    cohort, card = sample / "cohort" / "cohort.csv", sample / "models" / "honest.yaml"
    made = folder / "honest"
    run = open_run(made) if made.is_dir() else explain(cohort, card, made)
    fine = make_evaluation(run)
    pixels = coarse(run.stack.read(fine.rows).astype(np.float32))
    valid = coarse(fine.valid.astype(np.float32)) > 0.5
    labels = run.labels
    rng = np.random.default_rng(1)
    weights, true_maps = [], {}
    for index, label in enumerate(labels):
        carries = fine.truth[:, index] == 1
        contrast = pixels[carries].mean(axis=0) - pixels[~carries].mean(axis=0)
        truth = coarse(tifffile.imread(sample / "truth" / f"{label}.tif")) * valid
        if kind == "fitted":
            weight = _ridge(pixels, carries, np.sqrt(truth / truth.max()))
        elif kind == "contrast":
            weight = contrast * truth / truth.max()
        else:
            weight = gaussian_filter(rng.standard_normal(contrast.shape), (0, 1.5, 1.5)) * valid
        weights.append(4 * weight / (pixels * weight).sum(axis=(1, 2, 3)).std())
        # What each pixel adds to the distance between images with and without the label.
        true_maps[label] = gaussian_filter((weight * contrast).sum(axis=0), 1.5)
    middle = np.array([(pixels * weight).sum(axis=(1, 2, 3)).mean() for weight in weights])
    pictures = Pictures(np.clip(np.rint(pixels), 0, 255).astype(np.uint8))
    rows = np.arange(len(pixels))
    evaluation = LinearEvaluation(
        classifier=LinearModel(labels, np.stack(weights), middle),
        stack=pictures,
        rows=rows,
        truth=fine.truth,
        patients=fine.patients,
        valid=valid,
        fill=fit_fill("mean-image", pictures, rows),
        batch_size=256,
        key=kind,
    )
    return Bench(evaluation, true_maps)


def _ridge(pixels: np.ndarray, carries: np.ndarray, looks: np.ndarray) -> np.ndarray:
    """Return weights of a ridge regression on pixels, each as free as the model looks at it."""
    seen = ((pixels - pixels.mean(axis=0)) * looks).reshape(len(pixels), -1)
    alike = seen @ seen.T
    penalty = _PENALTY * np.trace(alike) / len(seen)
    shares = np.linalg.solve(alike + penalty * np.eye(len(seen)), carries - carries.mean())
    return (shares @ seen).reshape(pixels.shape[1:]) * looks
