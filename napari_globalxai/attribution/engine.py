"""Explain a whole cohort: batches from the aligned stack into the attribution store."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt

from napari_globalxai.attribution.method import Method
from napari_globalxai.attribution.store import AttributionStore
from napari_globalxai.cohort.stack import AlignedStack, batches
from napari_globalxai.models.classifier import Classifier
from napari_globalxai.progress import Progress, ProgressCallback, ignore_progress
from napari_globalxai.storage import Journal


def attribute_stack(
    stack: AlignedStack,
    rows: Sequence[int],
    classifier: Classifier,
    method: Method,
    labels: Sequence[str],
    path: Path,
    fingerprint: str,
    *,
    batch_size: int = 16,
    progress: ProgressCallback = ignore_progress,
) -> tuple[AttributionStore, npt.NDArray[np.float32]]:
    """Explain images for the given labels; go on where an earlier call stopped.

    A chunk of the store is the unit of work: it is written whole, then noted in the journal beside
    the store, so that a killed run repeats at most one chunk and gives the same bits.

    Parameters
    ----------
    stack : AlignedStack
        The images.
    rows : sequence of int
        Rows of the stack to explain; the others stay NaN.
    classifier : Classifier
        The model.
    method : Method
        The attribution method.
    labels : sequence of str
        Labels to explain.
    path : pathlib.Path
        Where the store lives or is to live.
    fingerprint : str
        Hash of everything the maps depend on. A store with another one is replaced.
    batch_size : int, optional
        Images a forward.
    progress : callable, optional
        Called after each batch; may raise `Cancelled`.

    Returns
    -------
    AttributionStore
        The store.
    numpy.ndarray
        Logits, float32 (image, all labels of the model); NaN in rows that were not explained.
    """
    indices = [classifier.labels.index(label) for label in labels]
    store, journal = _open(stack, method, classifier, labels, path, fingerprint)
    logits = np.full((len(stack), len(classifier.labels)), np.nan, np.float32)
    finished = set()
    for entry in journal.read():
        finished.add(entry["row"])
        logits[entry["row"]] = entry["logits"]
    stage = f"Explaining images ({method.name})"
    done = len(finished)
    progress(Progress(stage, done, len(rows)))
    wanted = np.asarray(rows, dtype=int)
    size = store.images_per_chunk
    for start in np.unique(wanted // size) * size:
        inside = [int(row) for row in wanted[(wanted >= start) & (wanted < start + size)]]
        if finished.issuperset(inside):
            continue
        shape = (min(size, len(stack) - start), len(labels), *store.grid.shape)
        block = np.full(shape, np.nan, np.float32)
        for part in batches(inside, batch_size):
            inputs = classifier.to_input(stack.read(part))
            result = method.attribute(classifier, inputs, indices)
            block[np.asarray(part) - start] = result.maps.cpu().numpy()
            logits[part] = result.logits.cpu().numpy()
            done += len(part)
            progress(Progress(stage, min(done, len(rows)), len(rows)))
        store.write(int(start), block)
        journal.append([{"row": row, "logits": logits[row].tolist()} for row in inside])
    return store, logits


def _open(
    stack: AlignedStack,
    method: Method,
    classifier: Classifier,
    labels: Sequence[str],
    path: Path,
    fingerprint: str,
) -> tuple[AttributionStore, Journal]:
    journal = Journal(path.with_suffix(".jsonl"))
    if path.exists():
        store = AttributionStore(path)
        if store.fingerprint == fingerprint:
            return store, journal
        # Without its journal a half-replaced store cannot be taken for a finished one.
    journal.path.unlink(missing_ok=True)
    grid = method.grid(classifier)
    return AttributionStore.create(path, len(stack), labels, grid, fingerprint), journal
