"""What watches the operators that a network calls, without torch's compiler."""

from __future__ import annotations

import sys
from typing import Any

from torch.utils._python_dispatch import TorchDispatchMode


class OperatorWatch(TorchDispatchMode):
    """Base of what watches operators.

    torch keeps its compiler out of a mode's method, and imports it to do so, for more than a second
    of each start. Where it is not imported, nothing is being compiled.
    """

    def __init_subclass__(cls, **keywords: Any) -> None:
        own: Any = cls.__torch_dispatch__
        super().__init_subclass__(**keywords)  # type: ignore[no-untyped-call]
        uncompiled: Any = cls.__torch_dispatch__

        def watch(*arguments: Any, **named: Any) -> Any:
            run = uncompiled if "torch._dynamo" in sys.modules else own
            return run(*arguments, **named)

        cls.__torch_dispatch__ = watch  # type: ignore[method-assign]
