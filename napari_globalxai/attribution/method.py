"""What an attribution method is, and the methods by name."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Protocol

from pydantic import BaseModel, ValidationError
from torch import Tensor

from napari_globalxai.catalogue import METHODS
from napari_globalxai.errors import InputError
from napari_globalxai.maps.cell_grid import CellGrid
from napari_globalxai.models.classifier import Classifier
from napari_globalxai.settings.aggregation_settings import Part
from napari_globalxai.settings.declared import Declared, declared_fields


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

    @property
    def empty(self) -> Tensor:
        """Which maps are 0 everywhere, bool (image, label): of gradients that vanished, say."""
        return ~self.maps.flatten(2).any(dim=2)


class Method(Protocol):
    """An attribution method.

    Attributes
    ----------
    name : str
        Lower case with hyphens.
    needs_split : bool
        Whether the network must be split at a CAM layer.
    needs_gradients : bool
        Whether the network must let gradients through.
    signed : bool
        Whether maps have values on both sides of 0.
    default_part : str
        What of a map enters a global map unless asked otherwise: its positive part, its absolute
        value, or the signed map.
    """

    name: ClassVar[str]
    needs_split: ClassVar[bool]
    needs_gradients: ClassVar[bool]
    signed: ClassVar[bool]
    default_part: ClassVar[Part]

    @property
    def settings(self) -> BaseModel:
        """All parameters; they are recorded with every result."""

    def grid(self, classifier: Classifier) -> CellGrid:
        """Return where the map's cells lie in the frame."""

    def attribute(
        self, classifier: Classifier, inputs: Tensor, labels: Sequence[int]
    ) -> Attribution:
        """Explain normalised inputs for the labels with these indices."""


def method_class(name: str) -> type[Method]:
    """Return a method's class by the method's name.

    Raises
    ------
    InputError
        When there is no such method, or the package that offers it cannot be imported.
    """
    found: type[Method] = METHODS.load(name)
    return found


def declared_parameters(name: str) -> tuple[Declared, ...]:
    """Return a method's parameters as they are declared, which a form can be made from.

    Raises
    ------
    InputError
        When there is no such method.
    """
    return declared_fields(type(make_method(name).settings))


def methods_without_split() -> list[str]:
    """Return the methods that explain any TorchScript network, also one that cannot be split.

    Those of captum are left out, for most of them are slower ways to the same.
    """
    names = []
    for name in METHODS.entries:
        if name.startswith("captum:"):
            continue
        try:
            found = method_class(name)
        except InputError:
            # Of another package, and broken; that is no news here.
            continue
        # Methods of other packages need not say whether they change the backward pass.
        if not found.needs_split and not getattr(found, "changes_backward", False):
            names.append(name)
    return names


def make_method(name: str, **settings: Any) -> Method:
    """Return a method by name.

    Raises
    ------
    InputError
        When there is no such method or it does not take the settings.
    """
    factory = method_class(name)
    try:
        return factory(**settings)
    except (TypeError, ValueError) as why:
        if isinstance(why, ValidationError):
            first = why.errors()[0]
            reason = f"{'.'.join(str(part) for part in first['loc'])}: {first['msg']}"
        else:
            reason = str(why)
        raise InputError(f"The method {name} does not take these settings ({reason}).") from why
