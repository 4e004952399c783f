"""Image-wise explanations for all labels from one shared forward, and the store that keeps them."""
