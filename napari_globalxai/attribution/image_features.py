"""What a perturbation method shows or hides as one: squares of an image, or its superpixels."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from napari_globalxai.attribution.base import logits_without_graph
from napari_globalxai.maps.cell_grid import CellGrid
from napari_globalxai.models.classifier import Classifier

Features = Literal["squares", "superpixels"]


@dataclass(frozen=True)
class Squares:
    """Squares that tile the frame; the last ones are cut off by its border.

    Attributes
    ----------
    side : int
        In pixels.
    frame : tuple of int
        Height and width of the frame.
    """

    side: int
    frame: tuple[int, int]

    @property
    def shape(self) -> tuple[int, int]:
        """Number of squares along each axis."""
        return -(-self.frame[0] // self.side), -(-self.frame[1] // self.side)

    def grid(self) -> CellGrid:
        """Return their centres."""
        return CellGrid.pixels(self.frame).pooled(self.side)

    def members(self) -> npt.NDArray[np.int64]:
        """Return which square each pixel of the frame belongs to, row by row from 0."""
        rows, columns = (np.arange(length) // self.side for length in self.frame)
        return rows[:, None] * self.shape[1] + columns


def superpixels(
    pixels: npt.NDArray[np.floating], number: int, compactness: float
) -> npt.NDArray[np.int64]:
    """Return which superpixel each pixel belongs to, from 0; nothing about it is random.

    Parameters
    ----------
    pixels : numpy.ndarray
        (channel, height, width), on any scale: they are stretched to 0–1.
    number : int
        How many there are to be, roughly.
    compactness : float
        How much nearness counts beside colour.
    """
    # Takes a moment to import, and only superpixels need it.
    from skimage.segmentation import slic

    span = max(float(np.ptp(pixels)), 1e-6)
    segments = slic(
        np.moveaxis((pixels - pixels.min()) / span, 0, -1),
        n_segments=number,
        compactness=compactness,
        start_label=0,
        # Channels need not be red, green and blue.
        convert2lab=False,
        channel_axis=-1,
    )
    # The numbers without gaps, which samplers of features count on.
    numbers = np.unique(segments, return_inverse=True)[1].reshape(segments.shape)
    return numbers.astype(np.int64)


class ShownFeatures:
    """Logits of one image as a function of which of its features are shown.

    What was asked before is answered from memory: whichever labels and orders ask for it, each
    picture goes through the network once.

    Parameters
    ----------
    classifier : Classifier
        The model.
    image, hidden : torch.Tensor
        The normalised image, and what stands where it is hidden, (1, channel, height, width).
    members : torch.Tensor
        Which feature each pixel belongs to, int64 (height, width), from 0.
    """

    def __init__(
        self, classifier: Classifier, image: Tensor, hidden: Tensor, members: Tensor
    ) -> None:
        self._classifier = classifier
        self._image, self._hidden = image, hidden
        self.members = members
        self.count = int(members.max()) + 1
        self._known: dict[bytes, Tensor] = {}

    def __call__(self, shown: Tensor) -> Tensor:
        """Return logits (n, all labels) where features of `shown`, (n, feature), are above 0.5."""
        # What a vector stands for in bytes, to look it up by.
        keys = [row.tobytes() for row in np.packbits((shown > 0.5).cpu().numpy(), axis=1)]
        new = {key: row for row, key in enumerate(keys) if key not in self._known}
        rows = list(new.values())
        for start in range(0, len(rows), self._classifier.images_a_forward):
            part = rows[start : start + self._classifier.images_a_forward]
            logits = logits_without_graph(self._classifier, self.pictures(shown[part]))
            for row, values in zip(part, logits, strict=True):
                self._known[keys[row]] = values
        return torch.stack([self._known[key] for key in keys])

    def pictures(self, shown: Tensor) -> Tensor:
        """Return the normalised image with only the features of `shown`, for each of its rows."""
        visible = (shown > 0.5)[:, self.members].unsqueeze(1)
        pictures = torch.where(visible, self._image, self._hidden)
        return pictures.contiguous(memory_format=torch.channels_last)
