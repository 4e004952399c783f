"""Run a network once and take part in the middle: the activation of the CAM layer.

Gradients are only ever needed from the outputs back to that activation. Everything before it runs
without a graph, which saves most of the price of a backward pass.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Any, Protocol

import numpy as np
import torch
from torch import Tensor, nn

from napari_globalxai.errors import InputError
from napari_globalxai.models.chaining import Step, chain_children, find_step, walk_chain
from napari_globalxai.models.layout import Layout, find_layout
from napari_globalxai.models.positions import PositionTrace


class NoSplitError(InputError):
    """The network cannot be split at any layer; methods that need no split still work."""


@dataclass(frozen=True)
class CamLayer:
    """A layer whose output is a map, as that of a CAM layer has to be.

    Attributes
    ----------
    name : str
        Dotted name of the module.
    channels : int
        Number of maps.
    layout : Layout
        How the maps lie in the layer's output, with their rows, columns and centres.
    """

    name: str
    channels: int
    layout: Layout

    def __str__(self) -> str:
        return f"{self.name} ({self.channels} × {self.layout.rows} × {self.layout.columns})"


Context = Callable[[], AbstractContextManager[Any]]


class Split(Protocol):
    """A network that can be run from input to outputs with the CAM activation on the way.

    Attributes
    ----------
    layer : str
        Name of the CAM layer.
    layout : Layout
        How the activation's cells lie in the layer's output.
    """

    layer: str
    layout: Layout

    def __call__(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """Return the activation and the outputs computed from it.

        The activation is a leaf that requires grad, (n, channel, row, column) whatever the layer's
        own layout; class and register tokens are left out of it.
        """

    def of(self, network: nn.Module, within: Context) -> Split:
        """Return the same split of a network that differs in its weights alone.

        Parameters
        ----------
        network : torch.nn.Module
            The other network.
        within : callable
            Gives the context in which it runs.
        """


class HookSplit:
    """Split a plain network by a hook that lives only while the network runs."""

    def __init__(
        self, network: nn.Module, layer: str, layout: Layout, within: Context = nullcontext
    ) -> None:
        self.network = network
        self.layer = layer
        self.layout = layout
        self._within = within
        self._module = network.get_submodule(layer)

    def __call__(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """Run the network; see `Split`."""
        caught: list[Tensor] = []

        def cut(module: nn.Module, inputs: object, output: Tensor) -> Tensor:
            # The parameters do not require grad, so nothing before this leaf is recorded.
            caught.append(self.layout.to_map(output).detach().requires_grad_())
            return self.layout.from_map(caught[-1], output)

        handle = self._module.register_forward_hook(cut)
        try:
            with torch.enable_grad(), self._within():
                outputs = self.network(images)
        finally:
            handle.remove()
        return caught[-1], outputs

    def of(self, network: nn.Module, within: Context) -> Split:
        """Return the split of another network; see `Split`."""
        return HookSplit(network, self.layer, self.layout, within)


class ChainSplit:
    """Split a TorchScript network, which takes no hooks, by running its children one by one."""

    def __init__(
        self, steps: Sequence[Step], layer: str, layout: Layout, within: Context = nullcontext
    ) -> None:
        self.steps = steps
        self.layer = layer
        self.layout = layout
        self._within = within

    def __call__(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """Run the chain; see `Split`."""
        value = activation = images
        with torch.enable_grad(), self._within():
            for step in self.steps:
                value = step.module(value)
                if step.name == self.layer:
                    activation = self.layout.to_map(value).detach().requires_grad_()
                    value = self.layout.from_map(activation, value)
        return activation, value

    def of(self, network: nn.Module, within: Context) -> Split:
        """Return the split of the same network, for TorchScript keeps its weights; see `Split`."""
        return ChainSplit(self.steps, self.layer, self.layout, within)


def cam_layers(network: nn.Module, probe: Tensor) -> list[CamLayer]:
    """List the layers that a network can be split at, in the order in which they run.

    Parameters
    ----------
    network : torch.nn.Module
        A plain or TorchScript network in eval mode.
    probe : torch.Tensor
        An input, (n, channel, height, width).

    Returns
    -------
    list of CamLayer

    Raises
    ------
    NoSplitError
        When the network is TorchScript and its children do not make a chain.
    """
    return list(_trace(network, probe)[0].values())


def _trace(network: nn.Module, probe: Tensor) -> tuple[dict[str, CamLayer], set[str]]:
    """Return the layers that give a map, and the names of all that ran."""
    image = probe[:1].clone()
    found: dict[str, CamLayer] = {}
    ran: set[str] = set()
    with torch.no_grad(), _unfused(), PositionTrace(image) as trace:

        def note(name: str, output: object) -> None:
            ran.add(name)
            # Of a module that runs several times, the last time counts.
            found.pop(name, None)
            if isinstance(output, Tensor):
                layout = find_layout(output, trace.of(output))
                if layout is not None:
                    found[name] = CamLayer(name, int(output.shape[layout.channel]), layout)

        if isinstance(network, torch.jit.ScriptModule):
            walk_chain(_chain(network, image), image, note)
        else:
            _run(network, image, note)
    return found, ran


def split_network(network: nn.Module, layer: str | None, probe: Tensor) -> Split:
    """Find the place where Grad-CAM splits a network, and prove that it changes nothing.

    Parameters
    ----------
    network : torch.nn.Module
        A plain or TorchScript network in eval mode.
    layer : str or None
        Dotted name of the CAM layer. By default it is the last of the outermost modules that give
        a map on which the outputs depend, and through which all goes that they are made of; in a
        transformer whose outputs come from a class token alone, that is the block before the last.
        Where branches meet in no module, it is the last map of a branch.
    probe : torch.Tensor
        Two different inputs, (2, channel, height, width).

    Returns
    -------
    Split

    Raises
    ------
    InputError
        When the layer does not exist or has no map that the outputs depend on.
    NoSplitError
        When the network cannot be split at all.
    """
    layers, ran = _trace(network, probe)
    if layer is None:
        if not _outermost(network, "", layers, ran):
            raise InputError("No layer with a spatial output was found; name one as cam_layer.")
        return _choose(network, layers, ran, probe)
    if layer not in layers:
        raise InputError(_why_not(network, layer, layers, ran))
    split = _split_at(network, layers[layer], probe)
    if layers[layer].layout.cells is not None and not _reaches_outputs(split, probe):
        raise InputError(
            f"The model's outputs do not depend on the map of the layer {layer!r}, but on a class "
            f"token beside it; a layer before it, such as "
            f"{_choose(network, layers, ran, probe).layer!r}, serves Grad-CAM."
        )
    return split


def _choose(
    network: nn.Module, layers: Mapping[str, CamLayer], ran: Collection[str], probe: Tensor
) -> Split:
    candidates = _outermost(network, "", layers, ran)
    last: tuple[CamLayer, Split] | None = None
    while candidates:
        candidate = candidates.pop()
        if last is not None and _spacing(candidate, probe) < 0.99 * _spacing(last[0], probe):
            # What lies before is finer, and farther from what the outputs are made of.
            break
        split = _split_at(network, candidate, probe)
        if _reaches_outputs(split, probe):
            if _carries_all(network, candidate.name, probe):
                return split
            last = last or (candidate, split)
        # Blocks in a row: of the last one the outputs may read a class token alone, of those before
        # it all.
        elif isinstance(module := network.get_submodule(candidate.name), nn.Sequential):
            candidates += _outermost(module, f"{candidate.name}.", layers, ran)
    if last is not None:
        return last[1]
    # A network that gives constants; its maps are all zero wherever it is split.
    return _split_at(network, _outermost(network, "", layers, ran)[-1], probe)


def _spacing(layer: CamLayer, probe: Tensor) -> float:
    """Return the area of a cell in pixels of the input."""
    layout, area = layer.layout, 1.0
    for centres, cells, size in (
        (layout.y, layout.rows, probe.shape[2]),
        (layout.x, layout.columns, probe.shape[3]),
    ):
        if centres is not None and cells > 1:
            area *= float(np.median(np.diff(centres)))
        else:
            area *= size / cells
    return area


def _carries_all(network: nn.Module, layer: str, probe: Tensor) -> bool:
    """Return whether all that the outputs are made of goes through a layer.

    Then exchanging what it gives for two images exchanges their outputs. Of branches, such as a
    part of a map that is cut off to be rolled around, it does not.
    """
    if isinstance(network, torch.jit.ScriptModule):
        return True
    module = network.get_submodule(layer)
    calls = 0
    exchange = 0

    def count(module: nn.Module, inputs: object, output: Tensor) -> Tensor:
        nonlocal calls
        calls += 1
        # Of a module that runs several times, the last time is meant.
        return output.flip(0) if calls == exchange else output

    handle = module.register_forward_hook(count)
    try:
        with torch.no_grad():
            expected = network(probe).flip(0)
            exchange, calls = calls, 0
            outputs = network(probe)
    finally:
        handle.remove()
    difference = (expected - expected.flip(0)).norm()
    return bool((outputs - expected).norm() <= 0.01 * difference + 1e-5 * expected.norm())


def _split_at(network: nn.Module, layer: CamLayer, probe: Tensor) -> Split:
    split: Split
    if isinstance(network, torch.jit.ScriptModule):
        steps = find_step(_chain(network, probe), layer.name, probe)
        assert steps is not None
        split = ChainSplit(steps, layer.name, layer.layout)
    else:
        split = HookSplit(network, layer.name, layer.layout)
    with torch.no_grad():
        expected = network(probe)
    _, outputs = split(probe)
    if not torch.allclose(outputs.detach(), expected, rtol=1e-4, atol=1e-5):
        raise InputError(f"Splitting the model at {layer.name!r} changes its output.")
    return split


def _reaches_outputs(split: Split, probe: Tensor) -> bool:
    activation, outputs = split(probe)
    if not outputs.requires_grad:
        return False
    # Whoever asks may work without gradients.
    with torch.enable_grad():
        # Squared, so that the outputs of a softmax do not cancel.
        total = outputs.square().sum()
        (gradient,) = torch.autograd.grad(total, activation, allow_unused=True)
    found: Tensor | None = gradient
    return found is not None and bool(found.any())


def _unfused() -> AbstractContextManager[None]:
    """Keep TorchScript's optimiser from joining operations into ones without positions."""
    unfused: AbstractContextManager[None] = torch.jit.optimized_execution(False)  # type: ignore[attr-defined]
    return unfused


