"""Which images to look at: errors, those unlike the others, those that carry a label."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from napari_globalxai.runs.tables import (
    probability_column,
    similarity_column,
    truth_column,
)
from napari_globalxai.statistics.global_map import OVERALL

if TYPE_CHECKING:
    from napari_globalxai.runs.run import Run

FloatArray = npt.NDArray[np.float64]
_DECISION = 0.5
# An image is unlike the others where it is among this share of the least similar.
_OUTLYING_SHARE = 0.05


@dataclass(frozen=True)
class ImageFacts:
    """What is known of each image of a run with a label in mind, NaN where nothing is.

    Attributes
    ----------
    truth, probability : numpy.ndarray
        By image; of all labels together, whether it carries any, and the highest.
    error : numpy.ndarray
        Distance of the probability from the truth; of all labels together, the largest.
    similarity, percentile : numpy.ndarray
        Likeness of the image's map to the global map, and its rank among those of the images that
        carry the label, from 0 to 100; of all labels together, the lowest of those carried.
    """

    truth: FloatArray
    probability: FloatArray
    error: FloatArray
    similarity: FloatArray
    percentile: FloatArray

    @property
    def is_error(self) -> npt.NDArray[np.bool_]:
        """Whether the model decides otherwise than the truth."""
        return np.nan_to_num(self.error, nan=0) > _DECISION

    @property
    def is_outlier(self) -> npt.NDArray[np.bool_]:
        """Whether the image is among the least similar of those that carry the label."""
        return np.nan_to_num(self.percentile, nan=100) <= 100 * _OUTLYING_SHARE

    @property
    def is_carrier(self) -> npt.NDArray[np.bool_]:
        """Whether the image carries the label."""
        return np.asarray(self.truth == 1)


def facts_of(run: Run, name: str) -> ImageFacts:
    """Return what is known of the images with a label in mind, or with all (``overall``)."""
    each = [_facts_of_label(run, label) for label in (run.labels if name == OVERALL else (name,))]
    if len(each) == 1:
        return each[0]
    carried = np.column_stack([facts.is_carrier for facts in each])
    return ImageFacts(
        truth=_over(np.fmax, [facts.truth for facts in each]),
        probability=_over(np.fmax, [facts.probability for facts in each]),
        error=_over(np.fmax, [facts.error for facts in each]),
        similarity=_lowest([facts.similarity for facts in each], carried),
        percentile=_lowest([facts.percentile for facts in each], carried),
    )


def _facts_of_label(run: Run, label: str) -> ImageFacts:
    truth = _column(run, truth_column(label))
    probability = _column(run, probability_column(label))
    similarity = _column(run, similarity_column(label))
    carries = (truth == 1) & np.isfinite(similarity)
    known = run.images.get(f"percentile_{label}")
    if known is None:
        percentile = np.full(len(truth), np.nan)
        if carries.any():
            ranked = np.sort(similarity[carries])
            below = np.searchsorted(ranked, similarity[carries], side="right")
            percentile[carries] = 100 * below / len(ranked)
    else:
        percentile = known.to_numpy(dtype=float)
    return ImageFacts(truth, probability, np.abs(truth - probability), similarity, percentile)


def _column(run: Run, name: str) -> FloatArray:
    if name not in run.images:
        return np.full(len(run.images), np.nan)
    return run.images[name].to_numpy(dtype=float)


def _over(choose: np.ufunc, columns: list[FloatArray]) -> FloatArray:
    """Return the highest or lowest of each row, NaN where all are."""
    return np.asarray(choose.reduce(np.column_stack(columns), axis=1))


def _lowest(columns: list[FloatArray], carried: npt.NDArray[np.bool_]) -> FloatArray:
    return _over(np.fmin, list(np.where(carried, np.column_stack(columns), np.nan).T))


def ordered(facts: ImageFacts, preset: str) -> npt.NDArray[np.int64] | None:
    """Return all rows in the order of a preset, None for the order of the cohort.

    Parameters
    ----------
    facts : ImageFacts
        What is known of the images.
    preset : str
        ``errors`` first, or the ``unlike`` first: the least like the others of those that carry
        the label.
    """
    if preset == "errors":
        key = -facts.error
    elif preset == "unlike":
        key = np.where(facts.is_carrier, facts.similarity, np.nan)
    else:
        return None
    # NaN goes last, and equal ones stay in the order of the cohort.
    return np.argsort(key, kind="stable").astype(np.int64)


def next_row(
    marked: npt.NDArray[np.bool_], row: int, step: int = 1, among: npt.ArrayLike | None = None
) -> int | None:
    """Return the next marked row after one, round the end; None where there is no other.

    Parameters
    ----------
    marked : numpy.ndarray
        By row, whether it is wanted.
    row : int
        Where to begin.
    step : int, optional
        1 for the next, −1 for the one before.
    among : array_like of int, optional
        Only these rows.
    """
    wanted = marked.copy()
    if among is not None:
        chosen = np.zeros(len(marked), dtype=bool)
        chosen[np.asarray(among, dtype=int)] = True
        wanted &= chosen
    wanted[row] = False
    rows = np.flatnonzero(wanted)
    if not len(rows):
        return None
    distance = (step * (rows - row)) % len(marked)
    return int(rows[distance.argmin()])
