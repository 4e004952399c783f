"""Take off the last sigmoid or softmax of a TorchScript network, in a copy of its graph."""

from __future__ import annotations

import io
import warnings
from collections.abc import Iterator
from typing import Any, Literal

import torch
from torch import nn

_ACTIVATIONS: dict[str, Literal["sigmoid", "softmax"]] = {
    **dict.fromkeys(("aten::sigmoid", "aten::sigmoid_"), "sigmoid"),
    **dict.fromkeys(("aten::softmax", "aten::_softmax", "aten::exp"), "softmax"),
}
_CLAMPS = ("aten::clamp", "aten::clamp_", "aten::clamp_min", "aten::clamp_max", "aten::clip")
_MOVES = (
    *("aten::view", "aten::reshape", "aten::flatten", "aten::squeeze", "aten::unsqueeze"),
    *("aten::slice", "aten::select", "aten::contiguous", "aten::clone", "aten::to", "aten::detach"),
    *("aten::transpose", "aten::permute", "aten::t", "aten::expand", "aten::flip"),
)
_JOINS = ("aten::cat", "aten::stack")


def without_last_activation(
    network: nn.Module, device: torch.device
) -> Iterator[tuple[nn.Module, Literal["sigmoid", "softmax"]]]:
    """Give a copy of a TorchScript network without its last activation, and which that was.

    Nothing is given where it is not found. That the copy gives logits is still to be proved.
    """
    copy = _independent_copy(network, device)
    if copy is None:
        return
    graph = copy._c._get_method("forward").graph
    # The graphs of submodules stay: they are shared by all modules of a kind.
    torch._C._jit_pass_inline(graph)
    torch._C._jit_pass_constant_propagation(graph)
    torch._C._jit_pass_dce(graph)
    outputs = list(graph.outputs())
    last: list[Any] = []
    kinds: set[Literal["sigmoid", "softmax"]] = set()
    if len(outputs) != 1 or not _collect(outputs[0], last, kinds) or len(kinds) != 1:
        return
    for node in last:
        node.output().replaceAllUsesWith(next(iter(node.inputs())))
        # What works in place would go on doing so.
        node.destroy()
    torch._C._jit_pass_dce(graph)
    yield copy, kinds.pop()


def _independent_copy(network: nn.Module, device: torch.device) -> Any:
    """Return a copy that shares no graph, which a deep copy would."""
    stream = io.BytesIO()
    try:
        with warnings.catch_warnings():
            # torch.jit is deprecated for new models, but it is how existing ones are published.
            warnings.simplefilter("ignore", DeprecationWarning)
            torch.jit.save(network, stream)
            stream.seek(0)
            return torch.jit.load(stream, map_location=device)
    except RuntimeError:
        return None


def _collect(value: Any, last: list[Any], kinds: set[Literal["sigmoid", "softmax"]]) -> bool:
    """Collect the nodes to leave out on the way back from a value; False where others lie there."""
    node = value.node()
    kind = node.kind()
    if kind in _ACTIVATIONS:
        kinds.add(_ACTIVATIONS[kind])
        last.append(node)
        return True
    if kind == "prim::If":
        place = [each.debugName() for each in node.outputs()].index(value.debugName())
        return all(_collect(list(block.outputs())[place], last, kinds) for block in node.blocks())
    inputs = list(node.inputs())
    if kind in _JOINS and inputs[0].node().kind() == "prim::ListConstruct":
        return all(_collect(each, last, kinds) for each in inputs[0].node().inputs())
    if kind in _CLAMPS:
        last.append(node)
    return kind in (*_MOVES, *_CLAMPS) and _collect(inputs[0], last, kinds)
