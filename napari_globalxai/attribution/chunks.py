"""A chunk of the attribution store, explained: the unit of work, here or in another process."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
from torch import Tensor

from napari_globalxai.attribution.batches import Batches
from napari_globalxai.attribution.method import Method, make_method
from napari_globalxai.attribution.pooling import pool_cells
from napari_globalxai.execution.kept import IN_THIS_PROCESS
from napari_globalxai.frame.stack import AlignedStack
from napari_globalxai.maps.store import AttributionStore
from napari_globalxai.models.classifier import Classifier
from napari_globalxai.models.elsewhere import ModelElsewhere

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
            block[inside] = pool_cells(result.maps, self.store.pooling).cpu().numpy()
            tick(len(part))
        self.store.write(start, block)
        empty = {row: self.batches.empty[row] for row in rows if row in self.batches.empty}
        return ExplainedChunk(tuple(rows), logits[np.asarray(rows) - start], empty)


@dataclass(frozen=True)
class ExplainingJob:
    """All that another process needs to explain chunks of a store.

    Attributes
    ----------
    model : ModelElsewhere
        The model.
    method : str
        Name of the attribution method.
    method_settings : dict
        Its parameters.
    labels : tuple of str
        Labels to explain.
    stack, store : pathlib.Path
        Where images are and maps go.
    """

    model: ModelElsewhere
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
        return cls(
            ModelElsewhere.of(explainer.classifier),
            explainer.method.name,
            explainer.method.settings.model_dump(),
            explainer.labels,
            stack.folder.absolute(),
            explainer.store.path.absolute(),
        )

    def prepare(self) -> tuple[ChunkExplainer, AlignedStack]:
        """Return what explains chunks, and the images."""
        method = make_method(self.method, **self.method_settings)
        store = AttributionStore(self.store)
        explainer = ChunkExplainer(self.model.load(), method, self.labels, store)
        return explainer, AlignedStack(self.stack)


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


def explain_chunk(task: ChunkTask) -> ExplainedChunk:
    """Explain a chunk in this process, whose model stays for the next one."""
    with IN_THIS_PROCESS.lend(task.job, task.job.prepare) as (explainer, stack):

        def read_input(rows: Sequence[int]) -> Tensor:
            return explainer.classifier.to_input(stack.read(rows))

        done = explainer.explain(task.start, task.rows, read_input, task.observer)
    if task.observer is not None and task.observed is not None:
        task.observer.save(task.observed)
    return done
