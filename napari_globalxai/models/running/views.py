"""Several views of an image in one batch, as test-time augmentation stacks them."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class Views:
    """How views of images lie in a batch.

    Attributes
    ----------
    count : int
        Views of each image.
    images_first : bool
        Whether all views of an image come in a row; else all images of a view do.
    """

    count: int = 1
    images_first: bool = False

    def taken_apart(self, batch: Tensor) -> list[Tensor]:
        """Return each view's part of a batch, (image, ...)."""
        if self.count == 1:
            return [batch]
        if self.images_first:
            return list(batch.unflatten(0, (-1, self.count)).unbind(1))
        return list(batch.chunk(self.count))

    def put_together(self, parts: list[Tensor]) -> Tensor:
        """Return the batch of the parts of all views."""
        if self.count == 1:
            return parts[0]
        return torch.stack(parts, dim=1).flatten(0, 1) if self.images_first else torch.cat(parts)
