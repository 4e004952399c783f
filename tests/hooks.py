"""What listens to the modules of a network."""

from typing import Any

from torch import nn

KINDS = ("_forward_hooks", "_forward_pre_hooks", "_backward_hooks", "_backward_pre_hooks")


def hooks_of(network: nn.Module) -> list[tuple[str, str, Any]]:
    """Return all hooks, each with its module's name and its kind."""
    return [
        (name, kind, hook)
        for name, module in network.named_modules()
        for kind in KINDS
        for hook in getattr(module, kind).values()
    ]