def _chain(network: nn.Module, probe: Tensor) -> list[Step]:
    chain = chain_children(network, probe)
    if chain is None:
        raise NoSplitError(
            "This TorchScript model cannot be split: its children, run one after another, do not "
            "give its output."
        )
    return chain


def _run(network: nn.Module, image: Tensor, note: Callable[[str, object], None]) -> None:
    """Run a plain network and note the output of each of its modules."""
    handles = []
    for name, module in network.named_modules():
        if name:

            def look(module: nn.Module, inputs: object, output: object, name: str = name) -> None:
                note(name, output)

            handles.append(module.register_forward_hook(look))
    try:
        network(image)
    finally:
        for handle in handles:
            handle.remove()


def _outermost(
    module: nn.Module, prefix: str, layers: Mapping[str, CamLayer], ran: Collection[str]
) -> list[CamLayer]:
    """Return the outermost layers with a map inside a module, in the order in which they run."""
    names = _outer(module, prefix, layers, ran)
    return [layer for name, layer in layers.items() if name in names]


def _outer(
    module: nn.Module, prefix: str, layers: Collection[str], ran: Collection[str]
) -> set[str]:
    """Return the names of the outermost layers with a map."""
    names = {prefix + name: child for name, child in module.named_children()}
    found = names.keys() & layers
    for name, child in names.items():
        # A list of modules does not run, its members do.
        if name not in ran:
            found |= _outer(child, f"{name}.", layers, ran)
    if found:
        return found
    # What runs but gives no map, like a backbone that gives a list of maps, may hold some.
    inner = (_outer(child, f"{name}.", layers, ran) for name, child in names.items() if name in ran)
    return set().union(*inner)


def _why_not(
    network: nn.Module, layer: str, layers: Mapping[str, CamLayer], ran: Collection[str]
) -> str:
    """Say why a layer cannot be the CAM layer."""
    outermost = _outermost(network, "", layers, ran)
    listed = f"layers with a map are {', '.join(map(str, outermost)) or 'not there'}"
    inside = len(layers) - len(outermost)
    listed += f", and {inside} inside them." if inside else "."
    if layer not in dict(network.named_modules()):
        nearest = get_close_matches(layer, layers, 1)
        guess = f" (did you mean {nearest[0]!r}?)" if nearest else ""
        return f"The model has no layer {layer!r}{guess}; {listed}"
    if layer in ran:
        return f"The layer {layer!r} has no spatial output; {listed}"
    if isinstance(network, torch.jit.ScriptModule):
        return f"The layer {layer!r} lies in a part of TorchScript that is not a chain; {listed}"
    return f"The layer {layer!r} is not used by the model; {listed}"
