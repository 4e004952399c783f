"""Cross-fitting: every image is tested along a map that its patient had no part in."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from napari_globalxai.faithfulness.scores.auc_scores import FloatArray

CROSS_FITTED = "cross-fitted"
SAME_IMAGES = "same images"
ANOTHER_RUN = "another run"
GIVEN_MAP = "a map from a file"


@dataclass(frozen=True)
class FoldMap:
    """The map that the images of a fold are tested along.

    Attributes
    ----------
    image : numpy.ndarray
        The map, (*spatial).
    rivals : mapping of str to numpy.ndarray
        Maps that it is compared with, by what they are called, made of the same patients.
    remade : tuple of numpy.ndarray
        The same map, made again of halves of those patients.
    """

    image: npt.NDArray[np.floating]
    rivals: Mapping[str, npt.NDArray[np.floating]] = field(default_factory=dict)
    remade: tuple[npt.NDArray[np.floating], ...] = ()


def assign_folds(
    patients: Sequence[str], truth: FloatArray, count: int, seed: int
) -> npt.NDArray[np.int64]:
    """Return the fold of each image; patients stay whole, and each label is spread evenly.

    Parameters
    ----------
    patients : sequence of str
        Patient of each image.
    truth : numpy.ndarray
        (image, label): 1, 0 or NaN.
    count : int
        Folds.
    seed : int
        Of the patients' order.
    """
    dealt, owner = dealt_patients(patients, truth, seed)
    fold = np.empty(len(dealt), np.int64)
    fold[dealt] = np.arange(len(dealt)) % count
    return np.asarray(fold[owner])


def dealt_patients(
    patients: Sequence[str], truth: FloatArray, seed: int
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.intp]]:
    """Return the patients by the labels that they carry, at random within, and each image's.

    Parameters
    ----------
    patients : sequence of str
        Patient of each image.
    truth : numpy.ndarray
        (image, label): 1, 0 or NaN.
    seed : int
        Of the order.

    Returns
    -------
    tuple of numpy.ndarray
        Numbers of the patients in that order, (patient,), and each image's patient, (image,).
    """
    names, owner = np.unique(np.asarray(patients), return_inverse=True)
    carries = np.zeros((len(names), truth.shape[1]), bool)
    np.logical_or.at(carries, owner, truth == 1)
    alike: dict[bytes, list[int]] = defaultdict(list)
    for patient in np.random.default_rng([seed, 4]).permutation(len(names)):
        alike[carries[patient].tobytes()].append(int(patient))
    return np.array([patient for key in sorted(alike) for patient in alike[key]]), owner


def can_cross_fit(
    patients: Sequence[str],
    members: Mapping[str, npt.NDArray[np.bool_]],
    fold_of: npt.NDArray[np.int64],
    fewest: int,
) -> bool:
    """Tell whether each fold's map would rest on enough patients of every label.

    Parameters
    ----------
    patients : sequence of str
        Patient of each image.
    members : mapping of str to numpy.ndarray
        By label that the map is made of, which images stand behind it, bool (image,).
    fold_of : numpy.ndarray
        Fold of each image.
    fewest : int
        Patients that a map needs at least.
    """
    owner = np.asarray(patients)
    return all(
        len(set(owner[chosen & (fold_of != fold)])) >= fewest
        for chosen in members.values()
        for fold in np.unique(fold_of)
    )
