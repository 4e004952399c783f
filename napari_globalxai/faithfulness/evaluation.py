"""What every order of PEPPR is evaluated on."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import islice

import numpy as np
import numpy.typing as npt

from napari_globalxai.faithfulness.fills.fill_kinds import Fill, fill_key
from napari_globalxai.faithfulness.model_and_images import Images, Predictor
from napari_globalxai.faithfulness.orders.map_orders import Mask, Order, kept_pixels
from napari_globalxai.faithfulness.predictions.masked_prediction import predict_masked
from napari_globalxai.faithfulness.predictions.passes import Logits, Passes, PassRunner, ignore_tick
from napari_globalxai.faithfulness.predictions.resident_inputs import ResidentInputs
from napari_globalxai.faithfulness.scores.auc_scores import FloatArray, log_odds, roc_auc
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
        Places of the labels that are pooled, where they have both classes; by default all.
    elsewhere : PassRunner or None
        Predicts in place of this process; what comes out is the same.
    drawn_from : int
        Of how many images these were drawn; 0 where they are all.
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
    elsewhere: PassRunner | None = None
    drawn_from: int = 0

    def of_images(self, places: npt.NDArray[np.int64]) -> Evaluation:
        """Return the same on some of the images, by their places among these."""
        return replace(
            self,
            rows=self.rows[places],
            truth=self.truth[places],
            patients=tuple(self.patients[place] for place in places),
            fold_of=None if self.fold_of is None else self.fold_of[places],
        )

    @cached_property
    def ends(self) -> Logits:
        """Logits (2, image, label) of what all orders share: all valid pixels kept, and none."""
        return self.predict([self.valid, np.zeros_like(self.valid)])

    @property
    def _has_one_class(self) -> bool:
        """Whether some label has one class only."""
        return bool(len(self._of_both_classes) < self.truth.shape[1])

    @property
    def _of_both_classes(self) -> list[int]:
        known = [(self.truth == value).any(axis=0) for value in (0, 1)]
        return np.flatnonzero(np.logical_and(*known)).tolist()

    @property
    def _pooled(self) -> list[int]:
        """Places of the labels that are pooled: those of one class are in no average."""
        return [
            place
            for place in self._of_both_classes
            if self.together is None or place in self.together
        ]

    @cached_property
    def _resident(self) -> ResidentInputs:
        return ResidentInputs.beside(self.classifier)

    @property
    def orders_ahead(self) -> int:
        """How many orders are worth being known at once."""
        return 1 if self.elsewhere is None else self.elsewhere.orders_ahead

    def predict(
        self, kept: Sequence[Mask], tick: Callable[[int, int], None] = ignore_tick
    ) -> Logits:
        """Return logits (mask, image, label) of all images under masks."""
        with closing(self.run([Passes(self.rows, kept, tick)])) as made:
            return next(made)

    def logits(
        self,
        order: Order,
        counts: npt.NDArray[np.int64],
        tick: Callable[[int, int], None] = ignore_tick,
    ) -> LogitsByArm:
        """Return logits (step, image, label) of both arms along an order, or one a fold."""
        with closing(self.logits_along([order], counts, tick)) as made:
            return next(made)

    def logits_along(
        self,
        orders: Iterable[Order],
        counts: npt.NDArray[np.int64],
        tick: Callable[[int, int], None] = ignore_tick,
    ) -> Generator[LogitsByArm, None, None]:
        """Give the logits along several orders, in turn; see `logits`.

        Where others predict, they begin with an order before the one ahead of it is finished.
        """
        intact, blank = self.ends
        starts = {"erase": (intact, blank), "restore": (blank, intact)}
        inner = np.flatnonzero((counts > 0) & (counts < self.valid.sum()))
        waiting: deque[Order] = deque()

        def passes() -> Iterator[Passes]:
            for order in orders:
                waiting.append(order)
                yield from self._passes(order, counts[inner], tick)

        made = self.run(passes())
        with closing(made):
            # An order has passes of its own even where all of its steps are ends.
            for first in made:
                order = np.atleast_2d(waiting.popleft())
                both = self._joined(order, [first, *islice(made, len(order) - 1)])
                result = {}
                for arm, values in zip(ARMS, np.split(both, 2), strict=True):
                    start, end = starts[arm]
                    result[arm] = np.where((counts > 0)[:, None, None], end, start)
                    result[arm][inner] = values
                yield result

    def _passes(
        self, order: Order, counts: npt.NDArray[np.int64], tick: Callable[[int, int], None]
    ) -> Iterator[Passes]:
        """Give the passes along an order: its folds, each along its own."""
        folds = np.atleast_2d(order)
        steps = len(ARMS) * len(counts)
        sizes = [
            steps * -(-len(members) // self.batch_size) for members in self._members(len(folds))
        ]
        for fold, members in enumerate(self._members(len(folds))):
            before = sum(sizes[:fold])

            def part(done: int, total: int, before: int = before) -> None:
                tick(before + done, sum(sizes))

            shape = self.stack.shape
            own = folds[fold]
            kept = [kept_pixels(own, int(count), arm, shape) for arm in ARMS for count in counts]
            yield Passes(self.rows[members], kept, part)

    def _members(self, folds: int) -> list[npt.NDArray[np.int64]]:
        """Return by fold the places of its images."""
        if folds == 1 or self.fold_of is None:
            return [np.arange(len(self.rows))] * folds
        return [np.flatnonzero(self.fold_of == fold) for fold in range(folds)]

    def _joined(self, folds: npt.NDArray[np.int64], parts: Sequence[Logits]) -> Logits:
        """Return the logits of all images, of those of each fold."""
        result = np.empty((len(parts[0]), len(self.rows), parts[0].shape[-1]), np.float32)
        for members, values in zip(self._members(len(folds)), parts, strict=True):
            result[:, members] = values
        return result

    def run(self, passes: Iterable[Passes]) -> Generator[Logits, None, None]:
        """Give the logits (mask, image, label) of several passes, in turn."""
        if self.elsewhere is not None:
            yield from self.elsewhere.run(self, passes)
            return
        for each in passes:
            yield predict_masked(
                self.classifier,
                self.stack,
                each.rows,
                each.kept,
                self.fill,
                batch_size=self.batch_size,
                tick=each.tick,
                resident=self._resident,
            )

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
                self._pooled if self.together is not None or self._has_one_class else None,
                # NaN is not equal to itself, text is.
                [str(value) for value in self.truth.ravel()],
            ]
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
        together = self._pooled
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
