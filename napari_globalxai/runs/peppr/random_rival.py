"""The map of the model with random weights, which a map that is about the model must lead."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from napari_globalxai.attribution.method import make_method
from napari_globalxai.errors import InputError
from napari_globalxai.faithfulness.saved_arrays import keep_array, read_kept
from napari_globalxai.maps.cell_grid import CellGrid
from napari_globalxai.maps.upsampling import smooth, upsample
from napari_globalxai.models.classifier import Classifier
from napari_globalxai.models.random_weights import RandomWeights
from napari_globalxai.progress import Progress, ProgressCallback
from napari_globalxai.runs.questions.random_maps import RunMaps, choose_rows
from napari_globalxai.runs.run import Run
from napari_globalxai.runs.tables import PATIENT
from napari_globalxai.storage import hash_value

EXPLAINING = "Explaining with random weights"
# Enough for a map that hangs on the images alone.
_MOST_IMAGES = 64
_FITTED_IMAGES = 32

Rows = npt.NDArray[np.int64]


@dataclass(frozen=True)
class RandomRival:
    """Image-wise maps of one model with random weights.

    Attributes
    ----------
    grid : CellGrid
        Where their cells lie.
    rows : mapping of str to numpy.ndarray
        By label the images that were explained.
    maps : mapping of str to numpy.ndarray
        By label their maps as they enter a global one, (image, *cells).
    smoothing : float
        Of the run's own maps, in pixels.
    """

    grid: CellGrid
    rows: Mapping[str, Rows]
    maps: Mapping[str, npt.NDArray[np.float32]]
    smoothing: float

    def label_map(self, label: str, among: Rows) -> npt.NDArray[np.float32]:
        """Return the global map of a label over some of the images; without any it is 0."""
        chosen = self.maps[label][np.isin(self.rows[label], among)]
        cells = chosen.mean(axis=0) if len(chosen) else np.zeros(self.grid.shape)
        return smooth(upsample(cells, self.grid), self.smoothing)


def random_rival(
    run: Run,
    classifier: Classifier,
    labels: Sequence[str],
    seed: int,
    folder: Path,
    progress: ProgressCallback,
) -> RandomRival | None:
    """Explain images of some labels by the model with random weights, or read what was kept.

    Parameters
    ----------
    run : Run
        The run, whose method and way of averaging are used.
    classifier : Classifier
        Its trained model.
    labels : sequence of str
        Whose maps are wanted.
    seed : int
        Of the weights, and of which images stand for many.
    folder : pathlib.Path
        Where the maps are kept.
    progress : callable
        May raise `Cancelled`.

    Returns
    -------
    RandomRival or None
        None where the weights cannot be drawn anew.
    """
    patients = run.images[PATIENT].astype(str).tolist()
    rows = {
        label: choose_rows(run.members(label), patients, _MOST_IMAGES, seed) for label in labels
    }
    grid = RunMaps(run, rows).grid
    keys = {label: _key(run, classifier, label, rows[label], seed) for label in labels}
    paths = {label: folder / f"random-{key}.npy" for label, key in keys.items()}
    maps: dict[str, npt.NDArray[np.float32]] = {}
    for label, path in paths.items():
        kept = read_kept(path, (len(rows[label]), *grid.shape))
        if kept is not None:
            maps[label] = kept
    missing = {label: rows[label] for label in labels if label not in maps}
    if missing:
        try:
            maps |= _explain(run, classifier, missing, seed, progress)
        except InputError:
            return None
        for label in missing:
            keep_array(paths[label], maps[label])
    return RandomRival(grid, rows, maps, run.aggregation.smoothing)


def _explain(
    run: Run,
    classifier: Classifier,
    rows: Mapping[str, Rows],
    seed: int,
    progress: ProgressCallback,
) -> dict[str, npt.NDArray[np.float32]]:
    """Explain images by a model with random weights; return their maps, (image, *cells)."""
    own = RunMaps(run, rows)
    every = own.every_row
    progress(Progress(EXPLAINING, 0, len(every)))
    method = make_method(run.record.settings.method, **run.record.settings.method_settings)
    layer = classifier.split.layer if method.needs_split else None
    some = every[:: max(1, len(every) // _FITTED_IMAGES)][:_FITTED_IMAGES]
    random = RandomWeights(classifier, run.stack.read(some)).classifier(seed, cam_layer=layer)
    found = own.of_model(
        random, method, lambda done: progress(Progress(EXPLAINING, done, len(every)))
    )
    return {label: maps.maps for label, maps in found.items()}


def _key(run: Run, classifier: Classifier, label: str, rows: Rows, seed: int) -> str:
    """Return a hash of all that the maps of a label depend on."""
    parts = [classifier.digest, run.store.fingerprint, run.stack.key, label, rows.tolist(), seed]
    return hash_value([*parts, run.aggregation.model_dump(mode="json")])[:32]
