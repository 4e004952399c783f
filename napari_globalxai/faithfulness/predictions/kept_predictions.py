"""Predictions along orders, kept on disk, so that a stopped PEPPR goes on where it was."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Generator, Sequence
from contextlib import closing
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from napari_globalxai.faithfulness.evaluation import ARMS, Course, Evaluation, LogitsByArm
from napari_globalxai.faithfulness.orders.map_orders import Mask, Order
from napari_globalxai.faithfulness.predictions.masked_prediction import distinct_masks
from napari_globalxai.faithfulness.predictions.passes import Logits, Passes, ignore_tick
from napari_globalxai.faithfulness.predictions.watching import tell_course
from napari_globalxai.faithfulness.saved_arrays import keep_array, read_kept

# Steps along the map that are predicted, and put by, at once.
_STEPS_A_PART = 5
# Of the images under masks: a part is a twentieth of them, or as many as so many forwards make.
_PARTS, _FORWARDS_A_PART = 20, 200


def predict_course(
    evaluation: Evaluation,
    order: Order,
    counts: npt.NDArray[np.int64],
    folder: Path,
    tick: Callable[[int, int], None],
) -> Course:
    """Predict along an order, part by part; parts that a stopped run finished are read.

    Parameters
    ----------
    evaluation : Evaluation
        What is evaluated.
    order : numpy.ndarray
        The order, or one a fold.
    counts : numpy.ndarray
        Number of pixels at each step.
    folder : pathlib.Path
        Where the parts are kept.
    tick : callable
        Called with the number of finished and planned steps.
    """
    images, labels = len(evaluation.rows), len(evaluation.classifier.labels)
    parts = np.array_split(np.arange(len(counts)), -(-len(counts) // _STEPS_A_PART))
    found: list[npt.NDArray[Any]] = []
    for part in parts:
        before = int(part[0])
        tick(before, len(counts))

        def within(done: int, total: int, before: int = before, here: int = len(part)) -> None:
            tick(before + here * done // max(total, 1), len(counts))

        some = counts[part]
        path = folder / f"{_name(evaluation, some, order)}-course.npy"
        known = read_kept(path, (len(ARMS), len(part), images, labels))
        if known is None:
            logits = evaluation.logits(order, some, within)
            known = np.stack([logits[arm] for arm in ARMS])
            keep_array(path, known)
        found.append(known)
        so_far = np.concatenate(found, axis=1)
        by_arm = dict(zip(ARMS, so_far, strict=True))
        tell_course(evaluation, counts[: part[-1] + 1], order.shape[-1], by_arm)
    tick(len(counts), len(counts))
    return Course(order, counts, dict(zip(ARMS, np.concatenate(found, axis=1), strict=True)))


def course_along(
    evaluation: Evaluation,
    order: Order,
    counts: npt.NDArray[np.int64],
    folder: Path | None,
    tick: Callable[[int, int], None],
) -> Course:
    """Predict along an order; see `predict_course`. Without a folder, nothing is kept."""
    if folder is None:
        return evaluation.course(order, counts, tick)
    return predict_course(evaluation, order, counts, folder, tick)


def predict_under(
    evaluation: Evaluation,
    kept: Sequence[Mask],
    folder: Path | None,
    tick: Callable[[int, int], None],
) -> Logits:
    """Predict all images under masks, part by part; parts that a stopped run finished are read.

    A part is some of the images under all masks, so that each image is read once; parts end where
    batches do, so that they have the bits that all images at once have.

    Parameters
    ----------
    evaluation : Evaluation
        What is evaluated.
    kept : sequence of numpy.ndarray
        Masks, bool (*spatial): True shows the image.
    folder : pathlib.Path or None
        Where the parts are kept; without one, nothing is.
    tick : callable
        Called with the number of finished and planned predictions of an image.

    Returns
    -------
    numpy.ndarray
        Logits, float32 (mask, image, label).
    """
    if folder is None:
        return evaluation.predict(kept, tick)
    distinct, index_of = distinct_masks(kept)
    images, labels = len(evaluation.rows), len(evaluation.classifier.labels)
    found = np.empty((len(distinct), images, labels), np.float32)
    done, total = 0, len(distinct) * images
    missing: list[tuple[slice, Path]] = []
    for part in _parts_of_images(images, evaluation.batch_size, len(distinct)):
        path = folder / f"{_name_of_part(evaluation, distinct, part)}-masks.npy"
        known = read_kept(path, found[:, part].shape)
        if known is None:
            missing.append((part, path))
        else:
            found[:, part] = known
            done += known[..., 0].size
    tick(done, total)
    passes = _told_together([evaluation.rows[part] for part, _ in missing], distinct, done, tick)
    with closing(evaluation.run(passes)) as made:
        for (part, path), logits in zip(missing, made, strict=True):
            found[:, part] = logits
            keep_array(path, logits)
    return found[index_of]


class ControlCache:
    """Predictions along control orders, kept on disk under a hash of all that they depend on.

    Simple orders are shared by all maps of a run, and a stopped PEPPR goes on from here.

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

    def logits(self, order: Order, tick: Callable[[int, int], None] = ignore_tick) -> LogitsByArm:
        """Return logits (step, image, label) of both arms."""
        if np.array_equal(order, self.own.order[..., ::-1]):
            # The counts are symmetric, so erasing along the reversed order is restoring along the
            # order.
            along = self.own.logits
            return {"erase": along["restore"][::-1], "restore": along["erase"][::-1]}
        path = self._path(order, "logits")
        images, labels = len(self.evaluation.rows), len(self.evaluation.classifier.labels)
        known = read_kept(path, (len(ARMS), len(self.own.counts), images, labels))
        if known is not None:
            return dict(zip(ARMS, known, strict=True))
        result = self.evaluation.logits(order, self.own.counts, tick)
        keep_array(path, np.stack([result[arm] for arm in ARMS]))
        return result

    def roc_auc_curves(
        self, orders: Sequence[Order], tick: Callable[[int, int], None] = ignore_tick
    ) -> Generator[npt.NDArray[np.float64], None, None]:
        """Give `Evaluation.roc_auc_curves` of orders in turn: all that is kept of controls."""
        shape = (len(ARMS), len(self.own.counts), len(self.evaluation.classifier.labels) + 1)
        paths = [self._path(order, "auc") for order in orders]
        known = [read_kept(path, shape) for path in paths]
        missing = [order for order, found in zip(orders, known, strict=True) if found is None]
        with closing(self.evaluation.logits_along(missing, self.own.counts, tick)) as made:
            for path, found in zip(paths, known, strict=True):
                if found is None:
                    found = self.evaluation.roc_auc_curves(next(made))
                    keep_array(path, found)
                yield found

    def _path(self, order: Order, what: str) -> Path:
        return self.folder / f"{_name(self.evaluation, self.own.counts, order)}-{what}.npy"


