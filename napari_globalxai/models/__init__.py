"""The classifier: its card, its weights, its predictions, and where it is split for Grad-CAM."""
