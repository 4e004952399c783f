"""What is put around a network so that it takes its inputs and gives its logits as we need them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from torch import Tensor, nn

from napari_globalxai.models.running.outputs import Place, as_rows, taken_from


@dataclass(frozen=True)
class Shaping:
    """Hooks that a network wants, as its first runs have shown.

    Attributes
    ----------
    copies_input : bool
        Whether it works in place on what it is given, which others still need.
    logits : tuple or None
        Where its logits stand, if it gives more than them.
    rows : bool
        Whether it may give the same numbers in another shape than a row an image.
    """

    copies_input: bool = False
    logits: Place | None = None
    rows: bool = False

    def put_on(self, network: nn.Module, labels: int) -> None:
        """Put the hooks on a network with so many labels."""
        if self.copies_input:
            network.register_forward_pre_hook(_copy_input)
        if self.logits is not None:
            network.register_forward_hook(_KeepLogits(self.logits))
        if self.rows:
            network.register_forward_hook(_MakeRows(labels))


def _copy_input(module: nn.Module, inputs: tuple[Any, ...]) -> tuple[Any, ...]:
    return tuple(each.clone() if isinstance(each, Tensor) else each for each in inputs)


class _KeepLogits:
    """Leaves nothing of a network's outputs but the logits."""

    def __init__(self, place: Place) -> None:
        self._place = place

    def __call__(self, module: nn.Module, inputs: object, outputs: Any) -> Any:
        return taken_from(outputs, self._place)


class _MakeRows:
    """Brings a network's outputs into a row an image."""

    def __init__(self, labels: int) -> None:
        self._labels = labels

    def __call__(self, module: nn.Module, inputs: Sequence[Tensor], given: Tensor) -> Tensor:
        found = as_rows(given, len(inputs[0]), self._labels)
        return given if found is None else found
