"""Images grouped by patient: the unit of everything that is resampled or permuted."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt


def patient_codes(patients: Sequence[str]) -> npt.NDArray[np.int64]:
    """Return a number for each image, the same for images of one patient, from 0.

    They go by name, so that what is drawn of patients does not depend on the order of the images.
    """
    numbers = {name: number for number, name in enumerate(sorted(set(patients)))}
    return np.array([numbers[each] for each in patients], np.int64)


@dataclass(frozen=True)
class PatientGroups:
    """Some images, grouped by patient.

    Parameters
    ----------
    codes : numpy.ndarray
        Patient of each of the images, see `patient_codes`.
    """

    codes: npt.NDArray[np.int64]

    @cached_property
    def present(self) -> npt.NDArray[np.int64]:
        """Codes of the patients that are there, ascending: patients are in this order below."""
        return np.unique(self.codes)

    def __len__(self) -> int:
        """Return the number of patients."""
        return len(self.present)

    @cached_property
    def of_image(self) -> npt.NDArray[np.int64]:
        """Place of each image's patient among those that are there."""
        return np.searchsorted(self.present, self.codes)

    @cached_property
    def sizes(self) -> npt.NDArray[np.int64]:
        """Images of each patient."""
        return np.bincount(self.of_image, minlength=len(self))

    @cached_property
    def _summing(self) -> Any:
        # Takes a moment to import.
        from scipy.sparse import csr_array

        count = len(self.codes)
        return csr_array(
            (np.ones(count), (self.of_image, np.arange(count))), shape=(len(self), count)
        )

    def sums(self, values: npt.NDArray[np.floating]) -> npt.NDArray[np.float64]:
        """Sum over the images of each patient, (image, …) to float64 (patient, …)."""
        flat = values.reshape(len(values), -1)
        summed: npt.NDArray[np.float64] = self._summing @ flat
        return summed.reshape(len(self), *values.shape[1:])

    def means(self, values: npt.NDArray[np.floating]) -> npt.NDArray[np.float64]:
        """Average over the images of each patient, (image, …) to float64 (patient, …)."""
        sizes = self.sizes.reshape(-1, *[1] * (values.ndim - 1))
        return np.asarray(self.sums(values) / sizes)

    def resamples(self, count: int, seed: int) -> npt.NDArray[np.int64]:
        """Draw patients with replacement: how often each comes, (resample, patient)."""
        share = np.full(len(self), 1 / len(self))
        return np.random.default_rng(seed).multinomial(len(self), share, size=count)
