"""Gradients of the logits with respect to the pixels, at the image itself."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar, Literal

import torch
from pydantic import Field
from torch import Tensor

from napari_globalxai.attribution.base import PixelBase, Settings, input_gradients
from napari_globalxai.attribution.method import Attribution
from napari_globalxai.models.classifier import Classifier

ChannelReduction = Literal["sum", "max"]
CHANNEL_REDUCTION = "How the absolute gradients of the channels become one map"


class SaliencySettings(Settings):
    """Parameters of saliency."""

    channel_reduction: ChannelReduction = Field(default="sum", description=CHANNEL_REDUCTION)


class Saliency(PixelBase[SaliencySettings]):
    """Absolute gradients of the logit (Simonyan et al., 2013, arXiv 1312.6034)."""

    name: ClassVar[str] = "saliency"
    signed: ClassVar[bool] = False
    settings_type = SaliencySettings

    def attribute(
        self, classifier: Classifier, inputs: Tensor, labels: Sequence[int]
    ) -> Attribution:
        """Explain a batch; see `Method`."""
        gradients, logits = input_gradients(classifier, inputs, labels)
        maps = [absolute_gradient(each, self.settings.channel_reduction) for each in gradients]
        return Attribution(torch.stack(maps, dim=1).float(), logits)


class InputXGradient(PixelBase[Settings]):
    """The image, as the model gets it, times its gradient (Shrikumar et al., 2016, 1605.01713).

    Zero is the mean colour, so that this is what the logit gains over it, were the model linear.
    """

    name: ClassVar[str] = "input-x-gradient"

    def attribute(
        self, classifier: Classifier, inputs: Tensor, labels: Sequence[int]
    ) -> Attribution:
        """Explain a batch; see `Method`."""
        gradients, logits = input_gradients(classifier, inputs, labels)
        maps = [(gradient * inputs).sum(dim=1) for gradient in gradients]
        return Attribution(torch.stack(maps, dim=1).float(), logits)


def absolute_gradient(gradient: Tensor, reduction: ChannelReduction) -> Tensor:
    """Return (image, row, column) of (image, channel, row, column)."""
    absolute = gradient.abs()
    return absolute.amax(dim=1) if reduction == "max" else absolute.sum(dim=1)
