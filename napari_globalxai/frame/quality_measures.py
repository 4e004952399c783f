"""Quality of an aligned cohort: how sharp its mean is, and which images do not belong."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy import ndimage

from napari_globalxai.frame.alignment import spread_over
from napari_globalxai.frame.geometry import pixel_aspect
from napari_globalxai.frame.local_detail import (
    Detail,
    FloatImage,
    Mask,
    detail_of,
    plain_channel,
)
from napari_globalxai.frame.registrar import NO_REGISTRATION, Atlas, FramedImage, registrar_for
from napari_globalxai.frame.stack import AlignedStack, batches
from napari_globalxai.progress import Progress, ProgressCallback, ignore_progress

# What is compared between images lies this far from the border of the field (share of the width):
# nearer, a darker rim is all that images have in common, whatever they show.
_FROM_BORDER = 0.12
# Landmarks can still be seen at this width; twice as wide, every image costs four times as much.
WORKING_WIDTH = 200
_BATCH = 32
_THREADS = 4

# Iglewicz and Hoaglin, "How to detect and handle outliers", 1993: a modified z-score beyond 3.5.
OUTLIER_SCORE = 3.5
_NORMAL_MAD = 0.6745  # median absolute deviation of a standard normal


@dataclass(frozen=True)
class Measure:
    """Something measured on every image in which one can differ from the others.

    Attributes
    ----------
    name : str
        Its column.
    low, high : str
        What is said of an image far below or above the others; empty where that is no fault.
    least_spread : float
        Standard deviation that any cohort has: in a very even one, nothing is far from the others
        that nobody could tell from them.
    as_ratio : bool
        Whether images are compared by its logarithm, as twice and half are equally far.
    """

    name: str
    low: str
    high: str
    least_spread: float
    as_ratio: bool = False


MEASURES = (
    Measure("distance", "", "unlike the other images", 0.02),
    Measure("brightness", "dark", "bright", 0.05, as_ratio=True),
    Measure("contrast", "of low contrast", "of high contrast", 0.05, as_ratio=True),
    Measure("focus", "blurred", "with unusually much fine detail", 0.05, as_ratio=True),
    Measure("field_share", "field of view small or hidden", "", 0.02),
)
_LEAST = 1e-3  # takes the place of 0 in a logarithm


@dataclass(frozen=True)
class StackQuality:
    """What a look at every aligned image came to.

    Attributes
    ----------
    mean, sd : numpy.ndarray
        Mean and standard deviation over the images, float32 (channel, height, width) in 0–255.
    coverage : numpy.ndarray
        Share of the images whose field of view holds each pixel, float32 (height, width).
    sharpness : float
        Share of the images' detail that their mean keeps, see `measure_quality`.
    measures : pandas.DataFrame
        One row an image, indexed by its row in the stack; the columns are those of `MEASURES`,
        with ``outlier_score`` and ``outlier_reasons`` of `score_outliers`.
    """

    mean: npt.NDArray[np.float32]
    sd: npt.NDArray[np.float32]
    coverage: npt.NDArray[np.float32]
    sharpness: float
    measures: pd.DataFrame

    @property
    def outliers(self) -> pd.DataFrame:
        """Measures of the images beyond `OUTLIER_SCORE`, the farthest first."""
        ranked = self.measures.sort_values("outlier_score", ascending=False, kind="stable")
        return ranked[ranked["outlier_score"] > OUTLIER_SCORE]


def measure_quality(
    stack: AlignedStack,
    rows: Sequence[int] | npt.NDArray[np.int64],
    progress: ProgressCallback = ignore_progress,
) -> StackQuality:
    """Measure how well images lie on each other, and each image beside the others.

    With the detail of an image, its plainest channel (green, else grey) without slow changes of
    light in units of the local SD, away from the border of its field, and 0 beyond:

    - ``sharpness`` of the mean is the mean product of the details of two different images, over
      the mean square of the detail of one: 1 where all images are the same, 0 where they have
      nothing in common. Unlike the contrast of the mean itself it does not fall with the number of
      images. A registration that works raises it.
    - ``distance`` of an image to the template is 1 less the correlation of its detail with the mean
      detail of all others.
    - ``brightness`` and ``contrast`` are mean and SD of that channel in the field of view, in
      0–255; ``focus`` is the SD of its finest detail as a share of the mean, in percent;
      ``field_share`` the share of the valid area (inside the field of half of the images) that its
      field holds.

    Parameters
    ----------
    stack : AlignedStack
        The images.
    rows : sequence of int
        Those that could be aligned.
    progress : callable, optional
        May raise `Cancelled`.

    Returns
    -------
    StackQuality
    """
    sums = _Sums(stack)
    plain = plain_channel(stack.channels)
    stage = "Averaging images"
    with ThreadPoolExecutor(_THREADS) as pool:
        for _, images, fields in _read(stack, rows):
            sums.add(images, fields, list(pool.map(comparable_detail, images[:, plain], fields)))
            progress(Progress(stage, sums.count, len(rows)))
        coverage = sums.coverage()
        valid = coverage >= 0.5
        table: list[dict[str, float]] = []
        stage = "Comparing each image with the others"
        for part, images, fields in _read(stack, rows):
            planes = images[:, plain]
            details = list(pool.map(comparable_detail, planes, fields))
            ways = [sums.distance(detail) for detail in details]
            looks = pool.map(_look, planes, fields, [valid] * len(part))
            table += [{"distance": way, **look} for way, look in zip(ways, looks, strict=True)]
            progress(Progress(stage, len(table), len(rows)))
    columns = [measure.name for measure in MEASURES]
    measures = pd.DataFrame(table, index=pd.Index(np.asarray(rows), name="row"), columns=columns)
    return StackQuality(
        sums.mean(), sums.sd(), coverage, sums.sharpness(), score_outliers(measures)
    )


def measure_sides(
    stack: AlignedStack,
    rows: Sequence[int] | npt.NDArray[np.int64],
    progress: ProgressCallback = ignore_progress,
    registration: str = NO_REGISTRATION,
) -> dict[int, float]:
    """Measure how much better each image fits the cohort as it lies than mirrored.

    Parameters
    ----------
    stack : AlignedStack
        The images; all are meant to lie as left ones do.
    rows : sequence of int
        Those that could be aligned.
    progress : callable, optional
        May raise `Cancelled`.
    registration : str, optional
        How they were aligned, which says whose atlas lies beside them.

    Returns
    -------
    dict of int to float
        `SideComparison.margin` by row, below 0 where an image looks like one of the other side;
        empty where the images are too few, or show too little in common, to tell.
    """
    facts = stack.facts()
    # Registration has looked at the sides already.
    known = {row: facts[row]["side_margin"] for row in rows if "side_margin" in facts.get(row, {})}
    if len(known) == len(rows):
        return known
    registrar = registrar_for(registration)

    def framed(row: int) -> FramedImage:
        return FramedImage(
            stack.read([row])[0],
            stack.read_fields([row])[0],
            stack.channels,
            "L" if facts[row].get("laterality") else "",
            pixel_aspect(facts[row]["matrix"]),
        )

    stage = "Checking sides"
    with ThreadPoolExecutor(_THREADS) as pool:
        atlas: Atlas | None
        if stack.atlas_file.is_file():
            atlas = registrar.load(stack.atlas_file)
        else:
            progress(Progress(stage, 0, len(rows)))
            some = spread_over(list(rows), registrar.images_to_learn_from)
            atlas = registrar.learn(pool.map(framed, some))
        if atlas is None:
            return {}
        compare = atlas.compare_sides
        missing = [row for row in rows if row not in known]
        for part in batches(missing, _BATCH):
            margins = pool.map(lambda row: compare(framed(row)).margin, part)
            known.update(zip(part, margins, strict=True))
            progress(Progress(stage, len(known), len(rows)))
    return known


def score_outliers(measures: pd.DataFrame) -> pd.DataFrame:
    """Add to a table of measures how far each image lies from the others, and in what.

    ``outlier_score`` is the largest modified z-score (distance from the median over the median
    absolute deviation) in a direction that is a fault; ``outlier_reasons`` names all beyond
    `OUTLIER_SCORE`, the farthest first.

    Parameters
    ----------
    measures : pandas.DataFrame
        Columns of `MEASURES`, one row an image.
    """
    scores = {}
    for measure in MEASURES:
        values = measures[measure.name].to_numpy(float)
        if measure.as_ratio:
            values = np.log(np.maximum(values, _LEAST))
        score = modified_z_scores(values, measure.least_spread)
        if measure.low:
            scores[measure.low] = -score
        if measure.high:
            scores[measure.high] = score
    table = np.nan_to_num(np.column_stack(list(scores.values())))
    names = np.array(list(scores))
    reasons = [
        "; ".join(names[at] for at in np.argsort(-each, kind="stable") if each[at] > OUTLIER_SCORE)
        for each in table
    ]
    worst = table.max(axis=1, initial=0)
    return measures.assign(outlier_score=worst, outlier_reasons=reasons)


def overall_sd(sd: npt.NDArray[np.float32]) -> npt.NDArray[np.float64]:
    """Return one SD for all channels: the root mean square over them.

    Parameters
    ----------
    sd : numpy.ndarray
        Of each channel, (channel, height, width).
    """
    return np.asarray(np.sqrt((np.asarray(sd, np.float64) ** 2).mean(axis=0)))


def modified_z_scores(
    values: npt.NDArray[np.float64], least_spread: float
) -> npt.NDArray[np.float64]:
    """Return distances from the median in robust standard deviations, NaN where undefined.

    Parameters
    ----------
    values : numpy.ndarray
        One measure of every image.
    least_spread : float
        Takes the place of a smaller standard deviation, in the measure's unit.
    """
    if not np.isfinite(values).any():
        return np.full_like(values, np.nan)
    away = values - np.nanmedian(values)
    spread = np.nanmedian(np.abs(away)) / _NORMAL_MAD
    return np.asarray(away / max(spread, least_spread))


class _Sums:
    """Sums over the images, from which means, spreads and distances come."""

    def __init__(self, stack: AlignedStack) -> None:
        shape = stack.images.shape[1:]
        self.count = 0
        # Sums of 8-bit squares are exact as long as there are fewer than 10 ** 14 images.
        self._sum, self._square = np.zeros(shape, np.int64), np.zeros(shape, np.int64)
        self._fields = np.zeros(stack.shape, np.int64)
        self._detail = self._detail_square = self._inside = np.zeros((0, 0))

    def add(self, images: npt.NDArray[np.uint8], fields: Mask, details: Sequence[Detail]) -> None:
        if not self.count:
            shape = details[0].values.shape
            self._detail, self._detail_square = np.zeros(shape), np.zeros(shape)
            self._inside = np.zeros(shape)
        self.count += len(images)
        whole = images.astype(np.int64)
        self._sum += whole.sum(axis=0)
        self._square += (whole * whole).sum(axis=0)
        self._fields += fields.sum(axis=0)
        for detail in details:
            self._detail += detail.values
            self._detail_square += detail.values.astype(float) ** 2
            self._inside += detail.inside

    def mean(self) -> npt.NDArray[np.float32]:
        return np.asarray(self._sum / max(1, self.count), np.float32)

    def sd(self) -> npt.NDArray[np.float32]:
        count = max(1, self.count)
        variance = self._square / count - (self._sum / count) ** 2
        return np.asarray(np.sqrt(np.maximum(variance, 0)), np.float32)

    def coverage(self) -> npt.NDArray[np.float32]:
        return np.asarray(self._fields / max(1, self.count), np.float32)

    def sharpness(self) -> float:
        seen = self._inside
        where = seen >= max(2, self.count / 2)
        if not where.any():
            return float("nan")
        count = seen[where]
        square = self._detail_square[where]
        pairs = (self._detail[where] ** 2 - square) / (count * (count - 1))
        single = (square / count).mean()
        return float(pairs.mean() / single) if single > 0 else float("nan")

    def distance(self, detail: Detail) -> float:
        others = self._inside - detail.inside
        where = detail.inside & (others >= max(1, (self.count - 1) / 2))
        if where.sum() < 0.05 * where.size:
            return float("nan")
        own = detail.values[where].astype(float)
        mean = (self._detail - detail.values)[where] / others[where]
        own, mean = own - own.mean(), mean - mean.mean()
        size = np.sqrt((own @ own) * (mean @ mean))
        return float(1 - own @ mean / size) if size > 0 else float("nan")


def comparable_detail(plane: npt.NDArray[np.uint8], field: Mask) -> Detail:
    """Return the detail of a channel, and where it may be compared with that of other images."""
    detail = detail_of(plane, field, WORKING_WIDTH)
    inside = detail.from_border > _FROM_BORDER
    return replace(detail, values=detail.values * inside, inside=inside)


def _look(plane: npt.NDArray[np.uint8], field: Mask, valid: Mask) -> dict[str, float]:
    """Return the measures that need one image alone."""
    share = float(field[valid].mean()) if valid.any() else float("nan")
    values = plane[field].astype(np.float32)
    if not values.size or not values.mean():
        return {"brightness": 0.0, "contrast": 0.0, "focus": 0.0, "field_share": share}
    image: FloatImage = plane.astype(np.float32)
    fine = image - ndimage.gaussian_filter(image, 1.0)
    # At the border of the field the finest detail is the border.
    inner = ndimage.binary_erosion(field, iterations=5)
    focus = float(fine[inner].std() / values.mean() * 100) if inner.any() else float("nan")
    return {
        "brightness": float(values.mean()),
        "contrast": float(values.std()),
        "focus": focus,
        "field_share": share,
    }


def _read(
    stack: AlignedStack, rows: Sequence[int] | npt.NDArray[np.int64]
) -> Iterator[tuple[list[int], npt.NDArray[np.uint8], Mask]]:
    for part in batches(rows, _BATCH):
        yield part, stack.read(part), stack.read_fields(part)
