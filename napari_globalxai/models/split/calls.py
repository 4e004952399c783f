"""Run a network once and take part in the middle: what the calls of its CAM layers give.

Gradients are only ever needed from the outputs back to those calls. Everything before them runs
without a graph, which saves most of the price of a backward pass.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

import torch
from torch import Tensor, nn

from napari_globalxai.errors import InputError
from napari_globalxai.models.running.views import Views
from napari_globalxai.models.split.chaining import Step
from napari_globalxai.models.split.layout import Layout

if TYPE_CHECKING:
    from collections.abc import Iterator

Context = Callable[[], AbstractContextManager[Any]]


@dataclass(frozen=True)
class Call:
    """One call of a layer, for one view of the image.

    Attributes
    ----------
    layer : str
        Dotted name of the module.
    layout : Layout
        How the cells lie in what the call gives for the view.
    number : int
        Which of the layer's calls in a forward it is.
    view : int
        Which of the views of an image, where the network puts several into one batch.
    views : Views
        How they lie in the batch.
    """

    layer: str
    layout: Layout
    number: int = 0
    view: int = 0
    views: Views = field(default_factory=Views)


class Split(Protocol):
    """A network that can be run from input to outputs with the CAM activations on the way.

    Attributes
    ----------
    calls : tuple of Call
        What it is split at, in the order in which they run: in most networks one call.
    """

    calls: tuple[Call, ...]

    @property
    def layer(self) -> str:
        """Name of the CAM layer; of several, the last."""

    @property
    def layout(self) -> Layout:
        """How the last call's cells lie in the layer's output."""

    def __call__(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """Return the activation of the last call and the outputs; see `activations`."""

    def activations(self, images: Tensor) -> tuple[list[Tensor], Tensor]:
        """Return the activation of each call and the outputs computed from all of them.

        An activation is a leaf that requires grad, (n, channel, row, column) whatever the layer's
        own layout; class and register tokens are left out of it.
        """

    def watched(self, images: Tensor) -> list[Tensor]:
        """Return the activation of each call with its graph back to the images."""

    @property
    def steps(self) -> Sequence[Step]:
        """What a TorchScript network is run in; nothing where the network is run as it is."""

    def of(self, network: nn.Module, within: Context) -> Split:
        """Return the same split of a network that differs in its weights alone.

        Parameters
        ----------
        network : torch.nn.Module
            The other network.
        within : callable
            Gives the context in which it runs.
        """


class _SplitAtCalls:
    calls: tuple[Call, ...]
    steps: Sequence[Step] = ()

    @property
    def layer(self) -> str:
        """Name of the CAM layer; of several, the last."""
        return self.calls[-1].layer

    @property
    def layout(self) -> Layout:
        """How the last call's cells lie in the layer's output."""
        return self.calls[-1].layout

    def __call__(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """Run the network; see `Split`."""
        activations, outputs = self.activations(images)
        return activations[-1], outputs

    def activations(self, images: Tensor) -> tuple[list[Tensor], Tensor]:
        """Run the network; see `Split`."""
        raise AssertionError("every split says how it runs")


class HookSplit(_SplitAtCalls):
    """Split a plain network by hooks that live only while the network runs."""

    def __init__(
        self, network: nn.Module, calls: Sequence[Call], within: Context = nullcontext
    ) -> None:
        self.network = network
        self.calls = tuple(calls)
        self._within = within

    def activations(self, images: Tensor) -> tuple[list[Tensor], Tensor]:
        """Run the network; see `Split`."""
        found: dict[int, Tensor] = {}

        def cut(places: list[int], output: Any) -> Any:
            views = self.calls[places[0]].views
            parts = views.taken_apart(output)
            for place in places:
                call = self.calls[place]
                # The parameters do not require grad, so nothing before this leaf is recorded.
                found[place] = call.layout.to_map(parts[call.view]).detach().requires_grad_()
                parts[call.view] = call.layout.from_map(found[place], parts[call.view])
            return views.put_together(parts)

        outputs = self._run(images, cut)
        if len(found) < len(self.calls):
            raise InputError(
                f"The model runs {self.layer!r} less often for some images than for others."
            )
        return [found[place] for place in range(len(self.calls))], outputs

    def watched(self, images: Tensor) -> list[Tensor]:
        """Run the network; see `Split`."""
        found: dict[int, Tensor] = {}

        def keep(places: list[int], output: Any) -> Any:
            parts = self.calls[places[0]].views.taken_apart(output)
            for place in places:
                call = self.calls[place]
                # A copy, before what comes next works in place.
                found[place] = call.layout.to_map(parts[call.view]).clone()
            return output

        self._run(images, keep)
        return [found[place] for place in range(len(self.calls))]

    def _run(self, images: Tensor, change: Callable[[list[int], Any], Any]) -> Tensor:
        """Run the network; what a call gives is exchanged for `change` of its places and that."""

        def exchange(layer: str, number: int, output: Any) -> Any:
            places = [
                place
                for place, call in enumerate(self.calls)
                if (call.layer, call.number) == (layer, number)
            ]
            return change(places, output) if places else output

        layers = {call.layer for call in self.calls}
        with (
            torch.enable_grad(),
            self._within(),
            changed_outputs(self.network, layers, exchange),
        ):
            outputs: Tensor = self.network(images)
        return outputs

    def of(self, network: nn.Module, within: Context) -> Split:
        """Return the split of another network; see `Split`."""
        return HookSplit(network, self.calls, within)


class ChainSplit(_SplitAtCalls):
    """Split a TorchScript network, which takes no hooks, by running its children one by one."""

    def __init__(
        self, steps: Sequence[Step], layer: str, layout: Layout, within: Context = nullcontext
    ) -> None:
        self.steps = steps
        self.calls = (Call(layer, layout),)
        self._within = within

    def activations(self, images: Tensor) -> tuple[list[Tensor], Tensor]:
        """Run the chain; see `Split`."""
        value = activation = images
        with torch.enable_grad(), self._within():
            for step in self.steps:
                value = step.module(value)
                if step.name == self.layer:
                    activation = self.layout.to_map(value).detach().requires_grad_()
                    value = self.layout.from_map(activation, value)
        return [activation], value

    def watched(self, images: Tensor) -> list[Tensor]:
        """Run the chain; see `Split`."""
        value = images
        with torch.enable_grad(), self._within():
            for step in self.steps:
                value = step.module(value)
                if step.name == self.layer:
                    break
        return [self.layout.to_map(value)]

    def of(self, network: nn.Module, within: Context) -> Split:
        """Return the split of the same network, for TorchScript keeps its weights; see `Split`."""
        return ChainSplit(self.steps, self.layer, self.layout, within)


@contextmanager
def changed_outputs(
    network: nn.Module, layers: set[str], change: Callable[[str, int, Any], Any]
) -> Iterator[None]:
    """While active, exchange what calls of some layers give.

    Parameters
    ----------
    network : torch.nn.Module
        The network.
    layers : set of str
        Dotted names of modules.
    change : callable
        Given a layer's name, the number of its call and its output, returns what to give instead.
    """
    numbers: Counter[str] = Counter()
    handles = []
    for name in layers:

        def exchange(module: nn.Module, inputs: object, output: Any, name: str = name) -> Any:
            numbers[name] += 1
            return change(name, numbers[name] - 1, output)

        handles.append(network.get_submodule(name).register_forward_hook(exchange))
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()
