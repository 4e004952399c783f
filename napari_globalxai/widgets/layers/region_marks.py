"""Which of the user's layers are regions: drawn on as such here, or the one that is chosen."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from napari_globalxai.widgets.session.names import METADATA_KEY

_KEY, _DRAWN, _CHOSEN = "region", "drawn", "chosen"
_PLACE = "place"


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


def mark_place(layer: Any, region: npt.NDArray[np.bool_]) -> None:
    """Note which pixels of the frame a layer was made to show, by whose place it is named."""
    layer.metadata.setdefault(METADATA_KEY, {})[_PLACE] = region


def name_as_changed(layer: Any, region: npt.NDArray[np.bool_]) -> None:
    """Say in a layer's name that somebody drew on it: it is the place of that name no more."""
    known = layer.metadata.get(METADATA_KEY, {})
    if _PLACE in known and not np.array_equal(known[_PLACE], region):
        del known[_PLACE]
        layer.name = f"{layer.name}, changed"
