"""Choose the layers at which a network is split, and prove that splitting it changes nothing."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from difflib import get_close_matches
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from napari_globalxai.errors import InputError
from napari_globalxai.models.split.calls import Call, ChainSplit, HookSplit, Split, changed_outputs
from napari_globalxai.models.split.chaining import find_step
from napari_globalxai.models.split.tracing import (
    CamLayer,
    NoSplitError,
    Trace,
    chain_of,
    trace_layers,
)

# Fewer rows or columns than this make a map of little use.
_FEWEST_CELLS = 4


def cam_layers(network: nn.Module, probe: Tensor) -> list[CamLayer]:
    """List the layers that a network can be split at, in the order in which they run.

    Parameters
    ----------
    network : torch.nn.Module
        A plain or TorchScript network in eval mode.
    probe : torch.Tensor
        Inputs, (n, channel, height, width).

    Returns
    -------
    list of CamLayer

    Raises
    ------
    NoSplitError
        When the network is TorchScript and its children do not make a chain.
    """
    return list(trace_layers(network, probe).layers.values())


def split_network(
    network: nn.Module,
    layer: str | None,
    probe: Tensor,
    tell: Callable[[str], object] = lambda sentence: None,
    outputs: Tensor | None = None,
) -> Split:
    """Find the place where Grad-CAM splits a network, and prove that it changes nothing.

    Parameters
    ----------
    network : torch.nn.Module
        A plain or TorchScript network in eval mode.
    layer : str or None
        Dotted name of the CAM layer. By default it is the last of the outermost modules that give
        a map on which the outputs depend, and through which all goes that they are made of; in a
        transformer whose outputs come from a class token alone, that is the block before the last.
        Where no call of one layer carries all, as in ensembles and averages of flipped views, it
        is all those calls together that do.
    probe : torch.Tensor
        Two different inputs, (2, channel, height, width).
    tell : callable, optional
        Called with a sentence on what is odd about the choice.
    outputs : torch.Tensor, optional
        What the network gives for the probe, where that is known.

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
    trace = trace_layers(network, probe)
    if outputs is None:
        with torch.no_grad():
            outputs = network(probe.clone())
    tried = _Tried(network, probe, outputs)
    if layer is None:
        if not _outermost(network, "", trace):
            raise _nothing_found(network, trace)
        split = _choose(tried, trace)
    elif layer not in trace.layers:
        raise InputError(_why_not(network, layer, trace))
    else:
        split = _at_layer(tried, layer, trace)
    _describe(tried, split, tell)
    return split


@dataclass(frozen=True)
class _Tried:
    """A network, two inputs, and what it gives for them."""

    network: nn.Module
    probe: Tensor
    outputs: Tensor
    # By calls: what was found by `_left_over`.
    left_over: dict[tuple[Any, ...], float] = field(default_factory=dict)


def _nothing_found(network: nn.Module, trace: Trace) -> InputError:
    if isinstance(network, torch.jit.ScriptModule):
        return NoSplitError(
            "This TorchScript model cannot be split: no module that it runs one after another "
            "gives a map."
        )
    if trace.off_grid:
        return NoSplitError(
            "The model looks at its image through a rotation, a warp or a window that differs from "
            "image to image, so the cells of its layers lie on no rows and columns of the image."
        )
    return InputError("No layer with a spatial output was found; name one as cam_layer.")


def _at_layer(tried: _Tried, layer: str, trace: Trace) -> Split:
    """Split at a layer that was asked for."""
    found = trace.layers[layer]
    split = _split_at(tried, found, trace)
    if found.layout.cells is not None and not _reaches_outputs(split, tried.probe):
        raise InputError(
            f"The model's outputs do not depend on the map of the layer {layer!r}, but on a class "
            f"token beside it; a layer before it, such as "
            f"{_choose(tried, trace).layer!r}, serves Grad-CAM."
        )
    if len(trace.calls[layer]) > 1 and _left_over(tried, split.calls) > 0:
        return _split_at_calls(tried, _direct(tried, trace.calls[layer]))
    return split


