"""What goes into a network's last layer: the features that its answers are made of."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from napari_globalxai.models.classifier import Classifier

_CONVOLUTIONS = (nn.Conv1d, nn.Conv2d, nn.Conv3d)
_LAYERS = (nn.Linear, *_CONVOLUTIONS)
_NO_LAYER = "the network has no last linear layer or convolution that takes a row an image"


class Penultimate:
    """A classifier that gives, for logits, what goes into the last layer that runs.

    That is the last linear layer or convolution, in its last call; where it has more than one place
    an image, the mean over places.

    Parameters
    ----------
    classifier : Classifier
        The model.
    layer : str
        Dotted name of the layer.
    count : int
        Features an image.

    Attributes
    ----------
    labels : tuple of str
        One a feature.
    """

    activation = "sigmoid"

    def __init__(self, classifier: Classifier, layer: str, count: int) -> None:
        self._classifier = classifier
        self.layer = layer
        self.labels = tuple(str(number) for number in range(count))
        self.device = classifier.device
        self.scales_each_image = classifier.scales_each_image

    def to_input(self, images: npt.NDArray[Any]) -> Tensor:
        """Return the model's input."""
        return self._classifier.to_input(images)

    def logits(self, inputs: Tensor) -> Tensor:
        """Return features, float32 (image, feature)."""
        _, features = _last_features(self._classifier, inputs, self.layer)
        assert features is not None
        return features

    def probabilities(self, logits: npt.NDArray[Any]) -> npt.NDArray[np.float64]:
        """Return features as they are: they are no log-odds."""
        return np.asarray(logits, np.float64)


def penultimate_of(model: object) -> tuple[Penultimate | None, str]:
    """Return what gives a model's features; or None, and why there is nothing.

    Parameters
    ----------
    model : object
        A `Classifier`; of other predictors nothing is known.
    """
    if not isinstance(model, Classifier):
        return None, "the model is no network whose layers are known"
    if isinstance(model.running, torch.jit.ScriptModule):
        return None, "the model is TorchScript, whose layers cannot be listened to"
    if not any(isinstance(module, _LAYERS) for module in model.running.modules()):
        return None, _NO_LAYER
    with torch.inference_mode():
        layer, features = _last_features(model, model.probe)
    if features is None:
        return None, _NO_LAYER
    return Penultimate(model, layer, features.shape[1]), ""


def _last_features(
    model: Classifier, inputs: Tensor, layer: str | None = None
) -> tuple[str, Tensor | None]:
    """Return the layer that ran last, or the one that is asked for, and what went into it."""
    last: dict[str, Any] = {"name": "", "input": None, "is_linear": True}
    handles = []
    for name, module in model.running.named_modules():
        if isinstance(module, _LAYERS) and layer in (None, name):

            def note(module: nn.Module, given: tuple[Any, ...], name: str = name) -> None:
                last["name"], last["is_linear"] = name, isinstance(module, nn.Linear)
                last["input"] = given[0] if given else None

            handles.append(module.register_forward_pre_hook(note))
    try:
        model.logits(inputs)
    finally:
        for handle in handles:
            handle.remove()
    values = last["input"]
    if not isinstance(values, Tensor) or values.ndim < 2 or len(values) != len(inputs):
        return last["name"], None
    if last["is_linear"]:
        values = values.movedim(-1, 1)
    return last["name"], values.float().flatten(2).mean(
        dim=2
    ) if values.ndim > 2 else values.float()
