"""What every order of PEPPR is evaluated on, and the cache of what was evaluated."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from napari_globalxai.faithfulness.fills import Fill, fill_key
from napari_globalxai.faithfulness.masked_prediction import predict_masked
from napari_globalxai.faithfulness.model_and_images import Images, Predictor
from napari_globalxai.faithfulness.orders import Mask, Order, kept_pixels
from napari_globalxai.faithfulness.scores import FloatArray, log_odds, roc_auc
from napari_globalxai.storage import atomic_path, hash_value, is_regular

ARMS = ("erase", "restore")
LogitsByArm = dict[str, npt.NDArray[np.float32]]


@dataclass(frozen=True)
class Course:
    """Predictions along one order.

    Attributes
    ----------
    order : numpy.ndarray
        The order.
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

    def logits(
        self,
        order: Order,
        counts: npt.NDArray[np.int64],
        tick: Callable[[int, int], None] = lambda done, total: None,
    ) -> LogitsByArm:
        """Return logits (step, image, label) of both arms along an order."""
        shape = self.stack.shape
        kept = [kept_pixels(order, int(count), arm, shape) for arm in ARMS for count in counts]
        both = predict_masked(
            self.classifier,
            self.stack,
            self.rows,
            kept,
            self.fill,
            batch_size=self.batch_size,
            tick=tick,
        )
        return dict(zip(ARMS, np.split(both, 2), strict=True))

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
        """Return ROC AUC (arm, step, label); NaN for labels with one class only."""
        n_labels = len(self.classifier.labels)
        result = np.full((len(ARMS), len(logits["erase"]), n_labels), np.nan)
        for arm_index, arm in enumerate(ARMS):
            ranking = self.ranking(logits[arm])
            for label in range(n_labels):
                known = self.cases(label)
                truth = self.truth[known, label] == 1
                for step in range(len(ranking)):
                    result[arm_index, step, label] = roc_auc(truth, ranking[step, known, label])
        return result


class ControlCache:
    """Predictions along control orders, kept on disk under a hash of all that they depend on.

    Random orders are shared by all maps of a run, and a stopped PEPPR goes on from here.

    Parameters
    ----------
    evaluation : Evaluation
        What is evaluated.
    own : Course
        Along the map itself, at the steps at which controls are evaluated.
    folder : pathlib.Path
        Where the files go.
    """

    def __init__(self, evaluation: Evaluation, own: Course, folder: Path) -> None:
        self.evaluation = evaluation
        self.own = own
        self.folder = folder
        self._key = hash_value(
            [
                evaluation.key,
                own.counts.tolist(),
                fill_key(evaluation.fill, evaluation.stack, evaluation.rows),
                np.packbits(evaluation.valid).tobytes().hex(),
                evaluation.rows.tolist(),
                # NaN is not equal to itself, text is.
                [str(value) for value in evaluation.truth.ravel()],
            ]
        )

    def logits(self, order: Order) -> LogitsByArm:
        """Return logits (step, image, label) of both arms."""
        if np.array_equal(order, self.own.order[::-1]):
            # The counts are symmetric, so erasing along the reversed order is restoring along the
            # order.
            along = self.own.logits
            return {"erase": along["restore"][::-1], "restore": along["erase"][::-1]}
        path = self._path(order, "logits")
        images, labels = len(self.evaluation.rows), len(self.evaluation.classifier.labels)
        known = self._known(path, (len(ARMS), len(self.own.counts), images, labels))
        if known is not None:
            return dict(zip(ARMS, known, strict=True))
        result = self.evaluation.logits(order, self.own.counts)
        self._save(path, np.stack([result[arm] for arm in ARMS]))
        return result

    def roc_auc_curves(self, order: Order) -> npt.NDArray[np.float64]:
        """Return ROC AUC (arm, step, label), which is all that is kept of the many controls."""
        path = self._path(order, "auc")
        shape = (len(ARMS), len(self.own.counts), len(self.evaluation.classifier.labels))
        known = self._known(path, shape)
        if known is not None:
            return known
        result = self.evaluation.roc_auc_curves(self.evaluation.logits(order, self.own.counts))
        self._save(path, result)
        return result

    def _path(self, order: Order, what: str) -> Path:
        return self.folder / f"{hash_value([self._key, order.tobytes().hex()])[:32]}-{what}.npy"

    @staticmethod
    def _known(path: Path, shape: tuple[int, ...]) -> npt.NDArray[Any] | None:
        """Return what was put by; what a power cut or a full disk spoilt is evaluated again."""
        if not is_regular(path):
            return None
        try:
            array: npt.NDArray[Any] = np.load(path, allow_pickle=False)
        except (EOFError, OSError, ValueError):
            return None
        return array if array.shape == shape else None

    @staticmethod
    def _save(path: Path, array: npt.NDArray[np.floating]) -> None:
        with atomic_path(path) as temporary:
            np.save(temporary, array)
