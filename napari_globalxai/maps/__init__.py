"""Image-wise maps: their cells, the store that keeps them, moments. No torch from here on."""
