"""Names of layers that several modules use."""

IMAGES = "Images"
