"""Networks that a card asks for are built no larger than what their weights can fill."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from threading import get_ident
from typing import Any

from torch.nn.modules.module import (
    register_module_module_registration_hook,
    register_module_parameter_registration_hook,
)

from napari_globalxai.models.files.memory_limit import limited_memory

# Weights may be kept in a quarter of the bits that they are used in.
_TIMES = 4
_MORE = 64 << 20
_FOR_WORK = 1 << 30
_MOST_PARTS = 200_000


@contextmanager
def bounded_building(size: int) -> Iterator[None]:
    """Let networks be built in the block that weights of some size can fill, and no larger ones.

    Parameters
    ----------
    size : int
        Bytes of the file of weights.

    Raises
    ------
    ValueError
        In the block, where more parameters or layers are made.
    """
    most, mine = _TIMES * size + _MORE, get_ident()
    made = {"bytes": 0, "parts": 0}

    def count(module: Any, name: str, part: Any) -> None:
        if get_ident() == mine:
            made["bytes"] += getattr(part, "nbytes", 0)
            made["parts"] += 1
            if made["bytes"] > most or made["parts"] > _MOST_PARTS:
                raise ValueError("the network would be far larger than its weights")

    with ExitStack() as stack:
        stack.enter_context(limited_memory(most + _FOR_WORK))
        for register in (
            register_module_parameter_registration_hook,
            register_module_module_registration_hook,
        ):
            stack.callback(register(count).remove)
        yield
