"""Label-wise and overall global maps.

The terms are those of Engelmann, Storkey and Bernabeu (arXiv 2112.09591): the label-wise map is the
pixel-wise mean of image-wise attributions over a stated set of images; the overall map is the mean
of the label-wise maps, each first scaled to mass 1.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt
from pydantic import BaseModel, ConfigDict, Field
from scipy.stats import spearmanr

from napari_globalxai.aggregation.moments import Moments
from napari_globalxai.attribution.method import Part
from napari_globalxai.attribution.store import AttributionStore
from napari_globalxai.models.upsampling import smooth, upsample

OVERALL = "overall"
Selection = Literal[
    "positives",
    "predicted-positives",
    "true-positives",
    "false-positives",
    "false-negatives",
    "all",
]


class AggregationSettings(BaseModel):
    """What decides how image-wise maps become a global map.

    Attributes
    ----------
    part : str
        What of each image's map enters, after channel reduction: its ``positive`` part, its
        ``absolute`` value, or the ``signed`` map.
    scale : str
        Scaling of each image's map: ``none``, ``max`` (to maximum 1) or ``mass`` (to sum 1).
    selection : str
        Images that enter a label's map: ``positives`` truly carry it; ``predicted-positives`` reach
        `threshold`; and so on.
    threshold : float
        Probability from which an image counts as predicted positive.
    constant_maps : str
        Whether constant maps (an all-zero Grad-CAM) are ``counted`` in the mean or ``left-out``.
    smoothing : float
        SD in frame pixels of a Gaussian over the finished map.
    fewest_images : int
        Below this number of images a map carries a warning.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    part: Part = "positive"
    scale: Literal["none", "max", "mass"] = "none"
    selection: Selection = "positives"
    threshold: float = Field(default=0.5, gt=0, lt=1)
    constant_maps: Literal["counted", "left-out"] = "counted"
    smoothing: float = Field(default=0.0, ge=0)
    fewest_images: int = Field(default=20, ge=1)


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


def prepare_maps(
    maps: npt.NDArray[np.float32], settings: AggregationSettings
) -> npt.NDArray[np.float64]:
    """Take the chosen part of each image-wise map and scale it, (image, rows, columns)."""
    values = maps.astype(np.float64)
    if settings.part == "positive":
        values = np.maximum(values, 0)
    elif settings.part == "absolute":
        values = np.abs(values)
    if settings.scale != "none":
        size = np.abs(values)
        norm = size.max(axis=(1, 2)) if settings.scale == "max" else size.sum(axis=(1, 2))
        # An all-zero map has no scale; it stays zero.
        values = values / np.where(norm > 0, norm, 1)[:, None, None]
    return values


def is_constant(maps: npt.NDArray[np.floating]) -> npt.NDArray[np.bool_]:
    """Return which maps (image, rows, columns) have one value only."""
    constant: npt.NDArray[np.bool_] = maps.max(axis=(1, 2)) == maps.min(axis=(1, 2))
    return constant


def select_rows(
    truth: npt.NDArray[np.float64],
    probability: npt.NDArray[np.float64],
    settings: AggregationSettings,
) -> npt.NDArray[np.int64]:
    """Return the rows that enter one label's map.

    Parameters
    ----------
    truth, probability : numpy.ndarray
        (image,): 1, 0 or NaN; and the predicted probability, NaN where there is no prediction.
    settings : AggregationSettings
        Selection and threshold.
    """
    carries, lacks = truth == 1, truth == 0
    predicted = probability >= settings.threshold
    chosen = {
        "positives": carries,
        "predicted-positives": predicted,
        "true-positives": carries & predicted,
        "false-positives": lacks & predicted,
        "false-negatives": carries & ~predicted,
        "all": np.ones_like(carries),
    }[settings.selection]
    return np.flatnonzero(chosen & np.isfinite(probability))


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
