"""Numbers by which a global map is judged: each declares its column, its heading and its format.

A package adds its own by an entry point in the group ``napari_globalxai.statistics``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, ClassVar, Protocol

import numpy as np
import numpy.typing as npt

from napari_globalxai.maps.moments import Moments

if TYPE_CHECKING:
    from napari_globalxai.maps.cell_grid import CellGrid
    from napari_globalxai.statistics.stability import MapMaker, OverallMaps, PatientMaps

# Of the patients into halves: enough that others would hardly change the second digit.
SPLITS = 50
PreparedMaps = Iterator[tuple[npt.NDArray[np.int64], npt.NDArray[np.float64]]]


def _no_maps() -> PreparedMaps:
    return iter(())


@dataclass(frozen=True)
class MapContext:
    """One global map, and what a statistic may look at.

    Attributes
    ----------
    name : str
        The label, or ``overall``.
    image : numpy.ndarray
        The finished map, float32 (*frame).
    selected, entered : numpy.ndarray
        Images that were selected, and those whose map is in the mean: not constant maps that are
        left out. Of the overall map: for any label.
    patients : sequence of str
        Patient of every image of the store.
    n_constant : int
        How many of the selected maps have one value only; of the overall map, over all labels.
    seed : int
        Of everything random.
    valid : numpy.ndarray or None
        Pixels inside the field of view, bool (*frame), where they are known.
    grid : CellGrid or None
        Where the cells of the store lie in the frame; None of the overall map.
    whole : Moments or None
        Mean and SD over the images at the resolution of the store; None of the overall map.
    by_patient : PatientMaps or None
        Sums of each patient's maps, of squares of cells where there are very many; None of the
        overall map.
    compared : numpy.ndarray or None
        Which cells of those sums lie inside the field of view, bool (cell,); of the overall map,
        which of those of `together`.
    maps : callable
        Goes through the maps that are in the mean: gives rows and their prepared maps
        (image, *cells), one chunk of the store after the other; none of the overall map.
    by_label : mapping of str to mapping
        Of the overall map: the statistics of the label-wise maps; else empty.
    together : OverallMaps or None
        Of the overall map: makes it from the sums of each patient's maps; their patients are those
        of `entered`.
    """

    name: str
    image: npt.NDArray[np.float32]
    selected: npt.NDArray[np.int64]
    entered: npt.NDArray[np.int64]
    patients: Sequence[str]
    n_constant: int
    seed: int = 0
    valid: npt.NDArray[np.bool_] | None = None
    grid: CellGrid | None = None
    whole: Moments | None = None
    by_patient: PatientMaps | None = None
    compared: npt.NDArray[np.bool_] | None = None
    maps: Callable[[], PreparedMaps] = _no_maps
    by_label: Mapping[str, Mapping[str, float]] = field(default_factory=dict)
    together: OverallMaps | None = None

    @property
    def is_overall(self) -> bool:
        """Whether this is the overall map, not that of a label."""
        return self.whole is None

    @property
    def counted(self) -> npt.NDArray[np.int64]:
        """Images that the map is said to rest on.

        Those in the mean; of the overall map those selected for any label, because an image may be
        left out for one label and not for another.
        """
        return self.selected if self.is_overall else self.entered


class Statistic(Protocol):
    """A number about a global map.

    Attributes
    ----------
    name : str
        Its column in ``maps.csv``, and its name in the catalogue: lower case with underscores.
    heading : str
        What tables for people call it.
    format : str
        How they write it, as Python's format specification: ``d``, ``.2f``.
    """

    name: ClassVar[str]
    heading: ClassVar[str]
    format: ClassVar[str]

    def measure(self, context: MapContext) -> float:
        """Return the number; NaN where it has no meaning, as often of the overall map."""


class Images:
    """How many images the mean was taken over."""

    name: ClassVar[str] = "n"
    heading: ClassVar[str] = "Images"
    format: ClassVar[str] = "d"

    def measure(self, context: MapContext) -> float:
        """Count them."""
        return len(context.counted)


class Patients:
    """How many patients those images are of."""

    name: ClassVar[str] = "n_patients"
    heading: ClassVar[str] = "Patients"
    format: ClassVar[str] = "d"

    def measure(self, context: MapContext) -> float:
        """Count them."""
        return len({context.patients[row] for row in context.counted})


class ConstantMaps:
    """How many image-wise maps have one value only."""

    name: ClassVar[str] = "n_constant"
    heading: ClassVar[str] = "Constant"
    format: ClassVar[str] = "d"

    def measure(self, context: MapContext) -> float:
        """Count them."""
        return context.n_constant


class Reliability:
    """Spearman correlation of maps of random halves of the patients, brought to all of them."""

    name: ClassVar[str] = "reliability"
    heading: ClassVar[str] = "Reliability"
    format: ClassVar[str] = ".2f"

    def measure(self, context: MapContext) -> float:
        """Correlate them; NaN for a single patient and constant halves."""
        maker: MapMaker | None = context.by_patient or context.together
        if maker is None or context.compared is None:
            return float("nan")
        # Imports pandas, for which --help need not wait.
        from napari_globalxai.statistics.stability import spearman_brown, split_halves

        generator = np.random.default_rng(context.seed)
        patients = len({context.patients[row] for row in context.entered})
        found = split_halves(maker, patients, context.compared, SPLITS, generator)
        return spearman_brown(found.correlation)
