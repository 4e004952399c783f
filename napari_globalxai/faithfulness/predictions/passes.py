"""Images under masks, as an order of PEPPR asks for them, and who predicts them."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

import numpy as np
import numpy.typing as npt

from napari_globalxai.faithfulness.orders.map_orders import Mask

if TYPE_CHECKING:
    from napari_globalxai.faithfulness.evaluation import Evaluation
    from napari_globalxai.faithfulness.questions.per_image import ImageAnswer, ImageQuestion

Logits = npt.NDArray[np.float32]


def ignore_tick(done: int, total: int) -> None:
    """Do nothing."""


@dataclass(frozen=True)
class Passes:
    """Every one of some images under every one of some masks.

    Attributes
    ----------
    rows : numpy.ndarray
        The images.
    kept : sequence of numpy.ndarray
        Masks, bool (*spatial): True shows the image.
    tick : callable
        Called with the number of finished and planned forwards.
    """

    rows: npt.NDArray[np.int64]
    kept: Sequence[Mask]
    tick: Callable[[int, int], None] = ignore_tick


class PassRunner(Protocol):
    """Predicts passes somewhere else than in this process.

    Attributes
    ----------
    orders_ahead : int
        How many orders are worth being known at once.
    """

    orders_ahead: int

    def run(
        self, evaluation: Evaluation, passes: Iterable[Passes]
    ) -> Generator[Logits, None, None]:
        """Give logits, float32 (mask, image, label), of passes in their order.

        They are `predict_masked`'s, to the bit. Passes are taken before the ones ahead of them
        are finished.
        """

    def answers(
        self, evaluation: Evaluation, question: ImageQuestion, rows: Sequence[int]
    ) -> Generator[tuple[int, ImageAnswer], None, None]:
        """Give the places of rows and what became of these images, as they are finished."""
