"""The sums of each patient's maps, from which a map, its reliability and its error follow."""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

from napari_globalxai.statistics.patient_groups import PatientGroups
from napari_globalxai.statistics.prepared_cells import pooled
from napari_globalxai.statistics.stability import PatientMaps

_MOST_BYTES = 256 << 20


class PatientSums:
    """Sums the maps of one label by patient, as they are read.

    Parameters
    ----------
    codes : numpy.ndarray
        Patient of every image of the store, see `patient_codes`.
    rows : numpy.ndarray
        Images that may come.
    shape : tuple of int
        Cells of a map.
    most_bytes : int, optional
        Where the sums of all patients of the store would take more, squares of cells are averaged:
        the same ones, whatever label and images are looked at.

    Attributes
    ----------
    side : int
        Side of those squares; 1 where cells are taken as they are.
    """

    def __init__(
        self,
        codes: npt.NDArray[np.int64],
        rows: npt.NDArray[np.int64],
        shape: tuple[int, ...],
        most_bytes: int = _MOST_BYTES,
    ) -> None:
        self._codes, self._present = codes, np.unique(codes[rows])
        cells = most_bytes // (8 * (int(codes.max(initial=0)) + 1))
        self.side = next(
            side
            for side in range(1, max(shape) + 1)
            if math.prod(_shape(shape, side)) <= cells or side == max(shape)
        )
        self._sums = np.zeros((len(self._present), math.prod(_shape(shape, self.side))))
        self._sizes = np.zeros(len(self._present), np.int64)

    def add(self, rows: npt.NDArray[np.int64], maps: npt.NDArray[np.floating]) -> None:
        """Take in the maps of some images, (image, *cells)."""
        if len(rows) == 0:
            return
        groups = PatientGroups(self._codes[rows])
        few = maps if self.side == 1 else pooled(maps, self.side)
        sums = groups.sums(few.reshape(len(few), -1))
        if len(groups) == len(self._present) and not self._sizes.any():
            # All at once, as in most cases.
            self._sums, self._sizes = sums, groups.sizes
            return
        places = np.searchsorted(self._present, groups.present)
        self._sums[places] += sums
        self._sizes[places] += groups.sizes

    @property
    def patients(self) -> npt.NDArray[np.int64]:
        """Codes of those patients whose maps came, ascending."""
        return self._present[self._sizes > 0]

    @property
    def maps(self) -> PatientMaps:
        """The sums of those patients whose maps came, by ascending code."""
        there = self._sizes > 0
        if there.all():
            return PatientMaps(self._sums, self._sizes)
        return PatientMaps(self._sums[there], self._sizes[there])


def _shape(shape: tuple[int, ...], side: int) -> list[int]:
    return [math.ceil(length / side) for length in shape]
