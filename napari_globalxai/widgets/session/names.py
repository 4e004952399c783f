"""Names of the plugin and of layers, and how ours are told from the user's own."""

from __future__ import annotations

from napari.layers import Layer

# As napari knows this plugin.
PLUGIN = "napari-globalxai"
IMAGES = "Images"
# Layers are told from the user's own by this key of their metadata, whatever they are renamed to.
METADATA_KEY = "napari_globalxai"


def role_of(layer: Layer) -> str | None:
    """Return the role that a layer plays, None for the user's own."""
    role: str | None = layer.metadata.get(METADATA_KEY, {}).get("role")
    return role
