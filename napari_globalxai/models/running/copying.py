"""Copy networks, so that what is done to them stays among us."""

from __future__ import annotations

import copy
import warnings
from typing import TypeVar

import torch
from torch import nn

Network = TypeVar("Network", bound=nn.Module)


def copy_network(network: Network) -> Network:
    """Return a deep copy of a network; nothing of it is shared."""
    # Or copies of TorchScript's parameters are no leaves.
    with torch.no_grad(), warnings.catch_warnings():
        # PyTorch's own programs hold parts that PyTorch has since deprecated.
        warnings.simplefilter("ignore", FutureWarning)
        return copy.deepcopy(network)
