"""Label-wise and overall global maps.

The terms are those of Engelmann, Storkey and Bernabeu (arXiv 2112.09591): the label-wise map is the
pixel-wise mean of image-wise attributions over a stated set of images; the overall map is the mean
of the label-wise maps, each first scaled to mass 1.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from napari_globalxai.maps.moments import Moments
from napari_globalxai.maps.preparing import is_constant, prepare_maps
from napari_globalxai.maps.upsampling import smooth, upsample
from napari_globalxai.statistics.map_statistics import MapContext, PreparedMaps, Statistic
from napari_globalxai.statistics.recorded_statistics import declared_statistics, measure_all

if TYPE_CHECKING:
    from napari_globalxai.maps.store import AttributionStore
    from napari_globalxai.settings.aggregation_settings import AggregationSettings

OVERALL = "overall"


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
    """

    label: str
    mean: npt.NDArray[np.float32]
    sd: npt.NDArray[np.float32]
    selected: npt.NDArray[np.int64]
    entered: npt.NDArray[np.int64]
    statistics: dict[str, float]

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
        """Spearman correlation of the maps of two halves of the patients; may be NaN."""
        return self.statistics["reliability"]

    def warning(self, fewest: int) -> str:
        """Return a sentence when the map rests on too little, else an empty text."""
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
        Of the split of the patients into halves, and of all else that is random.
    valid : numpy.ndarray or None
        Pixels inside the field of view, bool (*frame), for statistics that look at them.
    statistics : tuple of Statistic
        What is computed of every map; by default all that are declared.
    """

    store: AttributionStore
    patients: Sequence[str]
    settings: AggregationSettings
    seed: int = 0
    valid: npt.NDArray[np.bool_] | None = None
    statistics: tuple[Statistic, ...] = field(default_factory=declared_statistics)

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
        whole, halves = Moments(shape), (Moments(shape), Moments(shape))
        side_of = self._halves(rows)
        entered, n_constant = [rows[:0]], 0
        for part, maps in self._prepared(label, rows):
            constant = is_constant(maps)
            n_constant += int(constant.sum())
            keep = self._keeps(constant)
            whole.add(maps[keep])
            sides = np.array([side_of[self.patients[row]] for row in part])
            for side in (0, 1):
                halves[side].add(maps[keep & (sides == side)])
            entered.append(part[keep])
        mean, sd = self._in_frame(whole, full_resolution)
        context = MapContext(
            name=label,
            image=mean,
            selected=rows,
            entered=np.concatenate(entered),
            patients=self.patients,
            n_constant=n_constant,
            seed=self.seed,
            valid=self.valid,
            grid=self.store.grid,
            whole=whole,
            halves=halves,
            maps=partial(self._in_mean, label, rows),
        )
        return self._measured(context, sd)

    def overall_map(self, maps: Sequence[GlobalMap]) -> GlobalMap:
        """Return the overall map of label-wise ones, with its statistics; see `overall_map`."""
        mean = overall_map({image.label: image.mean for image in maps})
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
        )
        return self._measured(context, np.full_like(mean, np.nan))

    def _halves(self, rows: npt.NDArray[np.int64]) -> dict[str, int]:
        """Draw the half of each patient; halves differ by one patient at most."""
        chosen = sorted({self.patients[row] for row in rows})
        sides = np.random.default_rng(self.seed).permutation(len(chosen)) % 2
        return dict(zip(chosen, sides.tolist(), strict=True))

    def _prepared(self, label: str, rows: npt.NDArray[np.int64]) -> PreparedMaps:
        for part, raw in self.store.chunks(rows, self.store.labels.index(label)):
            yield part, prepare_maps(raw, self.settings)

    def _in_mean(self, label: str, rows: npt.NDArray[np.int64]) -> PreparedMaps:
        for part, maps in self._prepared(label, rows):
            keep = self._keeps(is_constant(maps))
            yield part[keep], maps[keep]

    def _keeps(self, constant: npt.NDArray[np.bool_]) -> npt.NDArray[np.bool_]:
        """Tell which maps enter, by which of them are constant."""
        left_out = self.settings.constant_maps == "left-out"
        return ~constant if left_out else np.ones_like(constant)

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

    def _measured(self, context: MapContext, sd: npt.NDArray[np.float32]) -> GlobalMap:
        return GlobalMap(
            label=context.name,
            mean=context.image,
            sd=sd,
            selected=context.selected,
            entered=context.entered,
            statistics=measure_all(self.statistics, context),
        )


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
