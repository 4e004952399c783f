"""Fold batch normalisation into the convolution before it.

In evaluation mode a batch normalisation is a fixed scale and shift a channel, which the weights of
the convolution can take over. The answers stay the same but for rounding; on a CPU a small network
runs up to three times as fast, because each normalisation goes through all values once more.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from napari_globalxai.models.running.copying import copy_network

_CONVOLUTIONS = (nn.Conv1d, nn.Conv2d, nn.Conv3d)
_NORMS = (nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d)


Pairs = tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class Folded:
    """A network whose batch normalisations were folded where possible.

    Attributes
    ----------
    network : torch.nn.Module
        The copy.
    pairs : tuple of tuple of str
        Names of the convolutions and normalisations that were folded.
    outputs : torch.Tensor
        What it gives for the probe.
    """

    network: nn.Module
    pairs: Pairs
    outputs: Tensor


def fold_batch_norms(
    network: nn.Module, probe: Tensor, expected: Tensor, keep: Collection[str] = ()
) -> Folded:
    """Fold batch normalisations away where possible, and prove that it changes nothing.

    Parameters
    ----------
    network : torch.nn.Module
        A plain network in evaluation mode.
    probe : torch.Tensor
        Inputs, on which the folded network must give the same answer; otherwise nothing is folded.
    expected : torch.Tensor
        What the network gives for them.
    keep : collection of str, optional
        Names of modules that must go on giving what they give now.
    """
    with torch.no_grad():
        # What runs for one image runs for two; whether it may be folded is proved on all.
        pairs = tuple(each for each in _pairs(network, probe[:1]) if each[0] not in keep)
        folded = fold(network, pairs)
        outputs = folded(probe)
        if torch.allclose(outputs, expected, rtol=1e-4, atol=1e-5):
            return Folded(folded, pairs, outputs)
        plain = fold(network, ())
        return Folded(plain, (), plain(probe))


def fold(network: nn.Module, pairs: Pairs) -> nn.Module:
    """Return a copy of a network in which some batch normalisations are folded.

    Parameters
    ----------
    network : torch.nn.Module
        A plain network in evaluation mode.
    pairs : tuple of tuple of str
        Names of convolutions and of the normalisations behind them.

    Returns
    -------
    torch.nn.Module
        With an `torch.nn.Identity` in the place of each of these normalisations, so that the names
        of all modules stay, and with channels last in its weights, as inputs have them.
    """
    folded = copy_network(network)
    with torch.no_grad():
        for convolution_name, norm_name in pairs:
            convolution = folded.get_submodule(convolution_name)
            norm = folded.get_submodule(norm_name)
            assert isinstance(convolution, _CONVOLUTIONS)
            assert isinstance(norm, _NORMS)
            folded.set_submodule(convolution_name, fuse_conv_bn_eval(convolution, norm))
            folded.set_submodule(norm_name, nn.Identity().eval())
    _put_channels_last(folded)
    return folded


def _put_channels_last(network: nn.Module) -> None:
    # Not by Module.to, which would have values of five dimensions in that layout, too.
    for value in (*network.parameters(), *network.buffers()):
        if value.ndim == 4:
            value.data = value.data.contiguous(memory_format=torch.channels_last)


def _pairs(network: nn.Module, probe: Tensor) -> list[tuple[str, str]]:
    """Find convolutions whose output goes into a batch normalisation, by running the network."""
    calls: Counter[str] = Counter()
    made_by: dict[int, str] = {}
    # Outputs are held until the end, so that no two have the same id.
    held: list[Tensor] = []
    pairs: list[tuple[str, str]] = []
    handles = []
    for name, module in network.named_modules():
        if isinstance(module, _CONVOLUTIONS):

            def note(module: nn.Module, inputs: object, output: Tensor, name: str = name) -> None:
                calls[name] += 1
                made_by[id(output)] = name
                held.append(output)

            handles.append(module.register_forward_hook(note))
        elif isinstance(module, _NORMS) and module.running_mean is not None:

            def match(module: nn.Module, inputs: tuple[Tensor, ...], name: str = name) -> None:
                calls[name] += 1
                if id(inputs[0]) in made_by:
                    pairs.append((made_by[id(inputs[0])], name))

            handles.append(module.register_forward_pre_hook(match))
    try:
        network(probe)
    finally:
        for handle in handles:
            handle.remove()
    # A module that is used twice may stand before something else the other time.
    return [pair for pair in pairs if all(calls[name] == 1 for name in pair)]
