"""A fill that leaves an image's large forms: the image, blurred."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np

from napari_globalxai.faithfulness.fills.fill_kinds import FloatPixels, Pixels
from napari_globalxai.faithfulness.model_and_images import Images, Rows

SHARE_OF_SIDE = 0.1


class Blur:
    """Each image itself, blurred by a Gaussian of a tenth of the frame's shorter side.

    It takes a finding's outline away, not its mean brightness, so that the blank of each image is
    its own and may still tell the label.
    """

    name: ClassVar[str] = "blur"
    per_image: ClassVar[bool] = True

    def __init__(self, images: Images, rows: Rows) -> None:
        self.sigma = SHARE_OF_SIDE * min(images.shape)

    @property
    def facts(self) -> dict[str, Any]:
        """Standard deviation of the Gaussian in pixels."""
        return {"sigma": self.sigma}

    def key(self) -> Any:
        """Return what tells it from another blur."""
        return self.facts

    def of(self, rows: Rows, pixels: Pixels) -> FloatPixels:
        """Return the images blurred; the rim is continued outwards."""
        # Takes a while to import.
        from scipy.ndimage import gaussian_filter

        along = (0.0, 0.0, *(self.sigma for _ in pixels.shape[2:]))
        return np.asarray(
            gaussian_filter(pixels.astype(np.float32), along, mode="nearest"), np.float32
        )
