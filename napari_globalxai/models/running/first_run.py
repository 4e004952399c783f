"""The first run of a network that nobody knows: it may neither swell nor go on for ever."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from torch import Tensor

from napari_globalxai.models.running.watched_operators import OperatorWatch

MOST_NUMBERS = 1 << 31
MOST_CALLS = 1 << 16


class FirstRun(OperatorWatch):
    """Ends a run whose tensors get too large, or that calls too many operators.

    A tensor may be large without taking memory, where it repeats one number; adding it up would
    take hours.

    Attributes
    ----------
    exceeded : str
        What was too much; empty if nothing was.
    """

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.exceeded = ""
        self._calls = 0

    def __torch_dispatch__(
        self,
        func: Callable[..., Any],
        types: Sequence[type],
        args: Sequence[Any] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        """Run an operator, and look at what it gives."""
        result = func(*args, **(kwargs or {}))
        self._calls += 1
        if self._calls > MOST_CALLS:
            self.exceeded = f"calls more than {MOST_CALLS} operators"
        if isinstance(result, Tensor) and result.numel() > MOST_NUMBERS:
            self.exceeded = f"makes a tensor of {result.numel()} numbers for two images"
        if self.exceeded:
            raise RuntimeError(self.exceeded)
        return result
