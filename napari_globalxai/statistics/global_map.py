"""Label-wise and overall global maps.

The terms are those of Engelmann, Storkey and Bernabeu (arXiv 2112.09591): the label-wise map is the
pixel-wise mean of image-wise attributions over a stated set of images; the overall map is the mean
of the label-wise maps, each first scaled to mass 1.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from napari_globalxai.maps.moments import Moments
from napari_globalxai.maps.preparing import is_constant, prepare_maps
from napari_globalxai.maps.store import AttributionStore
from napari_globalxai.maps.upsampling import smooth, upsample
from napari_globalxai.settings.aggregation_settings import AggregationSettings

OVERALL = "overall"


@dataclass(frozen=True)
class GlobalMap:
    """A label-wise global map in the frame, with what is needed to judge it.

    Attributes
    ----------
    label : str
        The label.
    mean, sd : numpy.ndarray
        float32 (height, width): mean and SD (n − 1) over images. The SD is computed at native
        resolution and brought to the frame as the mean is; it is NaN for fewer than two images.
    n, n_patients, n_constant : int
        Images and patients in the mean, and how many of the selected maps were constant.
    reliability : float
        Spearman correlation of the maps of two halves of the patients, NaN for a single patient.
    """

    label: str
    mean: npt.NDArray[np.float32]
    sd: npt.NDArray[np.float32]
    n: int
    n_patients: int
    n_constant: int
    reliability: float

    def warning(self, fewest: int) -> str:
        """Return a sentence when the map rests on too little, else an empty text."""
        if self.n < fewest:
            return f"only {self.n} images: this map may be noise"
        if self.n_constant > self.n / 2:
            return f"{self.n_constant} image-wise maps are constant"
        return ""


def label_map(
    store: AttributionStore,
    label: str,
    rows: npt.NDArray[np.int64],
    patients: Sequence[str],
    settings: AggregationSettings,
    seed: int = 0,
    full_resolution: Moments | None = None,
) -> GlobalMap:
    """Average the image-wise maps of one label.

    Parameters
    ----------
    store : AttributionStore
        The image-wise maps.
    label : str
        Which label of the store.
    rows : numpy.ndarray
        Images that enter.
    patients : sequence of str
        Patient of every image of the store.
    settings : AggregationSettings
        How.
    seed : int, optional
        Of the split of the patients into halves.
    full_resolution : Moments, optional
        Mean and SD of the same maps before they were pooled; they are taken where they are there.

    Returns
    -------
    GlobalMap
    """
    shape = store.grid.shape
    whole, halves = Moments(shape), (Moments(shape), Moments(shape))
    chosen = sorted({patients[row] for row in rows})
    side_of = dict(
        zip(chosen, np.random.default_rng(seed).permutation(len(chosen)) % 2, strict=True)
    )
    n_constant = 0
    entered: set[str] = set()
    for part, raw in store.chunks(rows, store.labels.index(label)):
        maps = prepare_maps(raw, settings)
        constant = is_constant(maps)
        n_constant += int(constant.sum())
        keep = ~constant if settings.constant_maps == "left-out" else np.ones_like(constant)
        whole.add(maps[keep])
        sides = np.array([side_of[patients[row]] for row in part])
        for side in (0, 1):
            halves[side].add(maps[keep & (sides == side)])
        entered.update(patients[row] for row in part[keep])
    both = all(half.n > 0 and np.ptp(half.mean) > 0 for half in halves)
    # Takes a moment to import.
    from scipy.stats import spearmanr

    reliability = (
        float(spearmanr(halves[0].mean.ravel(), halves[1].mean.ravel()).statistic)
        if both
        else float("nan")
    )
    mean, sd = (
        (upsample(whole.mean, store.grid), upsample(whole.sd(), store.grid))
        if full_resolution is None
        else (full_resolution.mean, full_resolution.sd())
    )
    return GlobalMap(
        label=label,
        mean=smooth(mean, settings.smoothing),
        sd=smooth(sd, settings.smoothing),
        n=whole.n,
        n_patients=len(entered),
        n_constant=n_constant,
        reliability=reliability,
    )


def overall_map(
    maps: Mapping[str, npt.NDArray[np.float32]],
) -> npt.NDArray[np.float32]:
    """Return the mean of label-wise maps, each first scaled to mass 1.

    Maps without mass are left out.

    Parameters
    ----------
    maps : mapping of str to numpy.ndarray
        Label-wise mean maps, (height, width).
    """
    scaled = [image / mass for image in maps.values() if (mass := float(np.abs(image).sum())) > 0]
    if not scaled:
        return np.zeros_like(next(iter(maps.values())))
    return np.asarray(np.mean(scaled, axis=0, dtype=np.float64), np.float32)
