"""Gradients averaged over many points: a path from a baseline, or noisy copies of the image.

The points are the same for every image, so that an image's map does not depend on its batch.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import ClassVar

import numpy as np
import torch
from pydantic import Field
from torch import Tensor

from napari_globalxai.attribution.base import (
    Baseline,
    PixelBase,
    Settings,
    baseline_input,
    input_gradients,
    logits_without_graph,
)
from napari_globalxai.attribution.gradients import (
    CHANNEL_REDUCTION,
    ChannelReduction,
    absolute_gradient,
)
from napari_globalxai.attribution.method import Attribution
from napari_globalxai.models.classifier import Classifier


class IntegratedGradientsSettings(Settings):
    """Parameters of integrated gradients."""

    steps: int = Field(
        default=24,
        ge=2,
        le=1000,
        description="Points of the Gauss–Legendre quadrature along the path",
    )
    baseline: Baseline = Field(
        default="mean-colour",
        description="Where the path starts; the mean colour is zero after normalisation",
    )


class IntegratedGradients(PixelBase[IntegratedGradientsSettings]):
    """Integrated gradients (Sundararajan et al., 2017, arXiv 1703.01365).

    Channels are summed with their sign, so that a map sums to the logit's difference from the
    baseline; the absolute value, if any, is taken after that, in aggregation.
    """

    name: ClassVar[str] = "integrated-gradients"
    settings_type = IntegratedGradientsSettings

    def attribute(
        self, classifier: Classifier, inputs: Tensor, labels: Sequence[int]
    ) -> Attribution:
        """Explain a batch; see `Method`."""
        baseline = baseline_input(classifier, inputs, self.settings.baseline)
        difference = inputs - baseline
        total = torch.zeros((inputs.shape[0], len(labels), *inputs.shape[2:]), device=inputs.device)
        nodes, weights = np.polynomial.legendre.leggauss(self.settings.steps)
        for node, weight in zip((nodes + 1) / 2, weights / 2, strict=True):
            step = baseline + float(node) * difference
            gradients, _ = input_gradients(classifier, step, labels)
            for position, gradient in enumerate(gradients):
                total[:, position] += float(weight) * (gradient * difference).sum(dim=1)
        return Attribution(total, logits_without_graph(classifier, inputs))


class SmoothGradSettings(Settings):
    """Parameters of SmoothGrad."""

    samples: int = Field(default=16, ge=1, le=1000, description="Noisy copies of each image")
    noise: float = Field(
        default=0.1,
        gt=0,
        le=1,
        description="SD of the noise, as a share of full brightness",
    )
    channel_reduction: ChannelReduction = Field(default="sum", description=CHANNEL_REDUCTION)
    seed: int = Field(default=0, ge=0, description="Of the noise")


class SmoothGrad(PixelBase[SmoothGradSettings]):
    """Absolute value of the mean gradient over noisy copies (Smilkov et al., 2017, 1706.03825)."""

    name: ClassVar[str] = "smooth-grad"
    signed: ClassVar[bool] = False
    settings_type = SmoothGradSettings

    def attribute(
        self, classifier: Classifier, inputs: Tensor, labels: Sequence[int]
    ) -> Attribution:
        """Explain a batch; see `Method`."""
        total = [torch.zeros_like(inputs) for _ in labels]
        for noise in _noise(classifier, inputs, self.settings):
            gradients, _ = input_gradients(classifier, inputs + noise, labels)
            for mean, gradient in zip(total, gradients, strict=True):
                mean += gradient / self.settings.samples
        maps = [absolute_gradient(mean, self.settings.channel_reduction) for mean in total]
        return Attribution(torch.stack(maps, dim=1), logits_without_graph(classifier, inputs))


class GradientShapSettings(Settings):
    """Parameters of gradient SHAP."""

    samples: int = Field(
        default=24, ge=1, le=1000, description="Random points between baseline and image"
    )
    noise: float = Field(
        default=0.05,
        ge=0,
        le=1,
        description="SD of the noise on the image, as a share of full brightness",
    )
    baseline: Baseline = Field(default="mean-colour", description="Where the path starts")
    seed: int = Field(default=0, ge=0, description="Of points and noise")


class GradientShap(PixelBase[GradientShapSettings]):
    """Expected gradients between baseline and noisy image (Lundberg & Lee, 2017, 1705.07874)."""

    name: ClassVar[str] = "gradient-shap"
    settings_type = GradientShapSettings

    def attribute(
        self, classifier: Classifier, inputs: Tensor, labels: Sequence[int]
    ) -> Attribution:
        """Explain a batch; see `Method`."""
        baseline = baseline_input(classifier, inputs, self.settings.baseline)
        samples = self.settings.samples
        # One point in each of equal parts of the path: the same mean as anywhere, less noise.
        rng = np.random.default_rng([self.settings.seed, 1])
        places = (np.arange(samples) + rng.random(samples)) / samples
        total = torch.zeros((inputs.shape[0], len(labels), *inputs.shape[2:]), device=inputs.device)
        for place, noise in zip(places, _noise(classifier, inputs, self.settings), strict=True):
            noisy = inputs + noise
            point = baseline + float(place) * (noisy - baseline)
            gradients, _ = input_gradients(classifier, point, labels)
            for position, gradient in enumerate(gradients):
                total[:, position] += (gradient * (noisy - baseline)).sum(dim=1) / samples
        return Attribution(total, logits_without_graph(classifier, inputs))


def _noise(
    classifier: Classifier, inputs: Tensor, settings: SmoothGradSettings | GradientShapSettings
) -> Iterator[Tensor]:
    """Give noise (1, channel, height, width) on the scale of the normalised input, per sample."""
    black, white = (
        classifier.to_input(torch.full_like(inputs[:1], value)) for value in (0.0, 255.0)
    )
    # Drawn on the CPU: the same on every device.
    generator = torch.Generator().manual_seed(settings.seed)
    for _ in range(settings.samples):
        noise = torch.randn(inputs.shape[1:], generator=generator).to(inputs.device)
        yield noise * settings.noise * (white - black).abs()
