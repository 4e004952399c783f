"""Pixel-level gradient methods for all labels from one shared forward."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar, Literal

import numpy as np
import torch
from pydantic import BaseModel, ConfigDict, Field
from torch import Tensor

from napari_globalxai.attribution.method import Attribution, Part, label_gradients
from napari_globalxai.models.classifier import Classifier
from napari_globalxai.models.geometry import CellGrid


class SaliencySettings(BaseModel):
    """Parameters of saliency.

    Attributes
    ----------
    channel_reduction : str
        How channels become one map: the ``sum`` or the ``max`` of absolute gradients.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    channel_reduction: Literal["sum", "max"] = "sum"


class Saliency:
    """Absolute gradients of the logit (Simonyan et al., 2013, arXiv 1312.6034)."""

    name: ClassVar[str] = "saliency"
    needs_split: ClassVar[bool] = False
    default_part: ClassVar[Part] = "absolute"
    default_smoothing: ClassVar[float] = 1.5

    def __init__(self, channel_reduction: Literal["sum", "max"] = "sum") -> None:
        self.settings = SaliencySettings(channel_reduction=channel_reduction)

    def grid(self, classifier: Classifier) -> CellGrid:
        """Return the pixels of the frame."""
        return CellGrid.pixels(*classifier.frame_shape)

    def attribute(
        self, classifier: Classifier, inputs: Tensor, labels: Sequence[int]
    ) -> Attribution:
        """Explain a batch; see `Method`."""
        gradients, logits = _input_gradients(classifier, inputs, labels)
        absolute = [gradient.abs() for gradient in gradients]
        if self.settings.channel_reduction == "max":
            maps = [gradient.amax(dim=1) for gradient in absolute]
        else:
            maps = [gradient.sum(dim=1) for gradient in absolute]
        return Attribution(torch.stack(maps, dim=1).float(), logits)


class IntegratedGradientsSettings(BaseModel):
    """Parameters of integrated gradients.

    Attributes
    ----------
    steps : int
        Points of the Gauss–Legendre quadrature along the path.
    baseline : str
        Where the path starts: ``mean-colour`` (zero after normalisation) or ``black``.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    steps: int = Field(default=24, ge=2, le=1000)
    baseline: Literal["mean-colour", "black"] = "mean-colour"


class IntegratedGradients:
    """Integrated gradients (Sundararajan et al., 2017, arXiv 1703.01365).

    Channels are summed with their sign, so that a map sums to the logit's difference from the
    baseline; the absolute value, if any, is taken after that, in aggregation.
    """

    name: ClassVar[str] = "integrated-gradients"
    needs_split: ClassVar[bool] = False
    default_part: ClassVar[Part] = "absolute"
    default_smoothing: ClassVar[float] = 1.5

    def __init__(
        self, steps: int = 24, baseline: Literal["mean-colour", "black"] = "mean-colour"
    ) -> None:
        self.settings = IntegratedGradientsSettings(steps=steps, baseline=baseline)

    def grid(self, classifier: Classifier) -> CellGrid:
        """Return the pixels of the frame."""
        return CellGrid.pixels(*classifier.frame_shape)

    def attribute(
        self, classifier: Classifier, inputs: Tensor, labels: Sequence[int]
    ) -> Attribution:
        """Explain a batch; see `Method`."""
        if self.settings.baseline == "black":
            baseline = classifier.to_input(torch.zeros_like(inputs[:1]))
        else:
            baseline = torch.zeros_like(inputs[:1])
        difference = inputs - baseline
        total = torch.zeros((inputs.shape[0], len(labels), *inputs.shape[2:]), device=inputs.device)
        nodes, weights = np.polynomial.legendre.leggauss(self.settings.steps)
        for node, weight in zip((nodes + 1) / 2, weights / 2, strict=True):
            step = baseline + float(node) * difference
            gradients, _ = _input_gradients(classifier, step, labels)
            for position, gradient in enumerate(gradients):
                total[:, position] += float(weight) * (gradient * difference).sum(dim=1)
        with torch.no_grad():
            logits = classifier.logits(inputs)
        return Attribution(total, logits)


def _input_gradients(
    classifier: Classifier, inputs: Tensor, labels: Sequence[int]
) -> tuple[list[Tensor], Tensor]:
    leaf = inputs.detach().requires_grad_()
    with torch.enable_grad():
        logits = classifier.logits(leaf)
        gradients = label_gradients(logits, leaf, labels)
    return gradients, logits.detach()
