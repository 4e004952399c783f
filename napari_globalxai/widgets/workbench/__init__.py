"""The window: its panels as tabs, scenes of layers, keys, commands and drops."""
