"""Passes of PEPPR spread over workers: a piece is some images under some of an order's masks.

What all pieces share, the fill above all, and the masks of an order lie in files that the workers
see; with a piece go rows and numbers of masks, and back come its logits. Batches are cut where one
process would cut them, so that the logits have the same bits.
"""

from __future__ import annotations

import math
from collections import OrderedDict, deque
from collections.abc import Generator, Iterable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np

from napari_globalxai.errors import InputError
from napari_globalxai.execution.dask_workers import Workers
from napari_globalxai.execution.kept import IN_THIS_PROCESS
from napari_globalxai.execution.shared_values import SharedValue
from napari_globalxai.faithfulness.evaluation import Evaluation
from napari_globalxai.faithfulness.fills.fill_kinds import Fill, depends_on_mask
from napari_globalxai.faithfulness.orders.map_orders import Mask
from napari_globalxai.faithfulness.predictions.masked_prediction import (
    distinct_masks,
    predict_masked,
)
from napari_globalxai.faithfulness.predictions.passes import Logits, Passes
from napari_globalxai.faithfulness.questions.per_image import ImageAnswer, ImageQuestion
from napari_globalxai.frame.stack import AlignedStack
from napari_globalxai.models.classifier import Classifier
from napari_globalxai.models.elsewhere import ModelElsewhere

# Of an order, for each thread: so that all are busy to its end.
_PIECES_A_THREAD = 2
# Divides the number of controls after which p is looked at again.
_ORDERS_AHEAD = 8
_MOST_BATCHES_A_PIECE = 32
# In a worker: a fill, and masks of orders that overlap.
_VALUES_KEPT = 4


class SpreadPasses:
    """Predicts passes on workers; a `PassRunner`.

    Parameters
    ----------
    workers : Workers
        They do the work.
    folder : pathlib.Path
        For the files that all of them see; what is put there is deleted again.
    """

    orders_ahead = _ORDERS_AHEAD

    def __init__(self, workers: Workers, folder: Path) -> None:
        self._workers = workers
        self._folder = folder

    def run(
        self, evaluation: Evaluation, passes: Iterable[Passes]
    ) -> Generator[Logits, None, None]:
        """Give logits of passes in their order; see `PassRunner`.

        Raises
        ------
        InputError
            When the model or the images are in memory alone, or the workers are gone.
        """
        job = _Job.of(evaluation)
        fill = SharedValue.write(self._folder, evaluation.fill)
        started: deque[_Started] = deque()

        def pieces() -> Iterator[_Piece]:
            by_mask = depends_on_mask(evaluation.fill)
            count = self._workers.threads * _PIECES_A_THREAD
            for number, each in enumerate(passes):
                begun = _Started.of(each, number, evaluation, self._folder)
                started.append(begun)
                yield from begun.pieces(job, fill, count, by_mask)

        try:
            with closing(self._workers.run(predict_piece, pieces())) as finished:
                for piece, logits in finished:
                    next(each for each in started if each.number == piece.number).take(
                        piece, logits
                    )
                    while started and started[0].is_finished:
                        yield started.popleft().whole()
            # What had nothing to predict came without a piece.
            while started:
                yield started.popleft().whole()
        finally:
            for begun in started:
                begun.masks.remove()
            fill.remove()

    def answers(
        self, evaluation: Evaluation, question: ImageQuestion, rows: Sequence[int]
    ) -> Generator[tuple[int, ImageAnswer], None, None]:
        """Give the places of rows and what became of these images; see `PassRunner`.

        Raises
        ------
        InputError
            When the model or the images are in memory alone, or the workers are gone.
        """
        job = _Job.of(evaluation)
        fill, asked = (
            SharedValue.write(self._folder, each) for each in (evaluation.fill, question)
        )
        pieces = (_ImagePiece(job, fill, asked, number, row) for number, row in enumerate(rows))
        try:
            with closing(self._workers.run(answer_piece, pieces)) as finished:
                for piece, answer in finished:
                    yield piece.number, answer
        finally:
            fill.remove()
            asked.remove()


@dataclass(frozen=True)
class _Job:
    """What pieces of one evaluation share, but for the fill."""

    model: ModelElsewhere
    stack: Path
    batch_size: int

    @classmethod
    def of(cls, evaluation: Evaluation) -> _Job:
        """Return what other processes need of an evaluation.

        Raises
        ------
        InputError
            When the model or the images are in memory alone.
        """
        model, stack = evaluation.classifier, evaluation.stack
        if not isinstance(model, Classifier) or not isinstance(stack, AlignedStack):
            raise InputError("Workers read images and model from files; leave out the workers.")
        return cls(ModelElsewhere.of(model), stack.folder.absolute(), evaluation.batch_size)

    def prepare(self) -> _Prepared:
        return _Prepared(self.model.load(), AlignedStack(self.stack))


