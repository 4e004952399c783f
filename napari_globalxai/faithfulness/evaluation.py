"""What every order of PEPPR is evaluated on."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt

from napari_globalxai.faithfulness.fills import Fill, fill_key
from napari_globalxai.faithfulness.masked_prediction import predict_masked
from napari_globalxai.faithfulness.model_and_images import Images, Predictor
from napari_globalxai.faithfulness.orders import Mask, Order, kept_pixels
from napari_globalxai.faithfulness.scores import FloatArray, log_odds, roc_auc
from napari_globalxai.storage import hash_value

ARMS = ("erase", "restore")
LogitsByArm = dict[str, npt.NDArray[np.float32]]


@dataclass(frozen=True)
class Course:
    """Predictions along one order.

    Attributes
    ----------
    order : numpy.ndarray
        The order; under cross-fitting one a fold, (fold, pixel).
    counts : numpy.ndarray
        Number of pixels erased or restored at each step.
    logits : dict of str to numpy.ndarray
        By arm: float32 (step, image, label).
    """

    order: Order
    counts: npt.NDArray[np.int64]
    logits: LogitsByArm

    @property
    def fractions(self) -> FloatArray:
        """Fraction of the valid pixels at each step."""
        return np.asarray(self.counts / self.counts[-1])

    def at(self, steps: npt.NDArray[np.int64]) -> Course:
        """Return some of the steps."""
        logits = {arm: values[steps] for arm, values in self.logits.items()}
        return Course(self.order, self.counts[steps], logits)


@dataclass(frozen=True)
class Evaluation:
    """What every order is evaluated on.

    Attributes
    ----------
    classifier : Predictor
        The model.
    stack : Images
        The images.
    rows : numpy.ndarray
        Images evaluated.
    truth : numpy.ndarray
        (image, label) for those rows: 1, 0 or NaN.
    patients : tuple of str
        For those rows.
    valid : numpy.ndarray
        Pixels that are ranked, bool (*spatial).
    fill : Fill
        What erased pixels show.
    batch_size : int
        Images a forward.
    key : str
        Hash of the model and the images, for the cache.
    fold_of : numpy.ndarray or None
        Under cross-fitting the fold of each of those images; then an order may be one a fold.
    together : tuple of int or None
        Places of the labels that are pooled; by default all.
    """

    classifier: Predictor
    stack: Images
    rows: npt.NDArray[np.int64]
    truth: npt.NDArray[np.float64]
    patients: tuple[str, ...]
    valid: Mask
    fill: Fill
    batch_size: int
    key: str
    fold_of: npt.NDArray[np.int64] | None = None
    together: tuple[int, ...] | None = None

    @cached_property
    def ends(self) -> npt.NDArray[np.float32]:
        """Logits (2, image, label) of what all orders share: all valid pixels kept, and none."""
        kept = [self.valid, np.zeros_like(self.valid)]
        return self._predict(np.arange(len(self.rows)), kept, lambda done, total: None)

    def logits(
        self,
        order: Order,
        counts: npt.NDArray[np.int64],
        tick: Callable[[int, int], None] = lambda done, total: None,
    ) -> LogitsByArm:
        """Return logits (step, image, label) of both arms along an order, or one a fold."""
        pixels = order.shape[-1]
        inner = np.flatnonzero((counts > 0) & (counts < pixels))
        intact, blank = self.ends
        result = {}
        for arm in ARMS:
            start, end = (intact, blank) if arm == "erase" else (blank, intact)
            result[arm] = np.where((counts > 0)[:, None, None], end, start)
        if len(inner):
            both = self._along(np.atleast_2d(order), counts[inner], tick)
            for arm, values in zip(ARMS, np.split(both, 2), strict=True):
                result[arm][inner] = values
        return result

    def _along(
        self,
        orders: npt.NDArray[np.int64],
        counts: npt.NDArray[np.int64],
        tick: Callable[[int, int], None],
    ) -> npt.NDArray[np.float32]:
        """Return logits (arm and step, image, label), each fold along its own order."""
        shape = self.stack.shape
        n_labels = len(self.classifier.labels)
        result = np.empty((len(ARMS) * len(counts), len(self.rows), n_labels), np.float32)
        before = 0
        for fold, order in enumerate(orders):
            members = (
                np.arange(len(self.rows))
                if len(orders) == 1 or self.fold_of is None
                else np.flatnonzero(self.fold_of == fold)
            )
            kept = [kept_pixels(order, int(count), arm, shape) for arm in ARMS for count in counts]

            def part(done: int, total: int, before: int = before) -> None:
                tick(before + done, total * len(orders))

            result[:, members] = self._predict(members, kept, part)
            before += len(kept) * -(-len(members) // self.batch_size)
        return result

    @cached_property
    def identity(self) -> str:
        """Hash of all that predictions along an order depend on, but the order itself."""
        return hash_value(
            [
                self.key,
                fill_key(self.fill, self.stack, self.rows),
                np.packbits(self.valid).tobytes().hex(),
                self.rows.tolist(),
                None if self.fold_of is None else self.fold_of.tolist(),
                None if self.together is None else list(self.together),
                # NaN is not equal to itself, text is.
                [str(value) for value in self.truth.ravel()],
            ]
        )

    def _predict(
        self,
        members: npt.NDArray[np.int64],
        kept: list[Mask],
        tick: Callable[[int, int], None],
    ) -> npt.NDArray[np.float32]:
        return predict_masked(
            self.classifier,
            self.stack,
            self.rows[members],
            kept,
            self.fill,
            batch_size=self.batch_size,
            tick=tick,
        )

    def course(
        self, order: Order, counts: npt.NDArray[np.int64], tick: Callable[[int, int], None]
    ) -> Course:
        """Return the predictions along an order."""
        return Course(order, counts, self.logits(order, counts, tick))

    def cases(self, label: int) -> npt.NDArray[np.bool_]:
        """Return which images have a known truth of a label."""
        known: npt.NDArray[np.bool_] = np.isfinite(self.truth[:, label])
        return known

    def ranking(self, logits: npt.NDArray[np.float32]) -> FloatArray:
        """Return what images are ranked by; see `log_odds`."""
        return log_odds(logits, self.classifier.activation)

    def roc_auc_curves(self, logits: LogitsByArm) -> npt.NDArray[np.float64]:
        """Return ROC AUC (arm, step, label), and last that of all labels pooled.

        It is NaN for labels with one class only.
        """
        n_labels = len(self.classifier.labels)
        result = np.full((len(ARMS), len(logits["erase"]), n_labels + 1), np.nan)
        everywhere = np.isfinite(self.truth)
        positive = self.truth == 1
        together = list(range(n_labels) if self.together is None else self.together)
        both, of_both = everywhere[:, together], positive[:, together]
        for arm_index, arm in enumerate(ARMS):
            ranking = self.ranking(logits[arm])
            for step, scores in enumerate(ranking):
                for label in range(n_labels):
                    known = everywhere[:, label]
                    result[arm_index, step, label] = roc_auc(
                        positive[known, label], scores[known, label]
                    )
                pooled = roc_auc(of_both[both], scores[:, together][both])
                result[arm_index, step, n_labels] = pooled
        return result
