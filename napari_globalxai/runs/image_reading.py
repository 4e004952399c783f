"""Every image of a cohort read once, and predicted where there is a model: here, or on workers."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from napari_globalxai.cohort.rows_to_read import part_to_read
from napari_globalxai.cohort.table import Cohort
from napari_globalxai.execution.dask_workers import Workers
from napari_globalxai.execution.kept import IN_THIS_PROCESS
from napari_globalxai.frame.alignment import DECODING_THREADS, Aligner, absence
from napari_globalxai.frame.plausibility import IMAGES_LOOKED_AT
from napari_globalxai.frame.stack import AlignedImage, batches
from napari_globalxai.images.image_file import UnreadableImageError, local_copy
from napari_globalxai.models.classifier import Classifier
from napari_globalxai.models.elsewhere import ModelElsewhere
from napari_globalxai.progress import Progress, ProgressCallback
from napari_globalxai.settings.frame_settings import FrameSettings

_IMAGES_AT_ONCE = 16
_READING_THREADS = 4


@dataclass(frozen=True)
class PredictedImages:
    """Images as `explain` would feed them to the model, and what it answers.

    Attributes
    ----------
    logits : numpy.ndarray
        float32 (image, label), NaN where there is no image.
    errors : dict of int to str
        By row: why there is none.
    facts : dict of int to dict
        By row: how it was read.
    seen : dict of int to AlignedImage
        Some of them, spread over the cohort, to be looked at.
    """

    logits: npt.NDArray[np.float32]
    errors: dict[int, str]
    facts: dict[int, dict[str, Any]]
    seen: dict[int, AlignedImage]


class ImageReading:
    """Reads the images of a cohort.

    Parameters
    ----------
    cohort : Cohort
        The images.
    stored_bits : int, optional
        As in `AlignmentSettings`.
    """

    def __init__(self, cohort: Cohort, stored_bits: int | None) -> None:
        self._cohort, self._stored_bits = cohort, stored_bits

    def unreadable(self, progress: ProgressCallback, workers: Workers | None = None) -> list[str]:
        """Decode every image that is there once, at reduced scale where the format allows it.

        Returns
        -------
        list of str
            Which could not be read, a sentence each.
        """
        cohort, bits, done = self._cohort, self._stored_bits, 0
        found: dict[int, str] = {}
        parts = batches(range(len(cohort)), _IMAGES_AT_ONCE)
        made: Iterator[tuple[Sequence[int], list[str]]]
        if workers is None:
            made = ((rows, _look_at(cohort, rows, bits)) for rows in parts)
        else:
            tasks = (_LookingTask(tuple(rows), part_to_read(cohort, rows), bits) for rows in parts)
            made = ((task.rows, each) for task, each in workers.run(_look_elsewhere, tasks))
        for rows, messages in made:
            found |= dict(zip(rows, messages, strict=True))
            done += len(rows)
            progress(Progress("Reading images", done, len(cohort)))
        return [found[row] for row in sorted(found) if found[row]]

    def predict(
        self, model: Classifier, progress: ProgressCallback, workers: Workers | None = None
    ) -> PredictedImages:
        """Predict every image as `explain` would feed it."""
        cohort, bits, done = self._cohort, self._stored_bits, 0
        step = max(1, len(cohort) // IMAGES_LOOKED_AT)
        parts = batches(range(len(cohort)), _IMAGES_AT_ONCE)
        made: Iterator[tuple[Sequence[int], _Predicted]]
        if workers is None:
            predictor = _Predictor(cohort, model, bits)
            made = ((rows, predictor(rows)) for rows in parts)
        else:
            there = ModelElsewhere.of(model)
            tasks = (
                _PredictingTask(there, tuple(rows), part_to_read(cohort, rows), bits, step)
                for rows in parts
            )
            made = ((task.rows, each) for task, each in workers.run(_predict_elsewhere, tasks))
        logits = np.full((len(cohort), len(model.labels)), np.nan, np.float32)
        images: dict[int, AlignedImage | str] = {}
        for rows, found in made:
            logits[list(rows)] = found.logits
            images |= dict(zip(rows, found.without_pixels(rows, step), strict=True))
            done += len(rows)
            progress(Progress("Predicting images", done, len(cohort)))
        read = {row: images[row] for row in sorted(images)}
        return PredictedImages(
            logits,
            {row: each for row, each in read.items() if isinstance(each, str)},
            {row: each.facts for row, each in read.items() if not isinstance(each, str)},
            {
                row: each
                for row, each in read.items()
                if not isinstance(each, str) and row % step == 0
            },
        )


@dataclass(frozen=True)
class _Predicted:
    """Some images, or their errors, and their logits (image, label), NaN where there is none."""

    logits: npt.NDArray[np.float32]
    images: Sequence[AlignedImage | str]

    def without_pixels(self, rows: Sequence[int], step: int) -> list[AlignedImage | str]:
        """Return the images; of those that nobody looks at, how they were read alone."""
        return [
            each
            if isinstance(each, str) or row % step == 0
            else replace(each, image=each.image[:0].copy(), field=each.field[:0].copy())
            for row, each in zip(rows, self.images, strict=True)
        ]


class _Predictor:
    """Brings images into the frame of a model, and predicts them."""

    def __init__(self, cohort: Cohort, model: Classifier, stored_bits: int | None) -> None:
        frame = FrameSettings(**model.card.input.frame, stored_bits=stored_bits)
        self._aligner, self._model = Aligner(cohort, frame), model

    def __call__(self, rows: Sequence[int]) -> _Predicted:
        with ThreadPoolExecutor(DECODING_THREADS) as pool:
            images = list(pool.map(self._aligner, rows))
        logits = np.full((len(rows), len(self._model.labels)), np.nan, np.float32)
        there = [place for place, each in enumerate(images) if not isinstance(each, str)]
        pixels = [each.image for each in images if not isinstance(each, str)]
        if pixels:
            logits[there] = self._model.predict(np.stack(pixels))
        return _Predicted(logits, images)


@dataclass(frozen=True)
class _PredictingTask:
    """Images that another process is to predict."""

    model: ModelElsewhere
    rows: tuple[int, ...]
    cohort: Cohort
    stored_bits: int | None
    step: int


def _predict_elsewhere(task: _PredictingTask) -> _Predicted:
    with IN_THIS_PROCESS.lend(task.model, task.model.load) as model:
        found = _Predictor(task.cohort, model, task.stored_bits)(range(len(task.rows)))
    return replace(found, images=found.without_pixels(task.rows, task.step))


@dataclass(frozen=True)
class _LookingTask:
    """Images that another process is to decode."""

    rows: tuple[int, ...]
    cohort: Cohort
    stored_bits: int | None


def _look_elsewhere(task: _LookingTask) -> list[str]:
    return _look_at(task.cohort, range(len(task.rows)), task.stored_bits)


def _look_at(cohort: Cohort, rows: Sequence[int], stored_bits: int | None) -> list[str]:
    """Decode images; return of each why it cannot be read, or nothing."""
    from napari_globalxai.images.readers import FundusReader

    reader = FundusReader(at_least=(1, 1), stored_bits=stored_bits)

    def look(row: int) -> str:
        # The cohort itself lists files that are not there.
        if absence(cohort, row):
            return ""
        try:
            with local_copy(cohort.files[row]) as file:
                reader.read(file)
        except UnreadableImageError as why:
            return str(UnreadableImageError(cohort.names[row], why.reason))
        return ""

    with ThreadPoolExecutor(_READING_THREADS) as pool:
        return list(pool.map(look, rows))
