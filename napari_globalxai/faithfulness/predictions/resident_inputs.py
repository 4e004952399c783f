"""What a model is fed along every order, made once and kept where the model runs."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from napari_globalxai.faithfulness.model_and_images import Predictor, Rows

if TYPE_CHECKING:
    from torch import Tensor

# So that memory does not grow with a cohort: of what is free on a device of its own, and bytes
# beside the processor, whose memory others want, too.
_SHARE = 0.25
_BESIDE_THE_PROCESSOR = 256 << 20

Pair = tuple["Tensor", "Tensor"]


@dataclass
class ResidentInputs:
    """Inputs and blanks of batches of images, as many as there is room for.

    They belong to one model, one stack and one fill.

    Parameters
    ----------
    room : int
        Bytes.
    """

    room: int
    _kept: dict[bytes, Pair] = field(default_factory=dict)

    @classmethod
    def beside(cls, classifier: Predictor) -> ResidentInputs:
        """Return one with as much room as the model's device can spare."""
        from napari_globalxai.attribution.precision import free_memory

        device = classifier.device
        if device.type == "cpu":
            return cls(_BESIDE_THE_PROCESSOR)
        return cls(int(_SHARE * free_memory(device)))

    def of(self, rows: Rows, make: Callable[[], Pair]) -> Pair:
        """Return the inputs and blanks of a batch: those kept, or those made now."""
        key = np.asarray(rows, np.int64).tobytes()
        pair = self._kept.get(key)
        if pair is None:
            pair = make()
            size = sum(each.nbytes for each in pair)
            if size <= self.room:
                self.room -= size
                self._kept[key] = pair
        return pair
