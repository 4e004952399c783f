"""One image against the global map of a label, by several measures, and against other images.

All of it over the cells inside the field of view. An image that is in the map is taken out of the
mean that it is compared with: otherwise an image of a small group would be like itself.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from napari_globalxai.statistics.prepared_cells import CellReader, PreparedCells
from napari_globalxai.statistics.ranks import ranks, row_spearman

FloatArray = npt.NDArray[np.float64]

SIMILARITY = "similarity"
TOP_SHARES = (0.05, 0.1, 0.2)
_INNERMOST = 0.1
# What each measure is, by its column.
MEASURES: Mapping[str, str] = {
    SIMILARITY: "Spearman's correlation with the global map of the other images",
    "cosine": "Cosine of the angle to it",
    **{
        f"overlap_{share * 100:g}": f"Share of the image's top {share * 100:g} % that lies in the "
        f"map's top {share * 100:g} %"
        for share in TOP_SHARES
    },
    f"mass_top_{_INNERMOST * 100:g}": "Share of the image's attribution that lies in the map's top "
    f"{_INNERMOST * 100:g} %",
}
RESIDUAL = "residual"


@dataclass(frozen=True)
class Reference:
    """The global map of a label, image by image: without the image that is compared.

    Attributes
    ----------
    total, squares : numpy.ndarray
        Sum of the members' maps, and of their squared deviations from the mean, (cell,).
    members : numpy.ndarray
        Images that make the map, bool by row of the store.
    count : int
        How many they are.
    """

    total: FloatArray
    squares: FloatArray
    members: npt.NDArray[np.bool_]
    count: int

    @classmethod
    def of(cls, reader: CellReader, label: str, members: npt.NDArray[np.int64]) -> Reference:
        """Sum the maps of the images that make a label's map."""
        cells = int(reader.inside.sum())
        total, squares, count = np.zeros(cells), np.zeros(cells), 0
        is_member = np.zeros(len(reader.store), dtype=bool)
        for part in reader.chunks(label, members):
            values = part.values.astype(np.float64)
            mean = values.mean(axis=0) if len(values) else np.zeros(cells)
            both = count + len(values)
            if both and len(values):
                before = total / count if count else mean
                squares += ((values - mean) ** 2).sum(axis=0)
                squares += (mean - before) ** 2 * (count * len(values) / both)
            total += values.sum(axis=0)
            count = both
            is_member[part.rows] = True
        return cls(total, squares, is_member, count)

    def without(self, part: PreparedCells) -> tuple[FloatArray, npt.NDArray[np.int64]]:
        """Return the mean of the others for each image, and of how many it is, (image, cell)."""
        own = self.members[part.rows].astype(np.int64)
        left = self.count - own
        mean = (self.total - part.values * own[:, None]) / np.maximum(left, 1)[:, None]
        return mean, left

    @property
    def mean(self) -> FloatArray:
        """The mean over all members, (cell,)."""
        return self.total / max(self.count, 1)

    @property
    def sd(self) -> FloatArray:
        """The SD (n − 1) over all members, (cell,); NaN for fewer than two."""
        if self.count < 2:
            return np.full(len(self.total), np.nan)
        return np.asarray(np.sqrt(self.squares / (self.count - 1)))

    @property
    def varying(self) -> npt.NDArray[np.bool_]:
        """Cells at which members differ by more than rounding, (cell,)."""
        return np.asarray(self.sd > 1e-9 * np.abs(self.mean))


def ignore_images(count: int) -> None:
    """Do nothing: the default of what is told of images."""


def compare_images(
    reader: CellReader,
    label: str,
    rows: npt.NDArray[np.int64],
    reference: Reference,
    measures: tuple[str, ...] = (*MEASURES, RESIDUAL),
    tick: Callable[[int], None] = ignore_images,
) -> dict[str, FloatArray]:
    """Return measures of how like the global map of a label each image is.

    Parameters
    ----------
    reader : CellReader
        Where the maps are read from, and what of them.
    label : str
        Which label.
    rows : numpy.ndarray
        Images to compare.
    reference : Reference
        The global map.
    measures : tuple of str, optional
        Some of `MEASURES` and `RESIDUAL`, the root of the mean squared residual over the cells at
        which members differ.
    tick : callable, optional
        Receives how many images were compared since it was called last; may raise `Cancelled`.

    Returns
    -------
    dict of str to numpy.ndarray
        One value a row; NaN for constant maps and where no other member is left.
    """
    found = {name: np.full(len(reader.store), np.nan) for name in measures}
    for part in reader.counting_all().chunks(label, rows):
        others, left = reference.without(part)
        flat = np.ptp(part.values, axis=1) == 0 if part.values.shape[1] else part.constant
        unknown = (left == 0) | flat | part.constant
        for name, values in _measured(part.values, others, reference, measures):
            found[name][part.rows] = np.where(unknown, np.nan, values)
        tick(len(part.rows))
    return {name: values[rows] for name, values in found.items()}


def _measured(
    values: npt.NDArray[np.float32],
    others: FloatArray,
    reference: Reference,
    measures: tuple[str, ...],
) -> Iterator[tuple[str, FloatArray]]:
    if SIMILARITY in measures:
        yield SIMILARITY, row_spearman(values, others)
    if len(measures) == 1 or values.shape[1] == 0:
        return
    maps = values.astype(np.float64)
    if "cosine" in measures:
        yield "cosine", _row_cosine(maps, others)
    heights = [np.sort(each, axis=1) for each in (maps, others)]
    for share in TOP_SHARES:
        if (name := f"overlap_{share * 100:g}") in measures:
            own, theirs = (
                top_weights(each, ordered, share)
                for each, ordered in zip((maps, others), heights, strict=True)
            )
            yield name, np.einsum("ic,ic->i", own, theirs) / own.sum(axis=1)
    if (name := f"mass_top_{_INNERMOST * 100:g}") in measures:
        size = np.abs(maps)
        inside = np.einsum("ic,ic->i", size, top_weights(others, heights[1], _INNERMOST))
        yield name, inside / np.where(size.any(axis=1), size.sum(axis=1), np.nan)
    if RESIDUAL in measures:
        yield RESIDUAL, _root_of_residuals(maps, reference)


