"""Orders in which pixels are erased and restored: the map, its controls, their steps."""
