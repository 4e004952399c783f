"""Run a network once and take part in the middle: the activation of the CAM layer.

Gradients are only ever needed from the outputs back to that activation. Everything before it runs
without a graph, which saves most of the price of a backward pass.
"""

from __future__ import annotations

from collections import OrderedDict
from typing import Protocol

import torch
from torch import Tensor, nn

from napari_globalxai.errors import InputError

# What a module raises that is given an input it does not take.
_REFUSALS = (RuntimeError, torch.jit.Error)


class Split(Protocol):
    """A network that can be run from input to outputs with the CAM activation on the way."""

    layer: str

    def __call__(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """Return the activation, as a leaf that requires grad, and the outputs computed from it."""


class HookSplit:
    """Split a plain network by a hook that lives only while the network runs."""

    def __init__(self, network: nn.Module, layer: str) -> None:
        self.network = network
        self.layer = layer
        self.module = network.get_submodule(layer)

    def __call__(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """Run the network; see `Split`."""
        caught: list[Tensor] = []

        def cut(module: nn.Module, inputs: object, output: object) -> Tensor:
            if not isinstance(output, Tensor):
                raise InputError(_not_spatial(self.layer))
            # The parameters do not require grad, so nothing before this leaf is recorded.
            caught.append(output.detach().requires_grad_())
            # A copy, because the next layer may work in place, which a leaf does not allow.
            return caught[-1].clone()

        handle = self.module.register_forward_hook(cut)
        try:
            with torch.enable_grad():
                outputs = self.network(images)
        finally:
            handle.remove()
        if not caught:
            raise InputError(f"The layer {self.layer!r} is not used by the model.")
        return caught[-1], outputs


class ChainSplit:
    """Split a TorchScript network, which takes no hooks, by running its children one by one."""

    def __init__(self, children: OrderedDict[str, nn.Module], layer: str) -> None:
        self.children = children
        self.layer = layer

    def __call__(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """Run the chain; see `Split`."""
        value = images
        activation = images
        with torch.enable_grad():
            for name, child in self.children.items():
                value = child(value)
                if name == self.layer:
                    activation = value.detach().requires_grad_()
                    value = activation.clone()
        return activation, value


def split_network(network: nn.Module, layer: str | None, probe: Tensor) -> Split:
    """Find the place where Grad-CAM splits a network, and prove that it changes nothing.

    Parameters
    ----------
    network : torch.nn.Module
        A plain or TorchScript network in eval mode.
    layer : str or None
        Dotted name of the CAM layer; by default the last module with a spatial output.
    probe : torch.Tensor
        Two different inputs, (2, channel, height, width).

    Returns
    -------
    Split

    Raises
    ------
    InputError
        When the layer does not exist, has no spatial output, or the network cannot be split.
    """
    if isinstance(network, torch.jit.ScriptModule):
        split: Split = _chain(network, layer, probe)
    else:
        names = dict(network.named_modules())
        if layer is not None and layer not in names:
            raise InputError(
                f"The model has no layer {layer!r}; its top-level layers are "
                f"{', '.join(name for name, _ in network.named_children())}."
            )
        split = HookSplit(network, layer or _last_spatial_layer(network, probe))
    with torch.no_grad():
        expected = network(probe)
    activation, outputs = split(probe)
    if activation.ndim != 4 or activation.shape[-1] * activation.shape[-2] < 2:
        raise InputError(_not_spatial(split.layer))
    if not torch.allclose(outputs.detach(), expected, rtol=1e-4, atol=1e-5):
        raise InputError(f"Splitting the model at {split.layer!r} changes its output.")
    return split


def _not_spatial(layer: str) -> str:
    return f"The layer {layer!r} has no spatial output, so Grad-CAM cannot use it."


def _last_spatial_layer(network: nn.Module, probe: Tensor) -> str:
    """Return the top-level child that last gives a map larger than one cell."""
    last: list[str] = []
    handles = []
    for name, child in network.named_children():

        def look(module: nn.Module, inputs: object, output: object, name: str = name) -> None:
            if isinstance(output, Tensor) and output.ndim == 4 and output[0, 0].numel() > 1:
                last.append(name)

        handles.append(child.register_forward_hook(look))
    try:
        with torch.no_grad():
            network(probe)
    finally:
        for handle in handles:
            handle.remove()
    if not last:
        raise InputError("No layer with a spatial output was found; name one as cam_layer.")
    return last[-1]


def _chain(network: nn.Module, layer: str | None, probe: Tensor) -> ChainSplit:
    # A traced child that never ran has no forward.
    children = OrderedDict(
        (name, child) for name, child in network.named_children() if hasattr(child, "forward")
    )
    with torch.no_grad():
        expected = network(probe)
        # Some networks own a child that their forward does not use; try without each.
        for unused in (None, *children):
            kept = [(name, child) for name, child in children.items() if name != unused]
            found = _try_chain(kept, layer, probe, expected)
            if found is not None:
                return found
    raise InputError(
        "This TorchScript model cannot be split: its children, run one after another, do not give "
        "its output. The methods saliency and integrated-gradients need no split."
    )


def _try_chain(
    children: list[tuple[str, nn.Module]], layer: str | None, probe: Tensor, expected: Tensor
) -> ChainSplit | None:
    """Run children in order, flattening where a child will only take a flat input."""
    chain: OrderedDict[str, nn.Module] = OrderedDict()
    value = probe
    last_spatial = None
    for name, child in children:
        try:
            following = child(value)
        except _REFUSALS:
            if value.ndim != 4:
                return None
            chain[f"flatten before {name}"] = nn.Flatten()
            value = value.flatten(1)
            try:
                following = child(value)
            except _REFUSALS:
                return None
        if not isinstance(following, Tensor):
            return None
        value = following
        chain[name] = child
        if value.ndim == 4 and value[0, 0].numel() > 1:
            last_spatial = name
    if value.shape != expected.shape or not torch.allclose(value, expected, rtol=1e-4, atol=1e-5):
        return None
    if layer is not None and layer not in chain:
        raise InputError(
            f"The TorchScript model has no top-level layer {layer!r}; there are "
            f"{', '.join(name for name in chain if not name.startswith('flatten'))}."
        )
    chosen = layer or last_spatial
    return ChainSplit(chain, chosen) if chosen is not None else None
