"""TorchScript networks as a chain of their children, which is how they can be split.

They take no hooks, so a network is taken apart into modules that are run one after another. That
is proved on a probe for each network; where it does not give the network's output, there is no
chain.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import reduce

import torch
from torch import Tensor, nn

from napari_globalxai.models.card.input_steps import TURN

# What a module raises that is given an input it does not take.
_REFUSALS = (RuntimeError, torch.jit.Error)


@dataclass(frozen=True)
class Step:
    """One link of a chain.

    Attributes
    ----------
    name : str
        Dotted name of the module; empty for what stands between modules.
    module : torch.nn.Module
        Takes and gives one tensor.
    path : str
        Where it stands in the network; empty where it does not.
    """

    name: str
    module: nn.Module
    path: str = ""

    @classmethod
    def at(cls, network: nn.Module, name: str, path: str) -> Step:
        """Return a step of a network that is known from another copy of it."""
        # TorchScript has no get_submodule.
        module = reduce(getattr, path.split("."), network) if path else nn.Flatten()
        return cls(name, module, path)


def chain_children(module: nn.Module, value: Tensor, prefix: str = "") -> list[Step] | None:
    """Return a module's children as a chain that gives what the module gives for `value`.

    Parameters
    ----------
    module : torch.nn.Module
        The module.
    value : torch.Tensor
        What to prove it on.
    prefix : str, optional
        Stands before the names of the children.

    Returns
    -------
    list of Step or None
        None where the children do not make a chain.
    """
    # A traced child that never ran has no forward.
    children = [
        # The turn of images is none of the network's layers.
        Step(
            "" if getattr(child, "original_name", "") == TURN else prefix + name,
            child,
            prefix + name,
        )
        for name, child in module.named_children()
        if hasattr(child, "forward")
    ]
    if not children:
        return None
    with torch.no_grad():
        expected = module(value)
        # Some networks own a child that their forward does not use; try without each.
        for unused in (None, *children):
            found = _try_chain([each for each in children if each is not unused], value, expected)
            if found is not None:
                return found
    return None


def find_step(chain: list[Step], layer: str, value: Tensor) -> list[Step] | None:
    """Take the steps that hold a layer apart until the layer is a step itself.

    Parameters
    ----------
    chain : list of Step
        A chain of the network.
    layer : str
        Dotted name of a module.
    value : torch.Tensor
        Input of the network.

    Returns
    -------
    list of Step or None
        None where the layer does not exist or lies in a module that cannot be taken apart.
    """
    with torch.no_grad():
        for place, step in enumerate(chain):
            if step.name == layer:
                return chain
            if layer.startswith(f"{step.name}.") and step.name:
                inner = chain_children(step.module, value, f"{step.name}.")
                found = None if inner is None else find_step(inner, layer, value)
                return None if found is None else [*chain[:place], *found, *chain[place + 1 :]]
            value = step.module(value)
    return None


def walk_chain(chain: list[Step], value: Tensor, visit: Callable[[str, Tensor], None]) -> Tensor:
    """Run a chain and show every layer that it can be split at, with its output.

    Parameters
    ----------
    chain : list of Step
        A chain of the network.
    value : torch.Tensor
        Input of the network.
    visit : callable
        Called with name and output, in the order in which layers are done.

    Returns
    -------
    torch.Tensor
        Output of the network.
    """
    for step in chain:
        inner = chain_children(step.module, value, f"{step.name}.") if step.name else None
        value = step.module(value) if inner is None else walk_chain(inner, value, visit)
        if step.name:
            visit(step.name, value)
    return value


def _try_chain(children: list[Step], value: Tensor, expected: object) -> list[Step] | None:
    """Run children in order, flattening where a child will only take a flat input."""
    chain: list[Step] = []
    for step in children:
        try:
            following = step.module(value)
        except _REFUSALS:
            if value.ndim != 4:
                return None
            chain.append(Step("", nn.Flatten()))
            value = value.flatten(1)
            try:
                following = step.module(value)
            except _REFUSALS:
                return None
        if not isinstance(following, Tensor):
            return None
        value = following
        chain.append(step)
    if not isinstance(expected, Tensor) or value.shape != expected.shape:
        return None
    return chain if torch.allclose(value, expected, rtol=1e-4, atol=1e-5) else None
