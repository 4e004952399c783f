"""Which of the user's layers are regions: drawn on as such here, or the one that is chosen."""

from __future__ import annotations

from typing import Any

from napari_globalxai.widgets.names import METADATA_KEY

_KEY, _DRAWN, _CHOSEN = "region", "drawn", "chosen"


def mark_drawn(layer: Any) -> None:
    """Note that a layer was made here to draw regions on."""
    layer.metadata.setdefault(METADATA_KEY, {})[_KEY] = _DRAWN


def mark_chosen(layer: Any, *, is_chosen: bool) -> None:
    """Note whether a layer of the user's own is the region that is chosen."""
    known = layer.metadata.get(METADATA_KEY, {})
    if is_chosen and _KEY not in known:
        layer.metadata.setdefault(METADATA_KEY, {})[_KEY] = _CHOSEN
    elif not is_chosen and known.get(_KEY) == _CHOSEN:
        del known[_KEY]


def is_region(layer: Any) -> bool:
    """Return whether a layer was made here to draw regions on, or is chosen as one."""
    return _KEY in layer.metadata.get(METADATA_KEY, {})


def is_drawn_here(layer: Any) -> bool:
    """Return whether a layer was made here to draw regions on."""
    return bool(layer.metadata.get(METADATA_KEY, {}).get(_KEY) == _DRAWN)
