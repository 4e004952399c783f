"""Predictions where what is erased is worked out from what is left, mask by mask."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import numpy.typing as npt
import torch

from napari_globalxai.faithfulness.fills.fill_kinds import Fill, filled, filled_under
from napari_globalxai.faithfulness.model_and_images import Images, Predictor, Rows
from napari_globalxai.faithfulness.orders.map_orders import Mask
from napari_globalxai.progress import may_stop_here


def predict_imputed(
    classifier: Predictor,
    stack: Images,
    rows: Rows,
    masks: Sequence[Mask],
    fill: Fill,
    *,
    batch_size: int,
    tick: Callable[[int, int], None],
) -> npt.NDArray[np.float32]:
    """Predict every image under every mask, one mask after the other.

    What a fill prepares for a mask, such as the factors of a system, serves all images and is then
    forgotten, so that memory depends neither on the number of masks nor on that of images.

    Parameters
    ----------
    classifier, stack, rows, fill, batch_size, tick
        As for `predict_masked`.
    masks : sequence of numpy.ndarray
        Masks that differ, bool (*spatial): True shows the image.

    Returns
    -------
    numpy.ndarray
        Logits, float32 (mask, image, label).
    """
    logits = np.empty((len(masks), len(rows), len(classifier.labels)), np.float32)
    parts = [rows[start : start + batch_size] for start in range(0, len(rows), batch_size)]
    done, total = 0, len(masks) * len(parts)
    with torch.inference_mode():
        for number, mask in enumerate(masks):
            if not mask.any() and not fill.per_image:
                first = rows[:1]
                blank = classifier.to_input(filled(fill, first, stack.read(first)))
                logits[number] = classifier.logits(blank).cpu().numpy()
                done += len(parts)
                tick(done, total)
                continue
            start = 0
            for part in parts:
                may_stop_here()
                pixels = stack.read(part)
                shown = pixels
                if not mask.all():
                    shown = np.where(mask, pixels, filled_under(fill, part, pixels, mask))
                inputs = classifier.to_input(shown)
                logits[number, start : start + len(part)] = classifier.logits(inputs).cpu().numpy()
                start += len(part)
                done += 1
                tick(done, total)
    return logits
