"""A chunk of the attribution store, explained: the unit of work, here or in another process."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
from torch import Tensor
from torch.nn.functional import avg_pool2d

from napari_globalxai.attribution.batches import Batches
from napari_globalxai.attribution.method import Method, make_method
from napari_globalxai.errors import InputError
from napari_globalxai.frame.stack import AlignedStack
from napari_globalxai.maps.store import AttributionStore
from napari_globalxai.models.classifier import Classifier
from napari_globalxai.models.loaders import load_model

if TYPE_CHECKING:
    from napari_globalxai.attribution.engine import MapObserver


@dataclass(frozen=True)
class ExplainedChunk:
    """What is known of a chunk whose maps are in the store.

    Attributes
    ----------
    rows : tuple of int
        Its images.
    logits : numpy.ndarray
        float32 (image, all labels of the model).
    empty : dict of int to list of str
        By row: labels whose map came out 0 everywhere.
    """

    rows: tuple[int, ...]
    logits: npt.NDArray[np.float32]
    empty: Mapping[int, list[str]]


@dataclass
class ChunkExplainer:
    """Explains chunks of a store.

    Attributes
    ----------
    classifier : Classifier
        The model; as many images as its `images_a_forward` go together. Where memory runs out,
        half as many, from then on.
    method : Method
        The attribution method.
    labels : tuple of str
        Labels to explain.
    store : AttributionStore
        Where the maps go.
    batches : Batches
        Its batches, and which maps were empty.
    """

    classifier: Classifier
    method: Method
    labels: tuple[str, ...]
    store: AttributionStore
    batches: Batches = field(init=False)

    def __post_init__(self) -> None:
        indices = [self.classifier.labels.index(label) for label in self.labels]
        self._indices = indices
        self.batches = Batches(self.classifier, self.method, indices)

    def explain(
        self,
        start: int,
        rows: Sequence[int],
        read_input: Callable[[Sequence[int]], Tensor],
        observer: MapObserver | None,
        tick: Callable[[int], None] = lambda count: None,
    ) -> ExplainedChunk:
        """Explain rows of the chunk that begins at `start`, and write it whole.

        Parameters
        ----------
        start : int
            First row of the chunk.
        rows : sequence of int
            Which of its images are missing; the others stay.
        read_input : callable
            Gives what the network takes for some of the rows.
        observer : MapObserver, optional
            Sees the maps before they are pooled.
        tick : callable, optional
            Called after each batch with its number of images; may raise `Cancelled`.
        """
        block = self.store.read_block(start)
        logits = np.full((len(block), len(self.classifier.labels)), np.nan, np.float32)
        for part, result in self.batches.explain(rows, read_input):
            inside = np.asarray(part) - start
            logits[inside] = result.logits.cpu().numpy()
            if observer is not None:
                probability = self.classifier.probabilities(logits[inside])[:, self._indices]
                observer.observe(part, result.maps.cpu().numpy(), probability)
            block[inside] = _pool(result.maps, self.store.pooling).cpu().numpy()
            tick(len(part))
        self.store.write(start, block)
        empty = {row: self.batches.empty[row] for row in rows if row in self.batches.empty}
        return ExplainedChunk(tuple(rows), logits[np.asarray(rows) - start], empty)


def _pool(maps: Tensor, side: int) -> Tensor:
    """Average squares of cells; those cut off by the border average what is left of them."""
    return maps if side == 1 else avg_pool2d(maps, side, ceil_mode=True)


@dataclass(frozen=True)
class ExplainingJob:
    """All that another process needs to explain chunks of a store.

    Attributes
    ----------
    model : str
        Card or weights.
    digest : str
        Hash of the weights, which must be those that the job was begun with.
    loading : dict
        Arguments of `load_model`.
    images_a_forward : int
        Batch size.
    method : str
        Name of the attribution method.
    method_settings : dict
        Its parameters.
    labels : tuple of str
        Labels to explain.
    stack, store : pathlib.Path
        Where images are and maps go.
    """

    model: str
    digest: str
    loading: Mapping[str, Any]
    images_a_forward: int
    method: str
    method_settings: Mapping[str, Any]
    labels: tuple[str, ...]
    stack: Path
    store: Path

    @classmethod
    def of(cls, explainer: ChunkExplainer, stack: AlignedStack) -> ExplainingJob:
        """Return the job that an explainer here would do.

        Raises
        ------
        InputError
            When the model is in memory alone.
        """
        classifier, method = explainer.classifier, explainer.method
        if classifier.source is None:
            raise InputError(
                "Workers load the model from its file, but this one is in memory alone; save it, "
                "or leave out the workers."
            )
        loading = {
            "device": str(classifier.device),
            "precision": classifier.precision,
            "trust": classifier.trusted,
            "cam_layer": classifier.card.cam_layer,
        }
        return cls(
            str(classifier.source.absolute()),
            classifier.digest,
            loading,
            classifier.images_a_forward,
            method.name,
            method.settings.model_dump(),
            explainer.labels,
            stack.folder.absolute(),
            explainer.store.path.absolute(),
        )


@dataclass(frozen=True)
class ChunkTask:
    """A chunk that another process is to explain.

    Attributes
    ----------
    job : ExplainingJob
        What is the same for all chunks.
    start : int
        First row of the chunk.
    rows : tuple of int
        Which of its images are missing.
    observer : MapObserver or None
        Is to see the maps before they are pooled.
    observed : pathlib.Path or None
        Where it is to save what it has seen, which is too much to be sent.
    """

    job: ExplainingJob
    start: int
    rows: tuple[int, ...]
    observer: MapObserver | None = None
    observed: Path | None = None


class _Worker:
    """What a process keeps from one task to the next: one model, loaded once."""

    def __init__(self) -> None:
        # A cluster's workers may have several threads, but a split network has one state.
        self._lock = Lock()
        self._job: ExplainingJob | None = None
        self._explainer: ChunkExplainer | None = None
        self._stack: AlignedStack | None = None

    def explain(self, task: ChunkTask) -> ExplainedChunk:
        with self._lock:
            if self._job != task.job or self._explainer is None or self._stack is None:
                # The model that was there goes before the next one comes.
                self._explainer = None
                self._explainer, self._stack = _prepare(task.job), AlignedStack(task.job.stack)
                self._job = task.job
            stack, classifier = self._stack, self._explainer.classifier

            def read_input(rows: Sequence[int]) -> Tensor:
                return classifier.to_input(stack.read(rows))

            done = self._explainer.explain(task.start, task.rows, read_input, task.observer)
        if task.observer is not None and task.observed is not None:
            task.observer.save(task.observed)
        return done


def _prepare(job: ExplainingJob) -> ChunkExplainer:
    classifier = load_model(job.model, **job.loading)
    if classifier.digest != job.digest:
        raise InputError(
            f"{job.model}: is another model on a worker than where the job was begun; let all "
            "workers see the same files."
        )
    return ChunkExplainer(
        classifier.working_with(images_a_forward=job.images_a_forward),
        make_method(job.method, **job.method_settings),
        job.labels,
        AttributionStore(job.store),
    )


_WORKER = _Worker()


def explain_chunk(task: ChunkTask) -> ExplainedChunk:
    """Explain a chunk in this process, whose model stays for the next one."""
    return _WORKER.explain(task)
