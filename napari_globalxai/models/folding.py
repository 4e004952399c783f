"""Fold batch normalisation into the convolution before it.

In evaluation mode a batch normalisation is a fixed scale and shift a channel, which the weights of
the convolution can take over. The answers stay the same but for rounding; on a CPU a small network
runs up to three times as fast, because each normalisation goes through all values once more.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection

import torch
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from napari_globalxai.models.copying import copy_network

_CONVOLUTIONS = (nn.Conv1d, nn.Conv2d, nn.Conv3d)
_NORMS = (nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d)


def fold_batch_norms(network: nn.Module, probe: Tensor, keep: Collection[str] = ()) -> nn.Module:
    """Return a copy of a network in which batch normalisations are folded away where possible.

    Parameters
    ----------
    network : torch.nn.Module
        A plain network in evaluation mode.
    probe : torch.Tensor
        An input, on which the folded network must give the same answer; otherwise a plain copy is
        returned.
    keep : collection of str, optional
        Names of modules that must go on giving what they give now.

    Returns
    -------
    torch.nn.Module
        With an `torch.nn.Identity` in the place of each batch normalisation that was folded, so
        that the names of all modules stay.
    """
    plain = copy_network(network)
    folded = copy_network(network)
    with torch.no_grad():
        for convolution_name, norm_name in _pairs(folded, probe):
            if convolution_name in keep:
                continue
            convolution = folded.get_submodule(convolution_name)
            norm = folded.get_submodule(norm_name)
            assert isinstance(convolution, _CONVOLUTIONS)
            assert isinstance(norm, _NORMS)
            folded.set_submodule(convolution_name, fuse_conv_bn_eval(convolution, norm))
            folded.set_submodule(norm_name, nn.Identity().eval())
        same = torch.allclose(folded(probe), plain(probe), rtol=1e-4, atol=1e-5)
    return folded if same else plain


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
