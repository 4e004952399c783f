"""Where a network is split for Grad-CAM, and where its cells lie on the image."""
