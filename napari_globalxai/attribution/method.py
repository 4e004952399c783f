"""What an attribution method is, and the methods by name."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib.metadata import entry_points
from typing import Any, ClassVar, Literal, Protocol

import torch
from pydantic import BaseModel, ValidationError
from torch import Tensor

from napari_globalxai.errors import InputError
from napari_globalxai.models.classifier import Classifier
from napari_globalxai.models.geometry import CellGrid

ENTRY_POINTS = "napari_globalxai.methods"
Part = Literal["positive", "absolute", "signed"]


@dataclass(frozen=True)
class Attribution:
    """The attributions of one batch.

    Attributes
    ----------
    maps : torch.Tensor
        float32 (image, label, rows, columns) at the method's own resolution, sign kept.
    logits : torch.Tensor
        float32 (image, all labels of the model), from the same forward.
    """

    maps: Tensor
    logits: Tensor


class Method(Protocol):
    """An attribution method.

    Attributes
    ----------
    name : str
        Lower case with hyphens.
    needs_split : bool
        Whether the network must be split at a CAM layer.
    default_part : str
        What of a map enters a global map unless asked otherwise: its positive part, its absolute
        value, or the signed map.
    default_smoothing : float
        SD in frame pixels of the Gaussian that a global map of this method is smoothed with.
    """

    name: ClassVar[str]
    needs_split: ClassVar[bool]
    default_part: ClassVar[Part]
    default_smoothing: ClassVar[float]

    @property
    def settings(self) -> BaseModel:
        """All parameters; they are recorded with every result."""

    def grid(self, classifier: Classifier) -> CellGrid:
        """Return where the map's cells lie in the frame."""

    def attribute(
        self, classifier: Classifier, inputs: Tensor, labels: Sequence[int]
    ) -> Attribution:
        """Explain normalised inputs for the labels with these indices."""


def _builtin() -> dict[str, Callable[..., Method]]:
    from napari_globalxai.attribution.grad_cam import GradCam
    from napari_globalxai.attribution.gradients import IntegratedGradients, Saliency

    methods: tuple[type[Method], ...] = (GradCam, Saliency, IntegratedGradients)
    return {cls.name: cls for cls in methods}


def method_names() -> list[str]:
    """Return the names of all methods, a user's own by entry point included."""
    return sorted({*_builtin(), *(point.name for point in entry_points(group=ENTRY_POINTS))})


def make_method(name: str, **settings: Any) -> Method:
    """Return a method by name.

    Raises
    ------
    InputError
        When there is no such method or it does not take the settings.
    """
    factories = _builtin()
    for point in entry_points(group=ENTRY_POINTS):
        factories.setdefault(point.name, point.load())
    if name not in factories:
        raise InputError(
            f"There is no attribution method {name!r}; methods are {', '.join(method_names())}."
        )
    try:
        return factories[name](**settings)
    except (TypeError, ValueError) as why:
        if isinstance(why, ValidationError):
            first = why.errors()[0]
            reason = f"{first['loc'][0]}: {first['msg']}"
        else:
            reason = str(why)
        raise InputError(f"The method {name} does not take these settings ({reason}).") from why


def label_gradients(logits: Tensor, source: Tensor, labels: Sequence[int]) -> list[Tensor]:
    """Return the gradient of each label's logit with respect to `source`, image by image.

    One forward serves all labels; the sum over the batch keeps images apart because none depends
    on another.

    Parameters
    ----------
    logits : torch.Tensor
        (image, label) with a graph back to `source`.
    source : torch.Tensor
        Leaf tensor, (image, ...).
    labels : sequence of int
        Indices of labels.
    """
    gradients = []
    for position, label in enumerate(labels):
        last = position == len(labels) - 1
        (gradient,) = torch.autograd.grad(logits[:, label].sum(), source, retain_graph=not last)
        gradients.append(gradient)
    return gradients
