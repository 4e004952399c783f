"""Explain a whole cohort: batches from the aligned stack into the attribution store."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from itertools import chain
from pathlib import Path
from typing import Protocol, Self

import numpy as np
import numpy.typing as npt
from torch import Tensor

from napari_globalxai.attribution.batches import empty_maps_warning
from napari_globalxai.attribution.chunks import (
    ChunkExplainer,
    ChunkTask,
    ExplainedChunk,
    ExplainingJob,
    explain_chunk,
)
from napari_globalxai.attribution.explained_rows import ExplainedRows
from napari_globalxai.attribution.method import Method
from napari_globalxai.errors import InputError
from napari_globalxai.execution.dask_workers import Workers
from napari_globalxai.frame.read_ahead import ReadAhead
from napari_globalxai.frame.stack import AlignedStack
from napari_globalxai.maps.store import AttributionStore
from napari_globalxai.models.classifier import Classifier
from napari_globalxai.progress import Progress, ProgressCallback, ignore_progress
from napari_globalxai.storage import Journal


class MapObserver(Protocol):
    """Sees every map at the method's own resolution before it is pooled and stored."""

    def observe(
        self,
        rows: Sequence[int],
        maps: npt.NDArray[np.float32],
        probability: npt.NDArray[np.float64],
    ) -> None:
        """See a batch: its rows, maps (image, label, ...) and probabilities (image, label)."""

    def of_a_chunk(self, rows: Sequence[int]) -> Self:
        """Return one that has seen nothing, for some rows, which another process may fill."""

    def merge(self, other: Self) -> None:
        """Take in what one of a chunk has seen."""

    def save(self, path: Path) -> None:
        """Write what was seen to a file, whole or not at all."""

    def load(self, path: Path) -> None:
        """Go on from a file."""