def _told_together(
    rows: Sequence[npt.NDArray[np.int64]],
    masks: Sequence[Mask],
    done: int,
    tick: Callable[[int, int], None],
) -> list[Passes]:
    """Return passes over parts of the images, which tell of all together."""
    planned = [len(each) * len(masks) for each in rows]
    finished = [0] * len(rows)

    def tell(number: int, there: int, of: int) -> None:
        # Where others predict, several parts are under way.
        finished[number] = planned[number] * there // max(of, 1)
        tick(done + sum(finished), done + sum(planned))

    return [Passes(each, masks, partial(tell, number)) for number, each in enumerate(rows)]


def _parts_of_images(images: int, batch_size: int, masks: int) -> list[slice]:
    """Return places of the images of each part, whole batches of them."""
    batches = -(-images // batch_size)
    at_once = max(1, min(-(-batches // _PARTS), _FORWARDS_A_PART // masks)) * batch_size
    return [slice(start, min(start + at_once, images)) for start in range(0, images, at_once)]


def _name_of_part(evaluation: Evaluation, masks: Sequence[Mask], part: slice) -> str:
    digest = hashlib.sha256(evaluation.identity.encode())
    digest.update(f"{part.start} {part.stop} {len(masks)}".encode())
    for mask in masks:
        digest.update(np.packbits(mask).tobytes())
    return digest.hexdigest()[:32]


def _name(evaluation: Evaluation, counts: npt.NDArray[np.int64], order: Order) -> str:
    digest = hashlib.sha256(evaluation.identity.encode())
    for array in (counts, order):
        digest.update(str(array.shape).encode())
        digest.update(np.ascontiguousarray(array, np.int64).tobytes())
    return digest.hexdigest()[:32]