def _root_of_residuals(maps: FloatArray, reference: Reference) -> FloatArray:
    """Return the root of the mean squared residual of each image, where members differ."""
    varying = reference.varying
    if not varying.any():
        return np.full(len(maps), np.nan)
    scale = np.where(varying, 1 / np.where(varying, reference.sd, 1), 0)
    away = (maps - reference.mean) * scale
    return np.asarray(np.sqrt(np.einsum("ic,ic->i", away, away) / varying.sum()))


def residuals(values: npt.NDArray[np.floating], reference: Reference) -> FloatArray:
    """Return ``(A − G) / SD`` at each cell, (image, cell).

    Where no member differs from another it is 0 for what is like them, else infinite; it is NaN
    with fewer than two members.
    """
    mean = reference.mean
    away = values.astype(np.float64) - mean
    with np.errstate(divide="ignore", invalid="ignore"):
        ratio = away / reference.sd
    if reference.count < 2:
        return np.asarray(ratio)
    # Up to rounding.
    alike = np.abs(away) <= 1e-6 * np.abs(mean)
    return np.where(reference.varying, ratio, np.where(alike, 0.0, np.copysign(np.inf, away)))


def top_weights(values: FloatArray, ordered: FloatArray, share: float) -> FloatArray:
    """Return which cells are in the top share of each map, (image, cell), as weights of 0 to 1.

    Exactly so many cells are in it. Where equal values would be parted, as zeros of a clamped map,
    each gets its share.

    Parameters
    ----------
    values : numpy.ndarray
        (image, cell).
    ordered : numpy.ndarray
        The same, each row ascending.
    share : float
        Of the cells.
    """
    cells = values.shape[1]
    count = max(1, round(share * cells))
    edge = ordered[:, cells - count, None]
    above, tied = values > edge, values == edge
    left = count - np.count_nonzero(above, axis=1, keepdims=True)
    share_of_tied = left / np.count_nonzero(tied, axis=1, keepdims=True)
    if (share_of_tied == 1).all():
        return np.asarray(above | tied, np.float64)
    return np.asarray(above + tied * share_of_tied)


def percentiles_among(values: FloatArray, members: FloatArray) -> FloatArray:
    """Return the percentile of each value among others, 0 to 100; equal ones count half."""
    known = np.sort(members[np.isfinite(members)])
    if len(known) == 0:
        return np.full(len(values), np.nan)
    below, up_to = (np.searchsorted(known, values, side=side) for side in ("left", "right"))
    return np.where(np.isfinite(values), (below + up_to) * 50 / len(known), np.nan)


def nearest_images(
    reader: CellReader,
    label: str,
    asked: npt.NDArray[np.int64],
    among: npt.NDArray[np.int64],
    count: int,
) -> tuple[npt.NDArray[np.int64], FloatArray]:
    """Return the images whose maps are most like those of some images, by Spearman's correlation.

    Parameters
    ----------
    reader : CellReader
        Where the maps are read from.
    label : str
        Which label.
    asked : numpy.ndarray
        Images whose likes are looked for.
    among : numpy.ndarray
        Images that are looked at; an image is not its own neighbour.
    count : int
        How many for each.

    Returns
    -------
    tuple of numpy.ndarray
        Rows and correlations, (asked, count), the most like first; row −1 and NaN where there is
        none.
    """
    reader, order = reader.counting_all(), np.argsort(asked)
    own = _unit_ranks(reader.cells(label, asked[order]).values)[np.argsort(order)]
    rows = np.full((len(asked), count), -1, np.int64)
    likes = np.full((len(asked), count), -np.inf)
    for part in reader.chunks(label, among):
        like = own @ _unit_ranks(part.values).T
        like[~np.isfinite(like)] = -np.inf
        like[asked[:, None] == part.rows] = -np.inf
        both = np.concatenate([likes, like], axis=1)
        who = np.concatenate([rows, np.broadcast_to(part.rows, like.shape)], axis=1)
        order = np.argsort(-both, axis=1, kind="stable")[:, :count]
        likes, rows = (np.take_along_axis(each, order, axis=1) for each in (both, who))
    there = np.isfinite(likes)
    return np.where(there, rows, -1), np.where(there, likes, np.nan)


def _unit_ranks(values: npt.NDArray[np.float32]) -> FloatArray:
    """Return centred ranks of length 1, whose products are Spearman's correlations; NaN if flat."""
    if values.shape[1] == 0:
        return np.full((len(values), 1), np.nan)
    ranked = ranks(values)
    ranked -= ranked.mean(axis=1, keepdims=True)
    length = np.sqrt((ranked**2).sum(axis=1, keepdims=True))
    return np.asarray(ranked / np.where(length > 0, length, np.nan))


def _row_cosine(first: FloatArray, second: FloatArray) -> FloatArray:
    product, *squares = (
        np.einsum("ic,ic->i", *pair) for pair in ((first, second), (first, first), (second, second))
    )
    length = np.sqrt(squares[0] * squares[1])
    return np.asarray(product / np.where(length > 0, length, np.nan))
