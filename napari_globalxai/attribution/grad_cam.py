"""Grad-CAM (Selvaraju et al., 2017, doi 10.1109/ICCV.2017.74) for all labels at once."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

import torch
from pydantic import BaseModel, ConfigDict
from torch import Tensor

from napari_globalxai.attribution.method import Attribution, Part, label_gradients
from napari_globalxai.models.classifier import Classifier
from napari_globalxai.models.geometry import CellGrid


class GradCamSettings(BaseModel):
    """Grad-CAM has no parameters; its layer belongs to the model card."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class GradCam:
    """Grad-CAM of the logits, before the ReLU, at the resolution of the CAM layer.

    The ReLU is left to aggregation, as the positive part, so that the store keeps the sign.
    """

    name: ClassVar[str] = "grad-cam"
    needs_split: ClassVar[bool] = True
    default_part: ClassVar[Part] = "positive"
    default_smoothing: ClassVar[float] = 0.0

    def __init__(self) -> None:
        self.settings = GradCamSettings()

    def grid(self, classifier: Classifier) -> CellGrid:
        """Return the cells of the CAM layer."""
        return classifier.cell_grid

    def attribute(
        self, classifier: Classifier, inputs: Tensor, labels: Sequence[int]
    ) -> Attribution:
        """Explain a batch; see `Method`."""
        with classifier.autocast():
            activation, outputs = classifier.split(inputs)
        logits = classifier.outputs_to_logits(outputs)
        values = activation.detach()
        maps = []
        for gradient in label_gradients(logits, activation, labels):
            weights = gradient.mean(dim=(2, 3))
            # One product over channels instead of a weighted copy of the activation.
            maps.append(torch.einsum("nkhw,nk->nhw", values, weights.to(values.dtype)))
        return Attribution(torch.stack(maps, dim=1).float(), logits.detach())
