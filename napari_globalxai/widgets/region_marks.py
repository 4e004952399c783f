"""Which of the user's layers are regions: drawn on as such here, or chosen."""

from __future__ import annotations

from typing import Any

from napari_globalxai.widgets.names import METADATA_KEY

_KEY = "region"


def mark_region(layer: Any, *, is_ours: bool = False) -> None:
    """Note that a layer is a region, and whether it was made for that here."""
    known = layer.metadata.setdefault(METADATA_KEY, {})
    known[_KEY] = is_ours or known.get(_KEY, False)


def is_region(layer: Any) -> bool:
    """Return whether a layer was made here to draw regions on, or chosen as one."""
    return _KEY in layer.metadata.get(METADATA_KEY, {})


def is_drawn_here(layer: Any) -> bool:
    """Return whether a layer was made here to draw regions on."""
    return bool(layer.metadata.get(METADATA_KEY, {}).get(_KEY))