def attribute_stack(
    stack: AlignedStack,
    rows: Sequence[int],
    classifier: Classifier,
    method: Method,
    labels: Sequence[str],
    path: Path,
    fingerprint: str,
    *,
    pooling: int = 1,
    observer: MapObserver | None = None,
    workers: Workers | None = None,
    progress: ProgressCallback = ignore_progress,
) -> tuple[AttributionStore, npt.NDArray[np.float32]]:
    """Explain images for the given labels; go on where an earlier call stopped.

    A chunk of the store is the unit of work: it is written whole, then noted in the journal beside
    the store, so that a killed run repeats at most one chunk and gives the same bits. Images that
    are new in the stack, or have changed there, are explained; the others stay.

    Parameters
    ----------
    stack : AlignedStack
        The images.
    rows : sequence of int
        Rows of the stack to explain; the others stay NaN.
    classifier : Classifier
        The model; as many images as its `images_a_forward` go together. Where memory runs out,
        half as many, from then on.
    method : Method
        The attribution method.
    labels : sequence of str
        Labels to explain.
    path : pathlib.Path
        Where the store lives or is to live.
    fingerprint : str
        Hash of the model, the method and all settings that the maps depend on.
    pooling : int, optional
        Side of the squares of cells that are averaged before maps are stored.
    observer : MapObserver, optional
        Sees every map as it is made, before pooling.
    workers : Workers, optional
        Processes that explain chunks side by side; by default this one does it. The bits are the
        same.
    progress : callable, optional
        Called after each batch; may raise `Cancelled`.

    Returns
    -------
    AttributionStore
        The store.
    numpy.ndarray
        Logits, float32 (image, all labels of the model); NaN in rows that were not explained.

    Raises
    ------
    InputError
        When the store holds maps of another model, method or settings, or memory does not hold
        a single image.
    """
    store = _open(stack, method, classifier, labels, path, fingerprint, pooling)
    wanted = {int(row) for row in rows}
    explained = ExplainedRows(store, stack.sources(), wanted, len(classifier.labels))
    if observer is not None and explained.observed is not None:
        observer.load(explained.observed)
    told = _Told(f"Explaining images ({method.name})", len(explained.finished), len(rows), progress)
    told(0)
    size = store.images_per_chunk
    chunks: dict[int, list[int]] = {}
    for row in sorted(wanted - explained.finished):
        chunks.setdefault(row // size * size, []).append(row)
    explainer = ChunkExplainer(classifier, method, tuple(labels), store)
    made = (
        _here(explainer, stack, chunks, observer, told)
        if workers is None
        else _on_workers(workers, ExplainingJob.of(explainer, stack), chunks, observer, told)
    )
    empty = dict(explained.empty)
    for chunk, seen in made:
        explained.logits[list(chunk.rows)] = chunk.logits
        observed = None if observer is None else explained.next_observed()
        if observer is not None and seen is not None and observed is not None:
            observer.merge(seen)
            observer.save(observed)
        explained.note(chunk.rows, chunk.empty, observed)
        empty.update(chunk.empty)
    # Of workers that were stopped while they worked.
    for leftover in path.parent.glob(_observed_file(path, "*").name):
        leftover.unlink(missing_ok=True)
    _count_empty(classifier, empty, len(wanted))
    return store, explained.logits


class _Told:
    """Progress of a stage, by images that are done."""

    def __init__(self, stage: str, done: int, total: int, progress: ProgressCallback) -> None:
        self._stage, self._done, self._total, self._progress = stage, done, total, progress

    def __call__(self, count: int) -> None:
        self._done += count
        self._progress(Progress(self._stage, self._done, self._total))


_Made = Iterator[tuple[ExplainedChunk, MapObserver | None]]


def _here(
    explainer: ChunkExplainer,
    stack: AlignedStack,
    chunks: Mapping[int, list[int]],
    observer: MapObserver | None,
    told: _Told,
) -> _Made:
    """Explain chunks one after the other; images of the next batch are read meanwhile."""
    with ReadAhead(stack, list(chain.from_iterable(chunks.values()))) as images:

        def read_input(part: Sequence[int]) -> Tensor:
            return explainer.classifier.to_input(images.read(part))

        for start, rows in chunks.items():
            seeing = None if observer is None else observer.of_a_chunk(rows)
            yield explainer.explain(start, rows, read_input, seeing, told), seeing


def _on_workers(
    workers: Workers,
    job: ExplainingJob,
    chunks: Mapping[int, list[int]],
    observer: MapObserver | None,
    told: _Told,
) -> _Made:
    """Explain chunks side by side, and give them as they are finished.

    Where they are observed, they are given in their own order, for what is summed up depends on it
    by a rounding.
    """
    tasks = (
        ChunkTask(job, start, tuple(rows))
        if observer is None
        else ChunkTask(
            job,
            start,
            tuple(rows),
            observer.of_a_chunk(rows),
            _observed_file(job.store, start),
        )
        for start, rows in chunks.items()
    )
    turns = iter(chunks)
    turn = next(turns, None)
    waiting: dict[int, tuple[ChunkTask, ExplainedChunk]] = {}
    for task, chunk in workers.run(explain_chunk, tasks):
        told(len(chunk.rows))
        if task.observed is None:
            yield chunk, None
            continue
        waiting[task.start] = task, chunk
        while turn in waiting:
            yield _with_what_was_seen(*waiting.pop(turn))
            turn = next(turns, None)


def _observed_file(store: Path, start: int | str) -> Path:
    """Return where a worker saves what was seen of the maps of a chunk."""
    return store.with_name(f"{store.stem}-chunk-{start}.npz")


def _with_what_was_seen(
    task: ChunkTask, chunk: ExplainedChunk
) -> tuple[ExplainedChunk, MapObserver | None]:
    seen = task.observer
    if seen is not None and task.observed is not None:
        seen.load(task.observed)
        task.observed.unlink(missing_ok=True)
    return chunk, seen


def _count_empty(classifier: Classifier, empty: Mapping[int, list[str]], total: int) -> None:
    """Say of how many images the maps are 0 everywhere, in place of that some are."""
    if not empty:
        return
    counts = Counter(chain.from_iterable(empty.values()))
    first = empty_maps_warning(classifier)
    if first in classifier.warnings:
        classifier.warnings.remove(first)
    classifier.warn(empty_maps_warning(classifier, counts, total))


def _open(
    stack: AlignedStack,
    method: Method,
    classifier: Classifier,
    labels: Sequence[str],
    path: Path,
    fingerprint: str,
    pooling: int,
) -> AttributionStore:
    if not path.exists():
        # A journal without its store says nothing.
        Journal(path.with_suffix(".jsonl")).delete()
        grid = method.grid(classifier).pooled(pooling)
        return AttributionStore.create(path, len(stack), labels, grid, fingerprint, pooling)
    store = AttributionStore(path)
    if store.fingerprint != fingerprint:
        raise InputError(
            f"{path}: holds maps of another model, method, precision or settings; "
            "choose another folder."
        )
    if len(store) < len(stack):
        store.grow(len(stack))
    return store
