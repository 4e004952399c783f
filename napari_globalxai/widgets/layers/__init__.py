"""Layers of napari: what is laid over the images."""
