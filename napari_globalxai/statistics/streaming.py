"""Global maps at full resolution, accumulated while image-wise maps stream into a pooled store.

The store keeps pixel-level maps pooled to save room; a mean made from it would be blurred. So each
map enters the mean and SD of its label at full resolution at the moment it is made.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import numpy as np
import numpy.typing as npt

from napari_globalxai.maps.moments import Moments
from napari_globalxai.maps.preparing import is_constant, prepare_maps
from napari_globalxai.settings.aggregation_settings import AggregationSettings
from napari_globalxai.statistics.selection import select_rows
from napari_globalxai.storage import atomic_path, is_regular


class FullResolutionMaps:
    """Mean and SD of each label's maps at full resolution; see `MapObserver`.

    Parameters
    ----------
    labels : sequence of str
        Labels that are explained, in the order of the maps.
    shape : tuple of int
        Number of the method's own cells along each axis.
    truth : numpy.ndarray
        (image, label) for all images of the cohort and those labels: 1, 0 or NaN.
    settings : AggregationSettings
        Which images enter, and how.
    first : int, optional
        Row of the first of these images, where they are some of the cohort.
    """

    def __init__(
        self,
        labels: Sequence[str],
        shape: tuple[int, ...],
        truth: npt.NDArray[np.float64],
        settings: AggregationSettings,
        first: int = 0,
    ) -> None:
        self._labels = tuple(labels)
        self._shape = shape
        self._truth = truth
        self._first = first
        self._settings = settings
        self._moments = {label: Moments(shape) for label in labels}
        # Rows that were selected for each label, whether or not their map was constant.
        self._members: dict[str, list[int]] = {label: [] for label in labels}
        self._seen: set[int] = set()
        self._spoilt = False

    def observe(
        self,
        rows: Sequence[int],
        maps: npt.NDArray[np.float32],
        probability: npt.NDArray[np.float64],
    ) -> None:
        """Take the maps of a batch in; see `MapObserver`."""
        self._seen.update(rows)
        indices = np.asarray(rows)
        for position, label in enumerate(self._labels):
            inside = select_rows(
                self._truth[indices - self._first, position],
                probability[:, position],
                self._settings,
            )
            self._members[label] += indices[inside].tolist()
            chosen = maps[inside, position]
            if self._settings.constant_maps == "left-out" and len(chosen):
                chosen = chosen[~is_constant(chosen)]
            self._moments[label].add(prepare_maps(chosen, self._settings))

    def of_a_chunk(self, rows: Sequence[int]) -> FullResolutionMaps:
        """Return an empty one for some of the images, to be merged; see `MapObserver`."""
        first, last = min(rows), max(rows)
        truth = self._truth[first : last + 1]
        return FullResolutionMaps(self._labels, self._shape, truth, self._settings, first)

    def __reduce__(self) -> tuple[Any, ...]:
        """Send an empty one to another process without its many zeros."""
        if self._seen:
            return tuple(super().__reduce_ex__(2))
        made_from = (self._labels, self._shape, self._truth, self._settings, self._first)
        return FullResolutionMaps, made_from

    def merge(self, other: FullResolutionMaps) -> None:
        """Take in what another one has seen; see `MapObserver`."""
        # What an image that has changed since had put in cannot be taken out again.
        self._spoilt |= other._spoilt or not self._seen.isdisjoint(other._seen)
        self._seen |= other._seen
        for label in self._labels:
            self._members[label] += other._members[label]
            self._moments[label].merge(other._moments[label])

    def moments(self, members: Mapping[str, npt.NDArray[np.int64]]) -> dict[str, Moments] | None:
        """Return mean and SD of each label, or None where they are not those of `members`.

        They are not where truth or images have changed since the maps were made.
        """
        same = all(sorted(self._members[label]) == rows.tolist() for label, rows in members.items())
        return self._moments if same and not self._spoilt else None

    def save(self, path: Path) -> None:
        """Write all to a file; see `MapObserver`."""
        arrays = {"seen": np.array(sorted(self._seen), int), "spoilt": np.array(self._spoilt)}
        for number, label in enumerate(self._labels):
            moments = self._moments[label]
            arrays |= {
                f"n-{number}": np.array(moments.n),
                f"mean-{number}": moments.mean,
                f"squares-{number}": moments.squares,
                f"members-{number}": np.array(self._members[label], int),
            }
        with atomic_path(path) as temporary:
            np.savez(temporary, **arrays)  # type: ignore[arg-type]

    def load(self, path: Path) -> None:
        """Go on from a file; see `MapObserver`."""
        try:
            self._load(path)
        except (EOFError, KeyError, OSError, ValueError, BadZipFile):
            # Cut short by a power cut or a full disk: the stored maps tell the rest.
            self._spoilt = True

    def _load(self, path: Path) -> None:
        if not is_regular(path):
            raise OSError(f"{path}: is no file")
        # Opened here, because NumPy leaves a file open that is no archive.
        with path.open("rb") as stream, np.load(stream, allow_pickle=False) as arrays:
            self._seen = set(arrays["seen"].tolist())
            self._spoilt = bool(arrays["spoilt"])
            for number, label in enumerate(self._labels):
                moments = self._moments[label]
                moments.n = int(arrays[f"n-{number}"])
                moments.mean = arrays[f"mean-{number}"]
                moments.squares = arrays[f"squares-{number}"]
                self._members[label] = arrays[f"members-{number}"].tolist()