def _describe(tried: _Tried, split: Split, tell: Callable[[str], object]) -> None:
    """Say what a person should know of the place where a network is split."""
    calls = split.calls
    if len(calls) > 1:
        names = ", ".join(dict.fromkeys(call.layer for call in calls))
        tell(
            f"The model's outputs are made of {len(calls)} maps ({names}), as of an ensemble's "
            "members or of several views; CAM maps add them up."
        )
    left = _left_over(tried, calls)
    if left > 0:
        names = " and ".join(dict.fromkeys(repr(call.layer) for call in calls))
        tell(
            f"About {max(0.01, min(left, 1)):.0%} of what the model's outputs are made of does not "
            f"pass through {names}: CAM maps show a part; saliency and occlusion show all."
        )
    rows, columns = split.layout.rows, split.layout.columns
    if min(rows, columns) < _FEWEST_CELLS and len(calls) == 1:
        tell(
            f"The CAM layer {split.layer!r} has {rows} × {columns} cells on an image of "
            f"{tried.probe.shape[2]} × {tried.probe.shape[3]} pixels, so its maps are coarse; an "
            "earlier layer as cam_layer gives finer ones."
        )


def _choose(tried: _Tried, trace: Trace) -> Split:
    candidates = _outermost(tried.network, "", trace)
    last: tuple[CamLayer, Split] | None = None
    while candidates:
        candidate = candidates.pop()
        spacing = _spacing(candidate, tried.probe)
        if last is not None and spacing < 0.99 * _spacing(last[0], tried.probe):
            # What lies before is finer, and farther from what the outputs are made of.
            break
        split = _split_at(tried, candidate, trace)
        if _reaches_outputs(split, tried.probe):
            if _left_over(tried, split.calls) == 0:
                return split
            calls = trace.calls[candidate.name]
            if len(calls) > 1 and _left_over(tried, calls) == 0:
                return _split_at_calls(tried, _direct(tried, calls))
            last = last or (candidate, split)
        # Blocks in a row: of the last one the outputs may read a class token alone, of those before
        # it all.
        elif isinstance(module := tried.network.get_submodule(candidate.name), nn.Sequential):
            candidates += _outermost(module, f"{candidate.name}.", trace)
    if last is not None:
        return _split_at_calls(tried, _gather(tried, trace))
    # A network that gives constants; its maps are all zero wherever it is split.
    return _split_at(tried, _outermost(tried.network, "", trace)[-1], trace)


def _gather(tried: _Tried, trace: Trace) -> list[Call]:
    """Return the calls that make up the outputs together, where no layer does so alone."""
    candidates = _outermost(tried.network, "", trace)
    found = _direct(tried, _calls_of(candidates, trace))
    if found and _left_over(tried, found) == 0:
        return found
    # One by one, from the last: of blocks that read a class token alone, all are seen only so.
    found = []
    while candidates:
        candidate = candidates.pop()
        calls = trace.calls[candidate.name]
        direct = _direct(tried, [*calls, *found])
        added = [call for call in direct if call.layer == candidate.name]
        if added:
            found = [*added, *found]
            if _left_over(tried, found) == 0:
                break
        elif candidate.layout.cells is not None and isinstance(
            module := tried.network.get_submodule(candidate.name), nn.Sequential
        ):
            candidates += _outermost(module, f"{candidate.name}.", trace)
    return found


def _calls_of(layers: Sequence[CamLayer], trace: Trace) -> list[Call]:
    return [call for layer in layers for call in trace.calls[layer.name]]


def _direct(tried: _Tried, calls: Sequence[Call]) -> list[Call]:
    """Return those of some calls on which outputs depend other than through the others."""
    split = HookSplit(tried.network, calls)
    activations, outputs = split.activations(tried.probe.clone())
    with torch.enable_grad():
        gradients: Sequence[Tensor | None] = torch.autograd.grad(
            outputs.square().sum(), activations, allow_unused=True
        )
    return [
        call
        for call, gradient in zip(calls, gradients, strict=True)
        if gradient is not None and bool(gradient.any())
    ]


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


def _left_over(tried: _Tried, calls: Sequence[Call]) -> float:
    """Return how much of what the outputs are made of does not go through some calls; 0 is none.

    If all goes through them, exchanging what they give for two images exchanges the outputs. Of
    branches, such as a part of a map that is cut off to be rolled around, it does not.
    """
    if isinstance(tried.network, torch.jit.ScriptModule):
        return 0.0
    key = tuple((call.layer, call.number, call.view) for call in calls)
    if key not in tried.left_over:
        tried.left_over[key] = _measure_left_over(tried, calls)
    return tried.left_over[key]


