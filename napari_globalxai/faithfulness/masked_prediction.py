"""The model's predictions on images of which a mask leaves only a part."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import numpy.typing as npt
import torch

from napari_globalxai.faithfulness.orders import Mask
from napari_globalxai.frame.stack import AlignedStack, batches
from napari_globalxai.models.classifier import Classifier


def predict_masked(
    classifier: Classifier,
    stack: AlignedStack,
    rows: Sequence[int] | npt.NDArray[np.int64],
    kept: Sequence[Mask],
    fill: npt.NDArray[np.float32],
    *,
    batch_size: int,
    tick: Callable[[int, int], None] = lambda done, total: None,
) -> npt.NDArray[np.float32]:
    """Predict every image under every mask.

    Equal masks are predicted once, so that curves that meet do so exactly. Where a mask keeps
    nothing, all images are the same, and the fill is predicted once and its logits reused: tiny
    differences between batches would otherwise fake an AUC different from 0.5.

    Parameters
    ----------
    classifier : Classifier
        The model.
    stack : AlignedStack
        The images.
    rows : sequence of int
        Images to predict.
    kept : sequence of numpy.ndarray
        Masks, bool (height, width): True shows the image, False the fill.
    fill : numpy.ndarray
        float32 (channel, height, width) in 0–255.
    batch_size : int
        Images a forward.
    tick : callable, optional
        Called with the number of finished and planned forwards.

    Returns
    -------
    numpy.ndarray
        Logits, float32 (mask, image, label).
    """
    position: dict[bytes, int] = {}
    index_of = [position.setdefault(mask.tobytes(), len(position)) for mask in kept]
    distinct = [kept[index_of.index(number)] for number in range(len(position))]
    partial = [number for number, mask in enumerate(distinct) if mask.any()]
    logits = np.empty((len(distinct), len(rows), len(classifier.labels)), np.float32)
    device = classifier.device
    with torch.inference_mode():
        blank = classifier.to_input(fill[None])
        if len(partial) < len(distinct):
            blank_logits = classifier.logits(blank).cpu().numpy()
            for number in set(range(len(distinct))) - set(partial):
                logits[number] = blank_logits
        masks = torch.from_numpy(np.stack([distinct[n] for n in partial])) if partial else None
        done, total = 0, len(partial) * -(-len(rows) // batch_size)
        start = 0
        for part in batches(rows, batch_size if partial else len(rows) + 1):
            if masks is None:
                break
            inputs = classifier.to_input(stack.read(part))
            for number, mask in zip(partial, masks, strict=True):
                shown = torch.where(mask.to(device), inputs, blank)
                shown = shown.contiguous(memory_format=torch.channels_last)
                result = classifier.logits(shown).cpu().numpy()
                logits[number, start : start + len(part)] = result
                done += 1
                tick(done, total)
            start += len(part)
    return logits[index_of]
