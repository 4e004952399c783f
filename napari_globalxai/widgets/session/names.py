"""Names of the plugin and of layers, and how ours are told from the user's own."""

from __future__ import annotations

from typing import Any

from napari.layers import Layer

# As napari knows this plugin.
PLUGIN = "napari-globalxai"
IMAGES = "Images"
# Layers are told from the user's own by this key of their metadata, whatever they are renamed to.
METADATA_KEY = "napari_globalxai"


def role_of(layer: Layer) -> str | None:
    """Return the role that a layer plays, None for the user's own and for copies of ours."""
    known: dict[str, Any] = layer.metadata.get(METADATA_KEY, {})
    # What we noted goes with a layer that napari copies, the number does not.
    return known.get("role") if known.get("of", layer.unique_id) == layer.unique_id else None


def give_role(layer: Layer, role: str, **known: Any) -> None:
    """Let a layer play a role, with what else is noted of it."""
    layer.metadata[METADATA_KEY] = {**known, "role": role, "of": layer.unique_id}