def _measure_left_over(tried: _Tried, calls: Sequence[Call]) -> float:
    wanted = {(call.layer, call.number): call.views for call in calls}

    def exchange(layer: str, number: int, output: Any) -> Any:
        views = wanted.get((layer, number))
        if views is None:
            return output
        return views.put_together([part.flip(0) for part in views.taken_apart(output)])

    expected = tried.outputs.flip(0)
    with (
        torch.no_grad(),
        changed_outputs(tried.network, {call.layer for call in calls}, exchange),
    ):
        outputs = tried.network(tried.probe.clone())
    difference = float((expected - expected.flip(0)).norm())
    missed = float((outputs - expected).norm())
    if missed <= 0.01 * difference + 1e-5 * float(expected.norm()):
        return 0.0
    return missed / difference if difference > 0 else 1.0


def _split_at(tried: _Tried, layer: CamLayer, trace: Trace) -> Split:
    """Split at a layer; of several calls, at the last."""
    if not isinstance(tried.network, torch.jit.ScriptModule):
        last = trace.calls[layer.name][-1]
        same = [call for call in trace.calls[layer.name] if call.number == last.number]
        return _split_at_calls(tried, same)
    steps = find_step(chain_of(tried.network, tried.probe), layer.name, tried.probe)
    assert steps is not None
    return _proved(ChainSplit(steps, layer.name, layer.layout), tried)


def _split_at_calls(tried: _Tried, calls: Sequence[Call]) -> Split:
    return _proved(HookSplit(tried.network, calls), tried)


def _proved(split: Split, tried: _Tried) -> Split:
    _, outputs = split(tried.probe.clone())
    if not torch.allclose(outputs.detach(), tried.outputs, rtol=1e-4, atol=1e-5):
        raise InputError(f"Splitting the model at {split.layer!r} changes its output.")
    return split


def _reaches_outputs(split: Split, probe: Tensor) -> bool:
    activations, outputs = split.activations(probe.clone())
    if not outputs.requires_grad:
        return False
    # Whoever asks may work without gradients.
    with torch.enable_grad():
        # Squared, so that the outputs of a softmax do not cancel.
        total = outputs.square().sum()
        gradients: Sequence[Tensor | None] = torch.autograd.grad(
            total, activations, allow_unused=True
        )
    return any(gradient is not None and bool(gradient.any()) for gradient in gradients)


def _outermost(module: nn.Module, prefix: str, trace: Trace) -> list[CamLayer]:
    """Return the outermost layers with a map inside a module, in the order in which they run."""
    names = _outer(module, prefix, trace.layers, trace)
    return [layer for name, layer in trace.layers.items() if name in names]


def _outer(
    module: nn.Module, prefix: str, layers: Mapping[str, CamLayer], trace: Trace
) -> set[str]:
    """Return the names of the outermost layers with a map."""
    names = {prefix + name: child for name, child in module.named_children()}
    found = names.keys() & layers.keys()
    for name, child in names.items():
        # A list of modules does not run, its members do.
        if name not in trace.ran:
            found |= _outer(child, f"{name}.", layers, trace)
    inner = {
        name: _outer(child, f"{name}.", layers, trace)
        for name, child in names.items()
        if name in trace.ran and name not in found
    }
    if not found:
        # What runs but gives no map, like a backbone that gives a list of maps, may hold some.
        return set().union(*inner.values())
    fewest = _fewest_cells(found, layers)
    for name, inside in inner.items():
        # A row of stages that ends in a single cell: the last of them that still have cells.
        if name in trace.single_cells and inside and _fewest_cells(inside, layers) < fewest:
            found |= inside
    return found


def _fewest_cells(names: Collection[str], layers: Mapping[str, CamLayer]) -> int:
    return min(layers[name].layout.rows * layers[name].layout.columns for name in names)


def _why_not(network: nn.Module, layer: str, trace: Trace) -> str:
    """Say why a layer cannot be the CAM layer."""
    layers = trace.layers
    outermost = _outermost(network, "", trace)
    listed = f"layers with a map are {', '.join(map(str, outermost)) or 'not there'}"
    inside = len(layers) - len(outermost)
    listed += f", and {inside} inside them." if inside else "."
    if layer not in dict(network.named_modules()):
        nearest = get_close_matches(layer, layers, 1)
        guess = f" (did you mean {nearest[0]!r}?)" if nearest else ""
        return f"The model has no layer {layer!r}{guess}; {listed}"
    if layer in trace.ran:
        return f"The layer {layer!r} has no spatial output; {listed}"
    if isinstance(network, torch.jit.ScriptModule):
        return f"The layer {layer!r} lies in a part of TorchScript that is not a chain; {listed}"
    return f"The layer {layer!r} is not used by the model; {listed}"
