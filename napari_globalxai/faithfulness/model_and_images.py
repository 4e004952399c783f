"""What PEPPR needs of a model and of images, along any number of spatial axes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    import torch
    from torch import Tensor

Rows = Sequence[int] | npt.NDArray[np.int64]


class Images(Protocol):
    """Images in one frame, such as an `AlignedStack`."""

    @property
    def shape(self) -> tuple[int, ...]:
        """Size of the frame along each spatial axis."""

    def read(self, rows: Rows) -> npt.NDArray[np.uint8]:
        """Return images, uint8 (image, channel, *spatial)."""

    def mean_image(self, rows: Rows) -> npt.NDArray[np.float32]:
        """Return the mean of images, float32 (channel, *spatial) in 0–255."""


class Predictor(Protocol):
    """A model that tells labels from images, such as a `Classifier`."""

    @property
    def labels(self) -> tuple[str, ...]:
        """Labels in the order of the outputs."""

    @property
    def activation(self) -> str:
        """What turns logits into probabilities; ``softmax`` ties the labels together."""

    device: torch.device

    def to_input(self, images: npt.NDArray[Any], /) -> Tensor:
        """Return the model's input, (image, channel, *spatial), of images in 0–255."""

    def logits(self, inputs: Tensor, /) -> Tensor:
        """Return logits (image, label) of inputs."""

    def probabilities(self, logits: npt.NDArray[Any], /) -> npt.NDArray[np.float64]:
        """Return probabilities of logits along the last axis."""
