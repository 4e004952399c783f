"""Bring weights into a half-size format once, where autocast would do it in every forward."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from napari_globalxai.errors import is_out_of_memory
from napari_globalxai.models.running.copying import copy_network

# Autocast brings all that these take into the half-size format.
_CAST = (nn.Conv1d, nn.Conv2d, nn.Conv3d, nn.Linear)


def cast_weights(
    network: nn.Module, dtype: torch.dtype, probe: Tensor, harmless: bool | None = None
) -> nn.Module:
    """Return a copy of a network for use within autocast, to the same answers bit by bit.

    Parameters
    ----------
    network : torch.nn.Module
        A plain network in evaluation mode.
    dtype : torch.dtype
        The format of autocast.
    probe : torch.Tensor
        An input, on which the copy must answer as the network does; otherwise the network itself
        is returned.
    harmless : bool, optional
        Whether it does, where that is known already.
    """
    if harmless is False:
        return network
    copy = copy_network(network)
    for module in copy.modules():
        if isinstance(module, _CAST):
            module.to(dtype)
    if harmless:
        return copy
    with torch.no_grad(), torch.autocast(probe.device.type, dtype=dtype):
        # Weights that are computed in full, or shared with what is not cast, come out differently.
        try:
            same = torch.equal(copy(probe), network(probe))
        except RuntimeError as why:
            if is_out_of_memory(why):
                raise
            return network
    return copy if same else network
