"""Whether a global map comes from the model: how like it are the maps of models that know nothing.

A map is compared with itself across halves of the patients, and the maps of random models are put
in the place of one half's. If the weights did not matter, the trained model's map of the second
half would be no more like that of the first than a random model's is: the trained model and the
random ones could be exchanged, and p is the rank of the trained one among them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from napari_globalxai.plain_text import numeral
from napari_globalxai.statistics.ranks import ranks

FloatArray = npt.NDArray[np.float64]

MODEL_DEPENDENT = "model-dependent"
PARTLY = "partly model-dependent"
SURVIVES = "survives random weights"
UNDECIDED = "undecided"
NOT_ENOUGH_DATA = "not enough data"

LEVEL = 0.05
# What a map must agree with itself, and what of that random models may share.
_LEAST_RELIABILITY = 0.3
_FEWEST_PATIENTS = 8
_MOST_SHARED = 0.7


@dataclass(frozen=True)
class Halves:
    """Random splits of patients into two halves, and the means of maps over each.

    Attributes
    ----------
    first, second : numpy.ndarray
        bool (split, image): which images each half holds.
    """

    first: npt.NDArray[np.bool_]
    second: npt.NDArray[np.bool_]

    @classmethod
    def draw(cls, patients: Sequence[str], count: int, seed: int) -> Halves:
        """Draw splits; halves differ by one patient at most."""
        names, patient = np.unique(np.asarray(patients, dtype=str), return_inverse=True)
        rng = np.random.default_rng(seed)
        sides = np.stack([rng.permutation(len(names)) % 2 for _ in range(count)])
        first = sides[:, patient] == 0
        return cls(first, ~first)

    def means(
        self, maps: npt.NDArray[np.floating], keep: npt.NDArray[np.bool_]
    ) -> tuple[FloatArray, FloatArray]:
        """Return the mean of the kept maps (image, cell) over each half, (split, cell)."""
        one, other = (_means(each & keep, maps) for each in (self.first, self.second))
        return one, other


def _means(chosen: npt.NDArray[np.bool_], maps: npt.NDArray[np.floating]) -> FloatArray:
    weights = chosen / np.maximum(chosen.sum(axis=1, keepdims=True), 1)
    return np.asarray(weights @ maps.astype(np.float64))


def rank_correlations(first: FloatArray, second: FloatArray) -> FloatArray:
    """Return Spearman's correlation of each row with the same row; 0 where one is constant."""
    centred = [each - each.mean(axis=1, keepdims=True) for each in map(ranks, (first, second))]
    sizes = [np.square(each).sum(axis=1) for each in centred]
    size = np.sqrt(sizes[0] * sizes[1])
    product = (centred[0] * centred[1]).sum(axis=1)
    return np.asarray(product / np.where(size > 0, size, 1))


def self_agreement(halves: tuple[FloatArray, FloatArray]) -> float:
    """Return how like a map of one half of the patients is to that of the other, over splits."""
    return float(rank_correlations(*halves).mean())


def cross_agreement(
    trained: tuple[FloatArray, FloatArray], random: tuple[FloatArray, FloatArray]
) -> float:
    """Return how like the trained model's map of a half is to a random one's of the other half."""
    either = [
        rank_correlations(trained[0], random[1]).mean(),
        rank_correlations(trained[1], random[0]).mean(),
    ]
    return float(np.mean(either))


def rank_p(own: float, others: Sequence[float]) -> float:
    """Return p of an agreement among those of random models: (1 + #{others ≥ own}) / (1 + n)."""
    return float((1 + np.sum(np.asarray(others) >= own)) / (1 + len(others)))


@dataclass(frozen=True)
class Dependence:
    """Whether a map depends on the model, in words.

    Attributes
    ----------
    verdict : str
        ``model-dependent``, ``partly model-dependent``, ``survives random weights``, ``undecided``
        or ``not enough data``.
    reason : str
        The numbers behind it, a sentence.
    """

    verdict: str
    reason: str


def judge_dependence(
    patients: int, reliability: float, agreements: Sequence[float], p: float
) -> Dependence:
    """Say whether a map depends on the model.

    Parameters
    ----------
    patients : int
        Of the images behind the map.
    reliability : float
        Its agreement with itself across halves of the patients.
    agreements : sequence of float
        That with each random model.
    p : float
        The rank of the one among the others.
    """
    if patients < _FEWEST_PATIENTS:
        return Dependence(NOT_ENOUGH_DATA, f"{patients} patients are behind it")
    if not reliability >= _LEAST_RELIABILITY:
        return Dependence(
            NOT_ENOUGH_DATA,
            f"the map itself agrees by {numeral(reliability, '.2f')} only between halves of the "
            "patients",
        )
    shared = max(float(np.mean(agreements)), 0.0) / reliability
    said = (
        f"halves of the patients agree by {reliability:.2f}, with random weights by "
        f"{numeral(float(np.mean(agreements)), '.2f')} on average and "
        f"{numeral(float(np.max(agreements)), '.2f')} at most, p = {numeral(p, '.3g')} over "
        f"{len(agreements)} seeds"
    )
    if p <= LEVEL:
        return Dependence(MODEL_DEPENDENT if shared <= _MOST_SHARED else PARTLY, said)
    # No better than one of so few, or of those far below it, refutes nothing.
    few = 1 / (1 + len(agreements)) > LEVEL
    return Dependence(UNDECIDED if few or shared <= _MOST_SHARED else SURVIVES, said)


def structural_similarity(first: FloatArray, second: FloatArray) -> float:
    """Return SSIM of two maps, each scaled to greatest size 1; NaN where a side has under 3 cells.

    Windows are 7 cells wide, or as wide as the maps allow.
    """
    from skimage.metrics import structural_similarity as ssim

    window = min(7, *first.shape)
    window -= 1 - window % 2
    if window < 3:
        return float("nan")
    scaled = [each / (np.abs(each).max() or 1) for each in (first, second)]
    signed = min(each.min() for each in scaled) < 0
    found = ssim(*scaled, win_size=window, data_range=2.0 if signed else 1.0)  # type: ignore[no-untyped-call]
    return float(found)
