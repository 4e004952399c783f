"""What the package's own methods share."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar, Generic, Literal, TypeVar

import torch
from pydantic import BaseModel, ConfigDict
from torch import Tensor

from napari_globalxai.attribution.method import methods_without_split
from napari_globalxai.errors import InputError
from napari_globalxai.maps.cell_grid import CellGrid
from napari_globalxai.models.classifier import Classifier
from napari_globalxai.models.split.calls import Split
from napari_globalxai.models.split.tracing import NoSplitError
from napari_globalxai.settings.aggregation_settings import Part

Baseline = Literal["mean-colour", "black"]


class Settings(BaseModel):
    """Parameters of a method; this base has none.

    Each field says what it is: command line, form and provenance are made from it.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, defer_build=True)


SettingsT = TypeVar("SettingsT", bound=Settings)


class MethodBase(Generic[SettingsT]):
    """Settings and capabilities of a method; see `Method`."""

    needs_split: ClassVar[bool] = False
    changes_backward: ClassVar[bool] = False
    needs_gradients: ClassVar[bool] = True
    signed: ClassVar[bool] = True
    default_part: ClassVar[Part] = "absolute"
    settings_type: ClassVar[type[Settings]] = Settings

    def __init__(self, **settings: Any) -> None:
        self.settings: SettingsT = self.settings_type(**settings)  # type: ignore[assignment]


class CamBase(MethodBase[SettingsT]):
    """A method whose maps have the cells of the CAM layer."""

    needs_split: ClassVar[bool] = True
    default_part: ClassVar[Part] = "positive"

    def grid(self, classifier: Classifier) -> CellGrid:
        """Return the cells of the CAM layer."""
        split_of(classifier)
        return classifier.cell_grid


def split_of(classifier: Classifier) -> Split:
    """Return the network split at the CAM layer, or say which methods need no split.

    Raises
    ------
    InputError
        When it cannot be split, or the cells of the layer do not lie where they would have to.
    """
    try:
        # Maps of cells that lie nowhere are none.
        _ = classifier.cell_places
        return classifier.split
    except NoSplitError as why:
        others = ", ".join(methods_without_split())
        raise InputError(f"{str(why).rstrip('.')}; methods that need no split: {others}.") from why


class PixelBase(MethodBase[SettingsT]):
    """A method whose maps have a cell for each pixel of the frame."""

    def grid(self, classifier: Classifier) -> CellGrid:
        """Return the pixels of the frame."""
        return CellGrid.pixels(classifier.frame_shape)


def baseline_input(classifier: Classifier, inputs: Tensor, baseline: Baseline) -> Tensor:
    """Return the normalised image, (1, channel, height, width), that stands for no information."""
    if baseline == "black":
        return classifier.to_input(torch.zeros_like(inputs[:1]))
    return torch.zeros_like(inputs[:1])


def input_gradients(
    classifier: Classifier, inputs: Tensor, labels: Sequence[int]
) -> tuple[list[Tensor], Tensor]:
    """Return each label's gradient with respect to the inputs, and the logits, of one forward."""
    leaf = inputs.detach().requires_grad_()
    with torch.enable_grad():
        logits = classifier.logits(leaf)
        gradients = label_gradients(logits, leaf, labels)
    return gradients, logits.detach()


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
    return [gradient for (gradient,) in gradients_of_each(logits, [source], labels)]


def gradients_of_each(
    logits: Tensor, sources: Sequence[Tensor], labels: Sequence[int]
) -> list[tuple[Tensor, ...]]:
    """Return the gradients of each label's logit with respect to several sources.

    Parameters
    ----------
    logits : torch.Tensor
        (image, label) with a graph back to the sources.
    sources : sequence of torch.Tensor
        Leaf tensors, (image, ...).
    labels : sequence of int
        Indices of labels.
    """
    gradients = []
    for position, label in enumerate(labels):
        last = position == len(labels) - 1
        total = logits[:, label].sum()
        gradients.append(torch.autograd.grad(total, sources, retain_graph=not last))
    return gradients


def logits_without_graph(classifier: Classifier, inputs: Tensor) -> Tensor:
    """Return float32 logits (image, label) of normalised inputs."""
    with torch.inference_mode():
        return classifier.logits(inputs)
