"""The frame: how images are aligned into one pixel grid, and what tells that they are."""
