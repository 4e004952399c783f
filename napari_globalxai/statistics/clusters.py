"""Strategies: groups of images that a model decided by different places, found in their maps.

Each map is the square roots of its shares of mass in tiles of the frame, so that distances between
maps are Hellinger's. A group is split in two by spectral clustering only where *other* patients
show two modes along the way from one half's centre to the other's; so that one group is an answer,
and the usual one.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from napari_globalxai.progress import may_stop_here
from napari_globalxai.statistics.modes import one_mode_p

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]

LEVEL = 0.05
# Below this agreement of clusterings of other patients' images, clusters are not told apart.
LEAST_STABILITY = 0.6
_FEWEST_IMAGES, _SMALLEST_SHARE = 10, 0.05
_MOST_CLUSTERS = 6
_SPLITS, _RESAMPLES = 5, 200
_STABILITY_ROUNDS, _STABILITY_SHARE = 20, 0.7
# A spectral clustering takes memory by the square of its images; the others join the nearest.
_MOST_IMAGES = 400
_COMPONENTS, _VARIANCE = 8, 0.9
_NEIGHBOUR = 7


@dataclass(frozen=True)
class Clustering:
    """The clusters of one label's maps.

    Attributes
    ----------
    cluster : numpy.ndarray
        Number of each image's cluster, from 1, the largest first, (image,).
    embedding : numpy.ndarray
        The two directions in which the maps differ most, for the eye, (image, 2).
    stability : float
        Mean adjusted Rand index between these clusters and those of resampled patients; NaN for one
        cluster.
    split_p : float
        p of the hypothesis that there is one cluster: the first split, over held-out patients.
    """

    cluster: IntArray
    embedding: FloatArray
    stability: float
    split_p: float

    @property
    def count(self) -> int:
        """Number of clusters."""
        return int(self.cluster.max(initial=0))


def find_clusters(shares: FloatArray, owner: npt.NDArray[np.intp], seed: int) -> Clustering:
    """Find the clusters among the maps of one label.

    Parameters
    ----------
    shares : numpy.ndarray
        Share of each image's mass in each tile, (image, tile).
    owner : numpy.ndarray
        Number of each image's patient, (image,).
    seed : int
        Of everything random.
    """
    scores = _principal(np.sqrt(shares))
    embedding = np.zeros((len(scores), 2))
    width = min(2, scores.shape[1])
    embedding[:, :width] = scores[:, :width]
    generator = np.random.default_rng([seed, 15])
    fitted = _some_patients(owner, generator)
    found, first_p = _split_up(scores[fitted], owner[fitted], generator)
    stability = float("nan")
    if found.max() > 0:
        # Their number is known now; a split in two of three may have cut one of them in halves.
        found = bisect(scores[fitted], int(found.max()) + 1)
        stability = _stability(scores[fitted], owner[fitted], found, generator)
        if stability < LEAST_STABILITY:
            found = np.zeros_like(found)
    everywhere = _assigned(scores, fitted, found)
    return Clustering(_by_size(everywhere), embedding, stability, first_p)


def bisect(scores: FloatArray, count: int = 2) -> IntArray:
    """Split images by spectral clustering, with distances scaled by each one's neighbours.

    Parameters
    ----------
    scores : numpy.ndarray
        (image, direction).
    count : int, optional
        Number of parts.
    """
    # Take seconds to import.
    from scipy.spatial.distance import cdist
    from sklearn.cluster import SpectralClustering

    squared = cdist(scores, scores, "sqeuclidean")
    near = np.sqrt(np.partition(squared, min(_NEIGHBOUR, len(scores) - 1), axis=1))
    scale = near[:, min(_NEIGHBOUR, len(scores) - 1)]
    scale = np.maximum(scale, max(float(scale.max()) * 1e-6, 1e-12))
    # A floor, so that parts far from each other are still parts of one graph.
    affinity = np.maximum(np.exp(-squared / (scale[:, None] * scale)), 1e-9)
    model = SpectralClustering(
        count, affinity="precomputed", assign_labels="cluster_qr", random_state=0
    )
    return np.asarray(model.fit_predict(affinity), np.int64)


def split_p(
    scores: FloatArray, owner: npt.NDArray[np.intp], generator: np.random.Generator
) -> float:
    """Return p of the hypothesis that images are of one kind.

    Half of the patients are split; the other half is laid along the way between the two centres and
    asked for its modes. The median over several halvings is taken: twice as much is a valid p
    whatever the data, but Silverman's test is so careful that the median itself keeps its level
    (``benchmarks/audit_calibration.py``).
    """
    found = []
    for _ in range(_SPLITS):
        may_stop_here()
        side = generator.permutation(int(owner.max()) + 1)[owner] % 2
        for fitted in (side == 0, side == 1):
            if fitted.sum() < 4 or (~fitted).sum() < 4:
                return 1.0
            part = bisect(scores[fitted])
            if part.min() == part.max():
                found.append(1.0)
                continue
            centres = [scores[fitted][part == each].mean(axis=0) for each in (0, 1)]
            along = scores[~fitted] @ (centres[1] - centres[0])
            found.append(one_mode_p(along, _RESAMPLES, generator))
    return float(np.median(found))


def _split_up(
    scores: FloatArray, owner: npt.NDArray[np.intp], generator: np.random.Generator
) -> tuple[IntArray, float]:
    """Split again and again while held-out patients agree; return clusters and the first p."""
    cluster = np.zeros(len(scores), np.int64)
    fewest = max(_FEWEST_IMAGES, round(_SMALLEST_SHARE * len(scores)))
    waiting, first_p = [0], float("nan")
    while waiting and cluster.max() + 1 < _MOST_CLUSTERS:
        members = np.flatnonzero(cluster == waiting.pop(0))
        own = np.unique(owner[members], return_inverse=True)[1]
        if len(members) < 2 * fewest or np.ptp(scores[members], axis=0).max() < 1e-9:
            continue
        p = split_p(scores[members], own, generator)
        first_p = p if np.isnan(first_p) else first_p
        part = bisect(scores[members]) if p <= LEVEL else np.zeros(len(members), np.int64)
        if min(part.sum(), len(part) - part.sum()) < fewest:
            continue
        number = int(cluster.max()) + 1
        name = int(cluster[members[0]])
        cluster[members[part == 1]] = number
        waiting += [name, number]
    return cluster, first_p


def _stability(
    scores: FloatArray,
    owner: npt.NDArray[np.intp],
    cluster: IntArray,
    generator: np.random.Generator,
) -> float:
    """Return the mean adjusted Rand index with clusterings of some of the patients."""
    from sklearn.metrics import adjusted_rand_score

    patients = int(owner.max()) + 1
    agreement = []
    for _ in range(_STABILITY_ROUNDS):
        may_stop_here()
        drawn = generator.permutation(patients) < _STABILITY_SHARE * patients
        chosen = drawn[owner]
        again = bisect(scores[chosen], int(cluster.max()) + 1)
        agreement.append(adjusted_rand_score(cluster[chosen], again))
    return float(np.mean(agreement))


def _principal(values: FloatArray) -> FloatArray:
    """Return the scores of images along the directions in which they differ most."""
    centred = values - values.mean(axis=0)
    spread, directions = np.linalg.eigh(centred.T @ centred)
    spread, directions = np.maximum(spread[::-1], 0), directions[:, ::-1]
    if spread.sum() == 0:
        return np.zeros((len(values), 1))
    enough = int(np.searchsorted(np.cumsum(spread) / spread.sum(), _VARIANCE)) + 1
    chosen = directions[:, : min(_COMPONENTS, max(2, enough))]
    # A direction has two ends; the sign is fixed, so that pictures of it do not flip.
    signs = np.sign(chosen[np.abs(chosen).argmax(axis=0), np.arange(chosen.shape[1])])
    return np.asarray(centred @ (chosen * signs))


def _some_patients(owner: npt.NDArray[np.intp], generator: np.random.Generator) -> IntArray:
    """Return images of as many patients as a spectral clustering takes."""
    if len(owner) <= _MOST_IMAGES:
        return np.arange(len(owner))
    place = generator.permutation(int(owner.max()) + 1)[owner]
    return np.sort(np.argsort(place, kind="stable")[:_MOST_IMAGES])


def _assigned(scores: FloatArray, fitted: IntArray, found: IntArray) -> IntArray:
    """Give every image the cluster of its nearest ones among those that were clustered."""
    everywhere = np.zeros(len(scores), np.int64)
    everywhere[fitted] = found
    others = np.setdiff1d(np.arange(len(scores)), fitted)
    if len(others) and found.max() > 0:
        from sklearn.neighbors import KNeighborsClassifier

        nearest = KNeighborsClassifier(min(5, len(fitted))).fit(scores[fitted], found)
        everywhere[others] = nearest.predict(scores[others])
    return everywhere


def _by_size(cluster: IntArray) -> IntArray:
    """Return clusters numbered from 1, the largest first."""
    numbers, counts = np.unique(cluster, return_counts=True)
    order = numbers[np.argsort(-counts, kind="stable")]
    return np.asarray(np.argsort(order, kind="stable")[np.searchsorted(numbers, cluster)] + 1)
