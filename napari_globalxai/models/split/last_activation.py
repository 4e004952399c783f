"""Take off the sigmoid or softmax that a network ends in, so that gradients do not vanish there.

The gradient of ``logit(sigmoid(z))`` is that of ``z``, but in float32 it is lost where the network
is confident. What goes into the last activation is therefore taken in its place, wherever a module
or a function applies it; that it is the last is read off autograd's graph and proved on a probe.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.overrides import TorchFunctionMode

from napari_globalxai.errors import is_out_of_memory
from napari_globalxai.models.running.copying import copy_network
from napari_globalxai.models.split.script_graph import without_last_activation

Activation = Literal["sigmoid", "softmax", "none"]

_ATEN = torch.ops.aten
_KINDS: dict[Any, str] = {
    **dict.fromkeys(
        (torch.sigmoid, torch.sigmoid_, Tensor.sigmoid, Tensor.sigmoid_, torch.special.expit),
        "sigmoid",
    ),
    **dict.fromkeys((functional.sigmoid, _ATEN.sigmoid.default, _ATEN.sigmoid_.default), "sigmoid"),
    **dict.fromkeys((functional.softmax, torch.softmax, Tensor.softmax), "softmax"),
    **dict.fromkeys((torch.special.softmax, _ATEN.softmax.int, _ATEN._softmax.default), "softmax"),
    # Of a logarithm of softmax: what goes in is a set of logits, too.
    **dict.fromkeys((torch.exp, Tensor.exp, _ATEN.exp.default), "softmax"),
    **dict.fromkeys((torch.clamp, Tensor.clamp, torch.clip, Tensor.clip, Tensor.clamp_), "clamp"),
    **dict.fromkeys((torch.clamp_min, Tensor.clamp_min, _ATEN.clamp.default), "clamp"),
    **dict.fromkeys((torch.clamp_max, Tensor.clamp_max, torch.nan_to_num), "clamp"),
}
# Nodes of autograd's graph that only move values, and those that add up and scale them.
_MOVES = (
    *("View", "UnsafeView", "ReshapeAlias", "Squeeze", "Unsqueeze", "Cat", "Stack", "Select"),
    *("Slice", "Split", "SplitWithSizes", "Unbind", "Transpose", "Permute", "T", "Index"),
    *("IndexSelect", "Clone", "ToCopy", "Expand", "Flip", "Alias", "AsStrided", "Contiguous"),
    *("Clamp", "ClampMin", "ClampMax", "NanToNum"),
)
_SUMS = ("Mean", "Sum", "Div", "Mul", "Add", "Sub", "Rsub", "Neg", "Prod", "Reciprocal")


class _WithCalls(TorchFunctionMode):
    """While active, numbers the calls that may be last activations and exchanges some of them.

    Parameters
    ----------
    change : callable
        Given the number of a call, its kind, function and arguments, returns what it gives.
    """

    def __init__(self, change: Callable[[int, str, Any, Sequence[Any], Any], Any]) -> None:
        super().__init__()
        self._change = change
        self._number = 0

    def __torch_function__(
        self,
        func: Any,
        types: Iterable[type],
        args: Sequence[Any] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        kind = _KINDS.get(func)
        # Arguments by name alone are not known; such calls are neither counted nor exchanged.
        if kind is None or not args:
            return func(*args, **(kwargs or {}))
        self._number += 1
        return self._change(self._number, kind, func, args, kwargs or {})


class _Exchanged:
    """Hooks on a whole network that leave out some calls, or run them in double precision."""

    def __init__(self, left_out: frozenset[int], doubled: frozenset[int]) -> None:
        self._left_out = left_out
        self._doubled = doubled
        self._modes: list[_WithCalls] = []

    def enter(self, module: nn.Module, inputs: object) -> None:
        """Begin, before the network runs."""
        self._modes.append(_WithCalls(self._change))
        self._modes[-1].__enter__()  # type: ignore[no-untyped-call]

    def leave(self, module: nn.Module, inputs: object, outputs: object) -> None:
        """End, after it ran or failed."""
        self._modes.pop().__exit__(None, None, None)  # type: ignore[no-untyped-call]

    def put_on(self, network: nn.Module) -> None:
        """Register the hooks."""
        network.register_forward_pre_hook(self.enter)
        # Before other hooks, which may work with the outputs.
        network.register_forward_hook(self.leave, prepend=True, always_call=True)

    def _change(
        self, number: int, kind: str, func: Any, args: Sequence[Any], kwargs: Mapping[str, Any]
    ) -> Any:
        if number in self._left_out:
            return args[0]
        if number in self._doubled:
            return func(args[0].double(), *args[1:], **kwargs)
        return func(*args, **kwargs)


@dataclass(frozen=True)
class LastActivation:
    """The sigmoid or softmax that a network ends in, and how it is taken off.

    Attributes
    ----------
    kind : str
        ``sigmoid`` or ``softmax``; ``none`` where the network still gives probabilities.
    left_out, doubled : frozenset of int
        Numbers of the calls in a forward that are left out, or worked out in double precision.
    """

    kind: Activation
    left_out: frozenset[int] = frozenset()
    doubled: frozenset[int] = frozenset()

    def taken_off(self, network: nn.Module, device: torch.device) -> nn.Module:
        """Return a copy of a network without it, or the network where nothing is to be done."""
        if isinstance(network, torch.jit.ScriptModule):
            found = () if self.kind == "none" else without_last_activation(network, device)
            return next((candidate for candidate, _ in found), network)
        if not self.left_out and not self.doubled:
            return network
        copy = copy_network(network)
        _Exchanged(self.left_out, self.doubled).put_on(copy)
        return copy


def find_last_activation(
    network: nn.Module, probe: Tensor, expected: Tensor
) -> tuple[LastActivation, nn.Module, Tensor]:
    """Find the last sigmoid or softmax of a network.

    Parameters
    ----------
    network : torch.nn.Module
        A network in eval mode that gives probabilities, (n, label).
    probe : torch.Tensor
        Inputs on which it is proved that the activation of what is found is what the network gave.
    expected : torch.Tensor
        What the network gives for them.

    Returns
    -------
    LastActivation
        What was found. Where probabilities are averaged, as in an ensemble, there are no logits;
        the network then works in double precision from the activations on, in which little
        vanishes.
    torch.nn.Module
        A copy that gives logits, or the network itself where they were not found.
    torch.Tensor
        What it gives for the probe.
    """
    try:
        for found, candidate in _candidates(network, probe):
            with torch.no_grad():
                outputs = candidate(probe.clone())
            if _gives(outputs, found.kind, expected):
                return found, candidate, outputs
    # Networks without gradients, or that do not take other numbers half way.
    except (RuntimeError, TypeError) as why:
        if is_out_of_memory(why):
            raise
    return LastActivation("none"), network, expected


def _candidates(network: nn.Module, probe: Tensor) -> Iterator[tuple[LastActivation, nn.Module]]:
    """Give what may be the last activation, with a network without it; that is to be proved."""
    if isinstance(network, torch.jit.ScriptModule):
        for candidate, kind in without_last_activation(network, probe.device):
            yield LastActivation(kind), candidate
        return
    final, clamps, kinds = _last_calls(network, probe, _MOVES)
    if final and len(kinds) == 1:
        kind = "sigmoid" if "sigmoid" in kinds else "softmax"
        found = LastActivation(kind, left_out=final | clamps)
        yield found, found.taken_off(network, probe.device)
    final, clamps, _ = _last_calls(network, probe, (*_MOVES, *_SUMS))
    if final:
        found = LastActivation("none", left_out=clamps, doubled=final)
        yield found, found.taken_off(network, probe.device)


def _last_calls(
    network: nn.Module, probe: Tensor, passed: Sequence[str]
) -> tuple[frozenset[int], frozenset[int], set[str]]:
    """Return the calls of activations, and of clamps behind them, that outputs are made of.

    Nothing is returned where something else than `passed` lies between.
    """
    calls: dict[Any, tuple[int, str]] = {}

    def note(number: int, kind: str, func: Any, args: Sequence[Any], kwargs: Any) -> Any:
        result = func(*args, **kwargs)
        if isinstance(result, Tensor) and result.grad_fn is not None:
            calls[result.grad_fn] = number, kind
        return result

    with torch.enable_grad(), _WithCalls(note):
        outputs = network(probe.clone().requires_grad_().clone())
    final: set[int] = set()
    clamps: set[int] = set()
    kinds: set[str] = set()
    waiting = [outputs.grad_fn]
    seen = set()
    while waiting:
        node = waiting.pop()
        # Constants have none.
        if node is None or node in seen:
            continue
        seen.add(node)
        number, kind = calls.get(node, (0, ""))
        if kind in ("sigmoid", "softmax"):
            final.add(number)
            kinds.add(kind)
            continue
        if node.name().rstrip("0123456789").removesuffix("Backward") not in passed:
            return frozenset(), frozenset(), set()
        if kind == "clamp":
            clamps.add(number)
        waiting += [each for each, _ in node.next_functions]
    return frozenset(final), frozenset(clamps), kinds


def _gives(outputs: object, kind: Activation, expected: Tensor) -> bool:
    """Return whether the activation of what a network gives is what is expected."""
    if not isinstance(outputs, Tensor) or outputs.shape != expected.shape:
        return False
    found = apply_activation(outputs, kind)
    return torch.allclose(found.double(), expected.double(), rtol=1e-3, atol=1e-5)


def apply_activation(outputs: Tensor, kind: Activation) -> Tensor:
    """Return probabilities of a network's outputs, (n, label)."""
    if kind == "sigmoid":
        return outputs.sigmoid()
    return outputs if kind == "none" else outputs.softmax(dim=-1)
