"""The CAM family: the CAM layer's channels, weighted, for all labels from one shared forward.

Where a map has a ReLU it is left to aggregation, as the positive part, so that the store keeps the
sign.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

import torch
from torch import Tensor

from napari_globalxai.attribution.base import CamBase, Settings, gradients_of_each, split_of
from napari_globalxai.attribution.method import Attribution
from napari_globalxai.models.classifier import Classifier


class _GradientCam(CamBase[Settings]):
    """A CAM made from the activation and its gradient for each label."""

    def attribute(
        self, classifier: Classifier, inputs: Tensor, labels: Sequence[int]
    ) -> Attribution:
        """Explain a batch; see `Method`."""
        activations, outputs = split_of(classifier).activations(inputs)
        logits = classifier.outputs_to_logits(outputs)
        values = [activation.detach() for activation in activations]
        maps = [
            # What an ensemble's members and several views add to a logit adds up.
            classifier.cell_places.joined(list(map(self._combine, values, gradients)))
            for gradients in gradients_of_each(logits, activations, labels)
        ]
        return Attribution(torch.stack(maps, dim=1).float(), logits.detach())

    @staticmethod
    def _combine(activation: Tensor, gradient: Tensor) -> Tensor:
        """Return maps (image, row, column) from two tensors (image, channel, row, column)."""
        raise AssertionError("every CAM says how it combines")


class GradCam(_GradientCam):
    """Grad-CAM (Selvaraju et al., 2017, doi 10.1109/ICCV.2017.74) of the logits."""

    name: ClassVar[str] = "grad-cam"

    @staticmethod
    def _combine(activation: Tensor, gradient: Tensor) -> Tensor:
        weights = gradient.mean(dim=(2, 3))
        # One product over channels instead of a weighted copy of the activation.
        return torch.einsum("nkhw,nk->nhw", activation, weights.to(activation.dtype))


class GradCamPlusPlus(_GradientCam):
    """Grad-CAM++ (Chattopadhyay et al., 2018, doi 10.1109/WACV.2018.00097).

    The paper's score is the exponential of the logit, which multiplies the map of each image by
    that exponential. It is left out: it does not change one image's map beyond its scale, but in a
    mean over images it would let the most confident ones drown the others.
    """

    name: ClassVar[str] = "grad-cam-plus-plus"

    @staticmethod
    def _combine(activation: Tensor, gradient: Tensor) -> Tensor:
        activation, gradient = activation.float(), gradient.float()
        square = gradient.square()
        total = (activation * gradient * square).sum(dim=(2, 3), keepdim=True)
        denominator = 2 * square + total
        share = torch.where(denominator != 0, square / denominator, 0.0)
        weights = (share * gradient.relu()).sum(dim=(2, 3))
        return torch.einsum("nkhw,nk->nhw", activation, weights)


class LayerCam(_GradientCam):
    """Layer-CAM (Jiang et al., 2021, doi 10.1109/TIP.2021.3089943)."""

    name: ClassVar[str] = "layer-cam"

    @staticmethod
    def _combine(activation: Tensor, gradient: Tensor) -> Tensor:
        return (activation * gradient.relu()).sum(dim=1)
