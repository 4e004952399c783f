"""Explain a whole cohort: batches from the aligned stack into the attribution store."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from itertools import chain
from pathlib import Path
from typing import Protocol

import numpy as np
import numpy.typing as npt
from torch import Tensor
from torch.nn.functional import avg_pool2d

from napari_globalxai.attribution.batches import Batches, empty_maps_warning
from napari_globalxai.attribution.explained_rows import ExplainedRows
from napari_globalxai.attribution.method import Method
from napari_globalxai.errors import InputError
from napari_globalxai.frame.read_ahead import ReadAhead
from napari_globalxai.frame.stack import AlignedStack
from napari_globalxai.maps.store import AttributionStore
from napari_globalxai.models.classifier import Classifier
from napari_globalxai.progress import Progress, ProgressCallback, ignore_progress


class MapObserver(Protocol):
    """Sees every map at the method's own resolution before it is pooled and stored."""

    def observe(
        self,
        rows: Sequence[int],
        maps: npt.NDArray[np.float32],
        probability: npt.NDArray[np.float64],
    ) -> None:
        """See a batch: its rows, maps (image, label, ...) and probabilities (image, label)."""

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
    indices = [classifier.labels.index(label) for label in labels]
    store = _open(stack, method, classifier, labels, path, fingerprint, pooling)
    wanted = {int(row) for row in rows}
    explained = ExplainedRows(store, stack.sources(), wanted, len(classifier.labels))
    if observer is not None and explained.observed is not None:
        observer.load(explained.observed)
    logits = explained.logits
    stage = f"Explaining images ({method.name})"
    done = len(explained.finished)
    progress(Progress(stage, done, len(rows)))
    size = store.images_per_chunk
    chunks: dict[int, list[int]] = {}
    for row in sorted(wanted - explained.finished):
        chunks.setdefault(row // size * size, []).append(row)
    batches = Batches(classifier, method, indices)
    with ReadAhead(stack, list(chain.from_iterable(chunks.values()))) as images:

        def read_input(part: Sequence[int]) -> Tensor:
            return classifier.to_input(images.read(part))

        for start, missing in chunks.items():
            block = store.read_block(start)
            for part, result in batches.explain(missing, read_input):
                logits[part] = result.logits.cpu().numpy()
                if observer is not None:
                    probability = classifier.probabilities(logits[part])[:, indices]
                    observer.observe(part, result.maps.cpu().numpy(), probability)
                block[np.asarray(part) - start] = _pool(result.maps, pooling).cpu().numpy()
                done += len(part)
                progress(Progress(stage, done, len(rows)))
            store.write(start, block)
            observed = None if observer is None else explained.next_observed()
            if observer is not None and observed is not None:
                observer.save(observed)
            explained.note(missing, batches.empty, observed)
    _count_empty(classifier, {**explained.empty, **batches.empty}, len(wanted))
    return store, logits


def _count_empty(classifier: Classifier, empty: Mapping[int, list[str]], total: int) -> None:
    """Say of how many images the maps are 0 everywhere, in place of that some are."""
    if not empty:
        return
    counts = Counter(chain.from_iterable(empty.values()))
    first = empty_maps_warning(classifier)
    if first in classifier.warnings:
        classifier.warnings.remove(first)
    classifier.warn(empty_maps_warning(classifier, counts, total))


def _pool(maps: Tensor, side: int) -> Tensor:
    """Average squares of cells; those cut off by the border average what is left of them."""
    return maps if side == 1 else avg_pool2d(maps, side, ceil_mode=True)


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
        path.with_suffix(".jsonl").unlink(missing_ok=True)
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
