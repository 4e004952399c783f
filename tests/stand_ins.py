"""Stand-ins for packages that are imported but not needed for what is tested."""

from __future__ import annotations

import importlib
import importlib.machinery
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from unittest.mock import MagicMock

_TORCHVISION = (
    *("torchvision", "torchvision.datasets", "torchvision.io", "torchvision.models"),
    *("torchvision.models.feature_extraction", "torchvision.ops", "torchvision.ops.misc"),
    *("torchvision.transforms", "torchvision.transforms.functional"),
)


@contextmanager
def torchvision() -> Iterator[None]:
    """Let packages import torchvision where there is none, or none that fits torch.

    timm takes transforms of it, and onnx2pytorch what detectors need. Each build of it fits one
    build of torch, so that the tests do not install it.
    """
    try:
        importlib.import_module("torchvision")
    except (ImportError, RuntimeError):
        made = {name: MagicMock() for name in _TORCHVISION}
        made["torchvision"].__spec__ = importlib.machinery.ModuleSpec("torchvision", None)
        sys.modules.update(made)
        try:
            yield
        finally:
            for name in made:
                del sys.modules[name]
    else:
        yield