@dataclass(frozen=True)
class _Piece:
    """Some images under some masks, which another process is to predict."""

    job: _Job
    fill: SharedValue
    masks: SharedValue
    number: int
    # Places among the images and the masks of the passes.
    images: slice
    some: slice
    rows: tuple[int, ...]


@dataclass
class _Started:
    """Passes that are under way."""

    passes: Passes
    number: int
    masks: SharedValue
    index_of: list[int]
    logits: Logits
    batch_size: int
    predicted: int = 0

    @classmethod
    def of(cls, passes: Passes, number: int, evaluation: Evaluation, folder: Path) -> _Started:
        distinct, index_of = distinct_masks(passes.kept)
        shape = (len(distinct), len(passes.rows), len(evaluation.classifier.labels))
        packed = [np.packbits(mask) for mask in distinct]
        masks = SharedValue.write(folder, (number, evaluation.stack.shape, packed))
        logits = np.empty(shape, np.float32)
        return cls(passes, number, masks, index_of, logits, evaluation.batch_size)

    @property
    def is_finished(self) -> bool:
        return self.predicted == math.prod(self.logits.shape[:2])

    def pieces(self, job: _Job, fill: SharedValue, count: int, by_mask: bool) -> Iterator[_Piece]:
        """Cut the passes into about so many pieces, between batches.

        Images are read once a piece, so they are parted first; what a fill prepares for a mask is
        made once a piece, so where there is such a fill masks are.
        """
        masks, images = self.logits.shape[:2]
        batches = -(-images // self.batch_size)
        if by_mask:
            mask_parts = min(masks, count)
            image_parts = min(batches, -(-count // max(1, mask_parts)))
        else:
            image_parts = min(batches, max(count, -(-batches // _MOST_BATCHES_A_PIECE)))
            mask_parts = min(masks, -(-count // max(1, image_parts)))
        for some_batches in _parts(batches, image_parts):
            start, stop = some_batches.start * self.batch_size, some_batches.stop * self.batch_size
            rows = tuple(int(row) for row in self.passes.rows[start:stop])
            for some in _parts(masks, mask_parts):
                yield _Piece(job, fill, self.masks, self.number, slice(start, stop), some, rows)

    def take(self, piece: _Piece, logits: Logits) -> None:
        """Take in what a piece came to."""
        self.logits[piece.some, piece.images] = logits
        self.predicted += logits.shape[0] * logits.shape[1]
        total = len(self.logits) * -(-self.logits.shape[1] // self.batch_size)
        self.passes.tick(self.predicted * total // max(1, self.logits[..., 0].size), total)

    def whole(self) -> Logits:
        """Return the logits of all masks as they were asked for."""
        self.masks.remove()
        return self.logits[self.index_of]


def _parts(size: int, count: int) -> Iterator[slice]:
    """Part a range into so many parts of nearly one size."""
    edges = [size * number // max(1, count) for number in range(count + 1)]
    for start, stop in pairwise(edges):
        yield slice(start, stop)


class _Prepared:
    """Model and images in a worker, with the fill and the masks that came last."""

    def __init__(self, classifier: Classifier, stack: AlignedStack) -> None:
        self.classifier, self.stack = classifier, stack
        self._read: OrderedDict[str, Any] = OrderedDict()

    def value(self, shared: SharedValue) -> Any:
        """Return a shared value, read once while it is used."""
        if shared.sha256 not in self._read:
            self._read[shared.sha256] = shared.read()
        self._read.move_to_end(shared.sha256)
        while len(self._read) > _VALUES_KEPT:
            self._read.popitem(last=False)
        return self._read[shared.sha256]


def predict_piece(piece: _Piece) -> Logits:
    """Predict a piece in this process: float32 (mask, image, label)."""
    with IN_THIS_PROCESS.lend(piece.job, piece.job.prepare) as ready:
        fill: Fill = ready.value(piece.fill)
        _, shape, packed = ready.value(piece.masks)
        masks: list[Mask] = [
            np.unpackbits(each, count=math.prod(shape)).astype(bool).reshape(shape)
            for each in packed[piece.some]
        ]
        return predict_masked(
            ready.classifier,
            ready.stack,
            piece.rows,
            masks,
            fill,
            batch_size=piece.job.batch_size,
        )


@dataclass(frozen=True)
class _ImagePiece:
    """An image that another process is to test along its own map."""

    job: _Job
    fill: SharedValue
    question: SharedValue
    # The image's place among those that are asked for.
    number: int
    row: int


def answer_piece(piece: _ImagePiece) -> ImageAnswer:
    """Test an image along its own map in this process."""
    with IN_THIS_PROCESS.lend(piece.job, piece.job.prepare) as ready:
        question: ImageQuestion = ready.value(piece.question)
        fill: Fill = ready.value(piece.fill)
        return question.answer(ready.classifier, ready.stack, fill, piece.row)
