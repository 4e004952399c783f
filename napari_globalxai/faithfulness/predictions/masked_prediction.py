"""The model's predictions on images of which a mask leaves only a part."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from napari_globalxai.faithfulness.fills.fill_kinds import Fill, depends_on_mask, filled
from napari_globalxai.faithfulness.model_and_images import Images, Predictor, Rows
from napari_globalxai.faithfulness.orders.map_orders import Mask
from napari_globalxai.faithfulness.predictions.imputed_prediction import predict_imputed
from napari_globalxai.faithfulness.predictions.resident_inputs import ResidentInputs
from napari_globalxai.progress import may_stop_here


def predict_masked(
    classifier: Predictor,
    stack: Images,
    rows: Rows,
    kept: Sequence[Mask],
    fill: Fill,
    *,
    batch_size: int,
    tick: Callable[[int, int], None] = lambda done, total: None,
    resident: ResidentInputs | None = None,
) -> npt.NDArray[np.float32]:
    """Predict every image under every mask.

    Equal masks are predicted once, so that curves that meet do so exactly. Where a mask keeps
    nothing and the fill is the same for all, so are the images, and the fill is predicted once and
    its logits reused: tiny differences between batches would otherwise fake an AUC different from
    0.5.

    Parameters
    ----------
    classifier : Predictor
        The model.
    stack : Images
        The images.
    rows : sequence of int
        Images to predict.
    kept : sequence of numpy.ndarray
        Masks, bool (*spatial): True shows the image, False the fill.
    fill : Fill
        What is shown elsewhere.
    batch_size : int
        Images a forward.
    tick : callable, optional
        Called with the number of finished and planned forwards.
    resident : ResidentInputs, optional
        What the model was fed before, of this stack and fill.

    Returns
    -------
    numpy.ndarray
        Logits, float32 (mask, image, label).
    """
    distinct, index_of = distinct_masks(kept)
    if depends_on_mask(fill):
        each = predict_imputed(
            classifier, stack, rows, distinct, fill, batch_size=batch_size, tick=tick
        )
        return each[index_of]
    apart = [number for number, mask in enumerate(distinct) if fill.per_image or mask.any()]
    alike = sorted(set(range(len(distinct))) - set(apart))
    masks = [torch.from_numpy(distinct[number]) for number in apart]
    logits = np.empty((len(distinct), len(rows), len(classifier.labels)), np.float32)
    done, total = 0, len(apart) * -(-len(rows) // batch_size)
    resident = ResidentInputs(0) if resident is None else resident
    blank: Tensor | None = None
    # Where an image's scale is its own, what is erased takes part in it, as the model would see it.
    mixes_pixels = getattr(classifier, "scales_each_image", False)
    with torch.inference_mode():
        for start in range(0, len(rows), batch_size):
            part = rows[start : start + batch_size]
            made = _Batch(classifier, stack, part, fill, None if fill.per_image else blank)
            inputs, blank = made.pair() if mixes_pixels else resident.of(part, made.pair)
            if alike and start == 0:
                logits[alike] = classifier.logits(blank).cpu().numpy()
            if not apart:
                break
            for number, mask in zip(apart, masks, strict=True):
                may_stop_here()
                if mixes_pixels:
                    shown = classifier.to_input(np.where(mask.numpy(), made.pixels, made.erased))
                else:
                    shows_image = _laid_out(mask.to(classifier.device), inputs)
                    shown = torch.where(shows_image, inputs, blank)
                shown = _channels_last(shown)
                result = classifier.logits(shown).cpu().numpy()
                logits[number, start : start + len(part)] = result
                done += 1
                tick(done, total)
    return logits[index_of]


@dataclass
class _Batch:
    """What the model is fed of some images, whole and erased; read when it is asked for."""

    classifier: Predictor
    stack: Images
    rows: Rows
    fill: Fill
    # Where the fill is the same for all images, that of the batch before.
    blank: Tensor | None

    @cached_property
    def pixels(self) -> npt.NDArray[np.uint8]:
        return self.stack.read(self.rows)

    @cached_property
    def erased(self) -> npt.NDArray[np.float32]:
        return filled(self.fill, self.rows, self.pixels)

    def pair(self) -> tuple[Tensor, Tensor]:
        """Return the inputs of the images, and of what they show where all is erased."""
        blank = self.classifier.to_input(self.erased) if self.blank is None else self.blank
        return self.classifier.to_input(self.pixels), blank


def distinct_masks(kept: Sequence[Mask]) -> tuple[list[Mask], list[int]]:
    """Return the masks that differ, and for each mask which of them it is."""
    position: dict[bytes, int] = {}
    index_of = [position.setdefault(mask.tobytes(), len(position)) for mask in kept]
    return [kept[index_of.index(number)] for number in range(len(position))], index_of


def _laid_out(mask: Tensor, images: Tensor) -> Tensor:
    """Lay a mask out as flat images are, channel by channel: mixing them is then far quicker.

    Where a mask is one number for all channels of a pixel, torch walks through each pixel's by
    itself.
    """
    if images.ndim != 4:
        return mask
    return _channels_last(mask.expand(1, *images.shape[1:]))


def _channels_last(images: Tensor) -> Tensor:
    """Lay flat images out as `Classifier` does, which is quicker; leave others as they are."""
    if images.ndim != 4:
        return images
    return images.contiguous(memory_format=torch.channels_last)
