"""Questions over a whole run: shortcuts, strategies, and where the model fails.

The room has the name of its chief function: once any module of it is imported, Python puts the room
in the place of ``napari_globalxai.audit``. So the room can be called, too.
"""

from __future__ import annotations

import sys
from types import ModuleType
from typing import Any


class _Room(ModuleType):
    def __call__(self, *arguments: Any, **keywords: Any) -> Any:
        """Audit a run; see `napari_globalxai.audit.shortcut_audit.audit`."""
        from napari_globalxai.audit.shortcut_audit import audit

        return audit(*arguments, **keywords)


sys.modules[__name__].__class__ = _Room
