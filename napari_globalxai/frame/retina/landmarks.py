"""Optic disc and macula: where they lie in an image, learnt from the cohort itself.

The disc is the brightest round blob of a fundus photograph once slow changes of light are taken
away; the macula is a wide dark blob beside it. Both are first found by plain filters, in a sample
of the cohort, and then by the mean look of what was found (normalised cross-correlation), which
forgives drusen, haemorrhages and faint contrast.

All positions are (x, y) in pixels of the image given, all sizes shares of its width, so that
nothing depends on the camera's resolution. Images are expected in left-eye orientation, in which
the macula lies to the right of the disc, unless `mirrored` says otherwise.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from napari_globalxai.frame.local_detail import FloatImage, Mask, detail_of
from napari_globalxai.frame.retina.filters import (
    Point,
    Spectrum,
    argmax,
    distance_to,
    masked_correlation,
    median_patch,
    parabola_top,
)

# Images are searched at this width at most: a step of one pixel is 0.3 % of the width.
WORKING_WIDTH = 320

# Shares of the image's width. Discs of ultra-widefield photographs measure 3 to 9 %.
_DISC_RADII = (0.0125, 0.017, 0.024, 0.031, 0.042)
_DISC_PATCH = 0.075
_DISC_FROM_BORDER = 0.07
_FEWEST_DISCS, _SHARE_OF_DISCS = 4, 0.2
_DISC_SPREAD = 0.12  # SD of the disc's position that is taken for possible
_MACULA_SIGMAS = (0.02, 0.03, 0.045)
_MACULA_DISTANCES = (0.08, 0.30)
_MACULA_ANGLE = 30.0  # degrees above and below the horizontal
_MACULA_PATCHES = (0.15, 0.08)  # coarse, then fine
_MACULA_SPREADS = (0.06, 0.025)
_VESSELS = 0.025  # dark lines narrower than this are taken away before the disc is looked for
_DRUSEN = 0.022  # bright spots narrower than this are taken away before the macula is looked for


@dataclass(frozen=True)
class Landmarks:
    """Where disc and macula lie in one image, and how much they look like the cohort's.

    Attributes
    ----------
    disc, macula : numpy.ndarray
        (x, y) in pixels of the image.
    disc_score, macula_score : float
        Correlation with the cohort's mean look, -1 to 1.
    """

    disc: Point
    macula: Point
    disc_score: float
    macula_score: float

    @property
    def points(self) -> npt.NDArray[np.float64]:
        """Disc and macula, (2, 2)."""
        return np.stack([self.disc, self.macula])


class Picture:
    """An image made ready for the search.

    Parameters
    ----------
    image : numpy.ndarray
        Green channel, or what is nearest to it, (height, width).
    field : numpy.ndarray
        Field of view, bool (height, width).

    Attributes
    ----------
    scale : float
        Width of `image` over the width that is searched.
    detail : numpy.ndarray
        The image without slow changes of light, in units of the local SD.
    bright : numpy.ndarray
        The same without vessels, which cut a disc in pieces.
    smooth : numpy.ndarray
        The same without small bright spots, which hide a macula.
    inside : numpy.ndarray
        Where the search may look: the field without its rim.
    core : numpy.ndarray
        Where a disc may lie: the field without a wider rim.
    """

    def __init__(self, image: npt.NDArray[np.generic], field: Mask) -> None:
        known = detail_of(image, field, WORKING_WIDTH)
        self.scale, self.width = known.scale, known.width
        self.detail, self.inside = known.values, known.inside
        self.core: Mask = known.from_border > _DISC_FROM_BORDER
        closed = ndimage.grey_closing(self.detail, size=max(3, round(_VESSELS * self.width)))
        self.bright: FloatImage = ndimage.gaussian_filter(closed, 0.003 * self.width)
        opened = ndimage.grey_opening(self.detail, size=max(3, round(_DRUSEN * self.width)))
        self.smooth: FloatImage = ndimage.gaussian_filter(opened, 0.008 * self.width)

    def mirrored(self) -> Picture:
        """Return the same picture left to right."""
        other = object.__new__(Picture)
        other.scale, other.width = self.scale, self.width
        for name in ("inside", "core", "detail", "bright", "smooth"):
            setattr(other, name, getattr(self, name)[:, ::-1])
        return other


def brightest_blob(picture: Picture) -> tuple[Point, float]:
    """Return the centre of the brightest round blob, (x, y) at the working width, and its contrast.

    The filter is the mean over a circle less the mean over a ring around it, over several radii.
    """
    response = np.full(picture.bright.shape, -np.inf, np.float32)
    for radius in _DISC_RADII:
        kernel = _circle_against_ring(radius * picture.width)
        # Noise in the mean over a circle falls with its radius.
        found = Spectrum(picture.bright, kernel.shape).correlate(kernel) * np.sqrt(
            radius / _DISC_RADII[0]
        )
        np.maximum(response, found, out=response)
    response[~picture.core] = -np.inf
    if not np.isfinite(response).any():
        return np.array([np.nan, np.nan]), 0.0
    y, x = np.unravel_index(int(response.argmax()), response.shape)
    return parabola_top(response, int(x), int(y)), float(response[y, x])


def darker_side(picture: Picture) -> str:
    """Guess the side of an eye from one picture alone: the macula is the darker side of the disc.

    Returns
    -------
    str
        ``"L"`` where the darkest wide blob lies to the right of the disc, else ``"R"``.
    """
    disc, _ = brightest_blob(picture)
    across = np.array([picture.width - 1 - disc[0], disc[1]])
    right = _macula_depth(picture.smooth, picture.inside, disc, picture.width)
    left = _macula_depth(picture.smooth[:, ::-1], picture.inside[:, ::-1], across, picture.width)
    return "L" if right >= left else "R"


def darker_half(patch: FloatImage, width: int) -> str:
    """Return `darker_side` of a square around the disc, cut from a picture of some width."""
    half = patch.shape[0] // 2
    centre, everywhere = np.array([half, half], float), np.ones(patch.shape, bool)
    right = _macula_depth(patch, everywhere, centre, width)
    left = _macula_depth(patch[:, ::-1], everywhere, centre, width)
    return "L" if right >= left else "R"


def _macula_depth(image: FloatImage, inside: Mask, disc: Point, width: int) -> float:
    """Return how dark the darkest blob is where the macula of a left eye may lie."""
    allowed = _beside(image.shape, disc, width) & inside
    return max(float(np.where(allowed, dark, -np.inf).max()) for dark in _dark_blobs(image, width))


@dataclass(frozen=True)
class LandmarkTemplate:
    """The cohort's mean disc and macula, at the working width, in left-eye orientation.

    Attributes
    ----------
    width : int
        Working width in pixels that positions and patches refer to.
    disc : numpy.ndarray
        Median position of the disc, (x, y).
    offset : numpy.ndarray
        Median way from disc to macula.
    disc_patch : numpy.ndarray
        Mean look of the disc, without vessels.
    macula_patches : tuple of numpy.ndarray
        Mean smooth detail around the macula, wide and narrow.
    """

    width: int
    disc: Point
    offset: Point
    disc_patch: FloatImage
    macula_patches: tuple[FloatImage, ...]

    def find(self, picture: Picture) -> Landmarks:
        """Find disc and macula in a picture of the template's working width.

        Positions are returned in pixels of the image that the picture was made from.
        """
        disc, disc_score = self._find_disc(picture)
        macula, macula_score = disc + self.offset, 0.0
        # The narrow patch only places what the wide one has found.
        for patch, spread in zip(self.macula_patches, _MACULA_SPREADS, strict=True):
            # Beyond three SD of the prior nothing can win.
            left, top, part = _window(picture, macula, patch, 3 * spread * self.width)
            match = masked_correlation(picture.smooth[part], picture.inside[part], patch)
            corner = np.array([left, top], float)
            prior = distance_to(match.shape, macula - corner) / (spread * self.width)
            likely = match - 0.25 * prior**2
            x, y = argmax(likely)
            macula = parabola_top(likely, x, y) + corner
            macula_score = max(macula_score, float(match[y, x]))
        return Landmarks(
            to_full_size(disc, picture.scale),
            to_full_size(macula, picture.scale),
            disc_score,
            macula_score,
        )

    def _find_disc(self, picture: Picture) -> tuple[Point, float]:
        match = masked_correlation(picture.bright, picture.inside, self.disc_patch)
        prior = distance_to(match.shape, self.disc) / (_DISC_SPREAD * self.width)
        x, y = argmax(match - 0.15 * prior**2)
        return parabola_top(match, x, y), float(match[y, x])


def _window(
    picture: Picture, centre: Point, patch: FloatImage, radius: float
) -> tuple[int, int, tuple[slice, slice]]:
    """Return left and top of what must be known to place a patch around a point, and the part."""
    reach = int(np.ceil(radius)) + patch.shape[0] // 2 + 1
    height, width = picture.smooth.shape
    column, row = (int(value) for value in np.clip(np.rint(centre), 0, (width - 1, height - 1)))
    left, top = max(0, column - reach), max(0, row - reach)
    return left, top, (slice(top, row + reach + 1), slice(left, column + reach + 1))


def learn_template(pictures: Sequence[Picture]) -> LandmarkTemplate | None:
    """Learn what disc and macula look like from pictures in left-eye orientation.

    Parameters
    ----------
    pictures : sequence of Picture
        Of one working size. Medians are taken throughout, so that a share of wrong ones
        does no harm.

    Returns
    -------
    LandmarkTemplate or None
        None where no more than a few bright blobs lie in one region: these are no discs.
    """
    width = pictures[0].width
    found = [brightest_blob(picture) for picture in pictures]
    discs = np.array([position for position, _ in found])
    seen = np.isfinite(discs).all(axis=1)
    median = np.median(discs[seen], axis=0)
    near = seen & (np.hypot(*(discs - median).T) < 0.14 * width)
    if near.sum() < max(_FEWEST_DISCS, _SHARE_OF_DISCS * len(pictures)):
        return None
    used = [picture for picture, use in zip(pictures, near, strict=True) if use]
    discs = discs[near]
    disc_patch = median_patch([p.bright for p in used], discs, round(_DISC_PATCH * width))
    offset = _darkest_blob_beside(used, discs)
    points = np.stack([discs, discs + offset], axis=1)
    for _ in range(2):
        patches = tuple(
            median_patch([p.smooth for p in used], points[:, 1], round(share * width))
            for share in _MACULA_PATCHES
        )
        offset = np.median(points[:, 1] - points[:, 0], axis=0)
        template = LandmarkTemplate(
            width, np.median(points[:, 0], axis=0), offset, disc_patch, patches
        )
        points = np.array([to_working_size(template.find(p).points, p.scale) for p in used])
    return template


def _darkest_blob_beside(
    pictures: Sequence[Picture], discs: npt.NDArray[np.float64]
) -> npt.NDArray[np.float64]:
    """Return the way from the disc to the darkest blob temporal of it in the median picture."""
    width = pictures[0].width
    radius = round((_MACULA_DISTANCES[1] + 0.05) * width)
    mean = median_patch([picture.smooth for picture in pictures], discs, radius)
    allowed = _beside(mean.shape, np.array([radius, radius]), width)
    depths = np.stack([np.where(allowed, d, -np.inf) for d in _dark_blobs(mean, width)])
    x, y = argmax(depths.max(axis=0))
    return np.array([x - radius, y - radius], float)


def _beside(shape: tuple[int, ...], disc: Point, width: int) -> Mask:
    """Return where the macula of a left eye may lie, given its disc."""
    rows, columns = np.ogrid[: shape[0], : shape[1]]
    right, down = columns - disc[0], rows - disc[1]
    distance = np.hypot(right, down) / width
    allowed: Mask = (
        (distance > _MACULA_DISTANCES[0])
        & (distance < _MACULA_DISTANCES[1])
        & (np.abs(np.degrees(np.arctan2(down, right))) < _MACULA_ANGLE)
    )
    return allowed


def _dark_blobs(image: FloatImage, width: int) -> list[FloatImage]:
    """Return how dark a blob of each size stands at each pixel."""
    return [
        (
            ndimage.gaussian_filter(image, 2 * share * width)
            - ndimage.gaussian_filter(image, share * width)
        )
        * share**0.5
        for share in _MACULA_SIGMAS
    ]


def _circle_against_ring(radius: float) -> FloatImage:
    half = int(2.2 * radius) + 1
    rows, columns = np.mgrid[-half : half + 1, -half : half + 1]
    distance = np.hypot(rows, columns)
    circle = np.clip(radius + 0.5 - distance, 0, 1)
    ring = np.clip(2 * radius + 0.5 - distance, 0, 1) - circle
    return np.asarray(circle / circle.sum() - ring / ring.sum(), np.float32)


def to_full_size(points: npt.NDArray[np.float64], scale: float) -> npt.NDArray[np.float64]:
    """Return positions in an image `scale` times as wide; pixel centres have whole numbers."""
    return np.asarray((points + 0.5) * scale - 0.5)


def to_working_size(points: npt.NDArray[np.float64], scale: float) -> npt.NDArray[np.float64]:
    """Undo `to_full_size`."""
    return np.asarray((points + 0.5) / scale - 0.5)
