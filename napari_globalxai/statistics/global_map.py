"""Label-wise and overall global maps.

The terms are those of Engelmann, Storkey and Bernabeu (arXiv 2112.09591): the label-wise map is the
pixel-wise mean of image-wise attributions over a stated set of images; the overall map is the mean
of the label-wise maps, each first scaled to mass 1.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property, partial
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from napari_globalxai.maps.moments import Moments
from napari_globalxai.maps.upsampling import cells_inside, smooth, upsample
from napari_globalxai.statistics.map_statistics import MapContext, PreparedMaps, Statistic
from napari_globalxai.statistics.map_values import cell_values, error_of_sums, standard_error
from napari_globalxai.statistics.patient_groups import patient_codes
from napari_globalxai.statistics.patient_sums import PatientSums
from napari_globalxai.statistics.prepared_cells import CellReader, LabelCells
from napari_globalxai.statistics.recorded_statistics import declared_statistics, measure_all
from napari_globalxai.statistics.stability import OverallMaps, SomePatients

if TYPE_CHECKING:
    from napari_globalxai.maps.store import AttributionStore
    from napari_globalxai.settings.aggregation_settings import AggregationSettings

OVERALL = "overall"
MEANS = ("mean", "signed-mean")


def _no_error() -> npt.NDArray[np.float32]:
    raise ValueError("the overall map has no standard error")


@dataclass(frozen=True)
class GlobalMap:
    """A global map in the frame, with what is needed to judge it.

    Attributes
    ----------
    label : str
        The label, or ``overall``.
    mean, sd : numpy.ndarray
        float32 (*frame): mean and SD (n − 1) over images. The SD is computed at native resolution
        and brought to the frame as the mean is; it is NaN for fewer than two images and for the
        overall map.
    selected, entered : numpy.ndarray
        Images that were selected, and those whose map is in the mean.
    statistics : dict of str to float
        All declared statistics by name.
    statistic : str
        What `image` shows at each pixel, such as ``mean`` or ``median``.
    image : numpy.ndarray
        float32 (*frame): that statistic; of the overall map, the mean over the labels.
    """

    label: str
    mean: npt.NDArray[np.float32]
    sd: npt.NDArray[np.float32]
    selected: npt.NDArray[np.int64]
    entered: npt.NDArray[np.int64]
    statistics: dict[str, float]
    statistic: str
    image: npt.NDArray[np.float32]
    _error: Callable[[], npt.NDArray[np.float32]] = field(
        default=_no_error, repr=False, compare=False
    )
    _sums: PatientSums | None = field(default=None, repr=False, compare=False)

    @cached_property
    def standard_error(self) -> npt.NDArray[np.float32]:
        """Standard error of the mean, patients being the unit; NaN of fewer than two patients.

        It is computed from the store when it is asked for; the overall map has none, NaN.
        """
        if self._error is _no_error:
            return np.full_like(self.mean, np.nan)
        return self._error()

    @property
    def n(self) -> int:
        """Images in the mean; of the overall map, those selected for any label."""
        return int(self.statistics["n"])

    @property
    def n_patients(self) -> int:
        """Patients of those images."""
        return int(self.statistics["n_patients"])

    @property
    def n_constant(self) -> int:
        """How many of the selected maps were constant."""
        return int(self.statistics["n_constant"])

    @property
    def reliability(self) -> float:
        """How alike the maps of two cohorts of this size would be; may be NaN."""
        return self.statistics["reliability"]

    def warning(self, fewest: int) -> str:
        """Return a sentence when the map rests on too little, else an empty text."""
        if self.n == 0:
            return "no image: this map is empty"
        if self.n == 1:
            return "only 1 image: this is its map, and no global one"
        if self.n < fewest:
            return f"only {self.n} images: this map may be noise"
        if self.n_constant > self.n / 2:
            return f"{self.n_constant} image-wise maps are constant"
        return ""


@dataclass(frozen=True)
class Averaging:
    """What global maps are made from, and how.

    Attributes
    ----------
    store : AttributionStore
        The image-wise maps.
    patients : sequence of str
        Patient of every image of the store.
    settings : AggregationSettings
        What of each image's map enters, and how.
    seed : int
        Of the splits of the patients into halves, and of all else that is random.
    valid : numpy.ndarray or None
        Pixels inside the field of view, bool (*frame), for statistics that look at them.
    statistics : tuple of Statistic
        What is computed of every map; by default all that are declared.
    statistic : str
        What a map shows of its images at each cell: ``mean`` or another of `STATISTICS_OF_CELLS`.
    """

    store: AttributionStore
    patients: Sequence[str]
    settings: AggregationSettings
    seed: int = 0
    valid: npt.NDArray[np.bool_] | None = None
    statistics: tuple[Statistic, ...] = field(default_factory=declared_statistics)
    statistic: str = "mean"

    @cached_property
    def codes(self) -> npt.NDArray[np.int64]:
        """Patient of every image of the store as a number."""
        return patient_codes(self.patients)

    @cached_property
    def reader(self) -> CellReader:
        """Reads all cells of the image-wise maps, as they enter."""
        return CellReader(self.store, self.settings)

    def label_map(
        self, label: str, rows: npt.NDArray[np.int64], full_resolution: Moments | None = None
    ) -> GlobalMap:
        """Average the image-wise maps of one label, pixel by pixel.

        Parameters
        ----------
        label : str
            Which label of the store.
        rows : numpy.ndarray
            Images that enter.
        full_resolution : Moments, optional
            Mean and SD of the same maps before they were pooled; they are taken where they are
            there.
        """
        shape = self.store.grid.shape
        whole, sums = Moments(shape), PatientSums(self.codes, rows, shape)
        entered, n_constant = [rows[:0]], 0
        parts = LabelCells(self.reader, label, rows)
        for part in parts:
            n_constant += part.n_constant
            maps = part.values.astype(np.float64).reshape(-1, *shape)
            whole.add(maps)
            if not parts.keeps:
                sums.add(part.rows, maps)
            entered.append(part.rows)
        mean, sd = self._in_frame(whole, full_resolution)
        members = np.concatenate(entered)
        if parts.keeps:
            # All at once, which is faster.
            sums.add(members, parts.columns(slice(None)).reshape(-1, *shape))
        error = partial(self._standard_error, label, members, whole.mean.ravel(), sums)
        context = MapContext(
            name=label,
            image=self._chosen(parts, members, mean, sd, error),
            selected=rows,
            entered=members,
            patients=self.patients,
            n_constant=n_constant,
            seed=self.seed,
            valid=self.valid,
            grid=self.store.grid,
            whole=whole,
            by_patient=sums.maps,
            compared=self._compared(sums.side),
            maps=partial(_maps_of, parts, shape),
        )
        return self._measured(context, mean, sd, error, sums)

    def overall_map(self, maps: Sequence[GlobalMap]) -> GlobalMap:
        """Return the overall map of label-wise ones, with its statistics; see `overall_map`."""
        mean = overall_map({image.label: image.image for image in maps})
        sums = [image._sums for image in maps if image._sums is not None]
        context = MapContext(
            name=OVERALL,
            image=mean,
            selected=np.unique(np.concatenate([image.selected for image in maps])),
            entered=np.unique(np.concatenate([image.entered for image in maps])),
            patients=self.patients,
            n_constant=sum(image.n_constant for image in maps),
            seed=self.seed,
            valid=self.valid,
            by_label={image.label: image.statistics for image in maps},
            together=_together(sums) if sums else None,
            compared=self._compared(sums[0].side) if sums else None,
        )
        return self._measured(context, mean, np.full_like(mean, np.nan))

    def _compared(self, side: int) -> npt.NDArray[np.bool_]:
        """Return which cells, or squares of cells, lie inside the field of view, (cell,)."""
        grid = self.store.grid if side == 1 else self.store.grid.pooled(side)
        if self.valid is None:
            return np.ones(int(np.prod(grid.shape)), dtype=bool)
        return cells_inside(self.valid, grid).ravel()

    def _chosen(
        self,
        parts: LabelCells,
        rows: npt.NDArray[np.int64],
        mean: npt.NDArray[np.float32],
        sd: npt.NDArray[np.float32],
        error: Callable[[], npt.NDArray[np.float32]],
    ) -> npt.NDArray[np.float32]:
        """Return what the map shows of its images."""
        if self.statistic in MEANS:
            return mean
        if self.statistic == "sd":
            return sd
        if self.statistic == "standard-error":
            return error()
        if self.statistic == "positive-share" and not self._tells_sign:
            # Of what speaks for the label, whatever part of it the map would show.
            changes = {"part": "signed", "scale": "none", "constant_maps": "counted"}
            reader = CellReader(self.store, self.settings.model_copy(update=changes))
            parts = LabelCells(reader, parts.label, rows)
        count = int(np.prod(self.store.grid.shape))
        return self._cells_in_frame(cell_values(self.statistic, parts, len(rows), count))

    @property
    def _tells_sign(self) -> bool:
        """Whether maps as they enter tell what speaks for the label, and all of them do."""
        return self.settings.part != "absolute" and self.settings.constant_maps == "counted"

    def _standard_error(
        self,
        label: str,
        rows: npt.NDArray[np.int64],
        mean: npt.NDArray[np.float64],
        sums: PatientSums,
    ) -> npt.NDArray[np.float32]:
        values = (
            error_of_sums(sums.maps, mean)
            if sums.side == 1
            else standard_error(self.reader, label, rows, self.codes, mean)
        )
        return self._cells_in_frame(values)

    def _cells_in_frame(self, values: npt.NDArray[np.float64]) -> npt.NDArray[np.float32]:
        grid = self.store.grid
        return smooth(upsample(values.reshape(grid.shape), grid), self.settings.smoothing)

    def _in_frame(
        self, whole: Moments, full_resolution: Moments | None
    ) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.float32]]:
        """Return mean and SD in the frame, smoothed if asked for."""
        mean, sd = (
            (upsample(whole.mean, self.store.grid), upsample(whole.sd(), self.store.grid))
            if full_resolution is None
            else (full_resolution.mean, full_resolution.sd())
        )
        return smooth(mean, self.settings.smoothing), smooth(sd, self.settings.smoothing)

    def _measured(
        self,
        context: MapContext,
        mean: npt.NDArray[np.float32],
        sd: npt.NDArray[np.float32],
        error: Callable[[], npt.NDArray[np.float32]] = _no_error,
        sums: PatientSums | None = None,
    ) -> GlobalMap:
        return GlobalMap(
            label=context.name,
            mean=mean,
            sd=sd,
            selected=context.selected,
            entered=context.entered,
            statistics=measure_all(self.statistics, context),
            statistic=self.statistic,
            image=context.image,
            _error=error,
            _sums=sums,
        )


def _together(sums: Sequence[PatientSums]) -> OverallMaps:
    """Return what makes the overall map of those patients who have a map of any label."""
    patients = np.unique(np.concatenate([each.patients for each in sums]))
    return OverallMaps(
        [
            each.maps
            if len(each.patients) == len(patients)
            else SomePatients(each.maps, np.searchsorted(patients, each.patients))
            for each in sums
        ]
    )


def _maps_of(parts: LabelCells, shape: tuple[int, ...]) -> PreparedMaps:
    for part in parts:
        yield part.rows, part.values.astype(np.float64).reshape(-1, *shape)


def overall_map(
    maps: Mapping[str, npt.NDArray[np.float32]],
) -> npt.NDArray[np.float32]:
    """Return the mean of label-wise maps, each first scaled to mass 1.

    Maps without mass are left out.

    Parameters
    ----------
    maps : mapping of str to numpy.ndarray
        Label-wise mean maps, (*frame).
    """
    scaled = [image / mass for image in maps.values() if (mass := float(np.abs(image).sum())) > 0]
    if not scaled:
        return np.zeros_like(next(iter(maps.values())))
    return np.asarray(np.mean(scaled, axis=0, dtype=np.float64), np.float32)
