"""The atlas of a cohort: what its images look like and where their landmarks lie.

It is learnt from the cohort itself and anchored: disc and macula of the atlas lie where they lie in
the median image, so that images are moved as little as possible and the atlas cannot drift.
"""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from napari_globalxai.addresses import readable
from napari_globalxai.frame.geometry import Matrix, apply, similarity, warp
from napari_globalxai.frame.local_detail import FloatImage, Mask
from napari_globalxai.frame.retina.filters import distance_to, median_patch, patch_at
from napari_globalxai.frame.retina.landmarks import (
    Landmarks,
    LandmarkTemplate,
    Picture,
    brightest_blob,
    darker_half,
    darker_side,
    learn_template,
    to_working_size,
)
from napari_globalxai.storage import atomic_path

# With fewer images a median is not yet free of single eyes.
FEWEST_IMAGES = 8
_SURROUNDINGS = 0.31  # half a side of what is compared around the disc, a share of the width
_ROUNDS = 3
# Beyond this distance from disc and macula (share of the width) lids outweigh the retina.
_SCENE = 0.4
# A landmark this far from its place in the median image (share of the width) is no landmark.
_FARTHEST = 0.25
# Of the scenes of two halves of the images: of eyes it was 0.4 and more, of noise 0.15 and less.
_LEAST_COHERENCE = 0.25
_LANDMARK = 0.1  # left out of it around disc and macula, a share of the width
# Median margin between both sides: of eyes it was 0.2 and more, of symmetric pictures near 0.1.
_LEAST_MARGIN = 0.15
_RAREST_SIDE = 0.1
_LEAST_LIKENESS = 0.3  # of a picture that the others are to be moved onto
_SCALES = (0.75, 1.33)
_STEEPEST = np.deg2rad(25)


@dataclass(frozen=True)
class Sides:
    """How well a picture fits the atlas as it is and mirrored.

    Attributes
    ----------
    as_is, mirrored : float
        Sums of three correlations: disc, macula, surroundings.
    landmarks, mirrored_landmarks : Landmarks
        Disc and macula of the picture as it is, and of the mirrored one.
    """

    as_is: float
    mirrored: float
    landmarks: Landmarks
    mirrored_landmarks: Landmarks

    def turned(self) -> Sides:
        """Return the comparison of the mirrored picture."""
        return Sides(self.mirrored, self.as_is, self.mirrored_landmarks, self.landmarks)

    @property
    def margin(self) -> float:
        """Above 0 where the picture is in left-eye orientation."""
        return self.as_is - self.mirrored

    @property
    def confidence(self) -> float:
        """How sure the better orientation is, 0.5 to 1.

        A logistic function of the margin; its slope was chosen on phantoms, so it ranks images
        rather than being a probability.
        """
        return float(1 / (1 + np.exp(-10 * abs(self.margin))))


@dataclass(frozen=True)
class Atlas:
    """Mean look and place of disc, macula and their surroundings, in left-eye orientation.

    Attributes
    ----------
    template : LandmarkTemplate
        Finds disc and macula.
    anchor : numpy.ndarray
        Disc and macula in the frame, (2, 2) of (x, y), at the working width.
    aspect : float
        Height of a pixel of the frame over its width, both in the images' own pixels.
    surroundings : numpy.ndarray
        Mean smooth detail around the disc.
    scene : numpy.ndarray
        Median of the registered images' smooth detail in the frame, at the working width.
    inside : numpy.ndarray
        Where the scene is known.
    n_images : int
        Images that the atlas was learnt from.
    share_registered : float
        Share of these that it could register.
    tells_sides : bool
        Whether it may tell the side of an image that nothing else tells: not where all images look
        to be of one side, or like their mirror images, as chest radiographs and brains do.
    """

    template: LandmarkTemplate
    anchor: npt.NDArray[np.float64]
    aspect: float
    surroundings: FloatImage
    scene: FloatImage
    inside: Mask
    n_images: int
    share_registered: float
    tells_sides: bool = True

    def sides(self, picture: Picture) -> Sides:
        """Compare a picture with the atlas as it is and mirrored."""
        landmarks, as_is = self._fit(picture)
        other_landmarks, mirrored = self._fit(picture.mirrored())
        return Sides(as_is, mirrored, landmarks, other_landmarks)

    def _fit(self, picture: Picture) -> tuple[Landmarks, float]:
        marks = self.template.find(picture)
        centre = to_working_size(marks.disc, picture.scale)
        half = self.surroundings.shape[0] // 2
        around = patch_at(picture.smooth, centre, half)
        known = patch_at(picture.inside.astype(np.float32), centre, half) > 0.5
        score = correlation(around, self.surroundings, known)
        return marks, marks.disc_score + marks.macula_score + score

    def anchored_on(self, picture: Picture, aspect: float) -> Atlas | None:
        """Return an atlas onto which images are moved to lie as one picture does.

        Parameters
        ----------
        picture : Picture
            The picture, of either side.
        aspect : float
            Height of a frame's pixel over its width, in the picture's own pixels.

        Returns
        -------
        Atlas or None
            None where the picture shows no disc and macula like those of the cohort.
        """
        sides = self.sides(picture)
        if sides.margin < 0:
            sides, picture = sides.turned(), picture.mirrored()
        anchor = to_working_size(sides.landmarks.points, picture.scale)
        matrix = similarity(self.anchor, anchor, (self.aspect, aspect))
        if self.agreement(picture, matrix) < _LEAST_LIKENESS:
            return None
        back = similarity(anchor, self.anchor, (aspect, self.aspect))
        shape = self.scene.shape
        inside = warp(self.inside.astype(np.float32), back, shape) > 0.5
        scene = np.where(inside, warp(self.scene, back, shape), 0).astype(np.float32)
        return replace(self, anchor=anchor, aspect=aspect, scene=scene, inside=inside)

    def agreement(self, picture: Picture, matrix: Matrix) -> float:
        """Return the correlation of a picture, moved into the frame, with the atlas.

        Parameters
        ----------
        picture : Picture
            The picture.
        matrix : numpy.ndarray
            From working pixels of the frame to those of the picture.
        """
        moved = warp(picture.smooth, matrix, self.scene.shape)
        inside = warp(picture.inside.astype(np.float32), matrix, self.scene.shape) > 0.5
        return correlation(moved, self.scene, inside & self.inside)

    def save(self, path: Path) -> None:
        """Write the atlas to an ``.npz`` file, atomically."""
        buffer = io.BytesIO()
        maculae = {f"macula_{i}": patch for i, patch in enumerate(self.template.macula_patches)}
        values: dict[str, Any] = dict(
            width=self.template.width,
            disc=self.template.disc,
            offset=self.template.offset,
            disc_patch=self.template.disc_patch,
            anchor=self.anchor,
            aspect=self.aspect,
            surroundings=self.surroundings,
            scene=self.scene,
            inside=self.inside,
            n_images=self.n_images,
            share_registered=self.share_registered,
            tells_sides=self.tells_sides,
            **maculae,
        )
        np.savez_compressed(buffer, **values)
        with atomic_path(path) as temporary:
            temporary.write_bytes(buffer.getvalue())

    @classmethod
    def load(cls, path: Path) -> Atlas:
        """Read an atlas that `save` wrote."""
        with np.load(readable(path), allow_pickle=False) as stored:
            values = {name: stored[name] for name in stored.files}
        maculae = tuple(values[name] for name in sorted(values) if name.startswith("macula_"))
        template = LandmarkTemplate(
            int(values["width"]), values["disc"], values["offset"], values["disc_patch"], maculae
        )
        return cls(
            template,
            values["anchor"],
            float(values["aspect"]),
            values["surroundings"],
            values["scene"],
            values["inside"],
            int(values["n_images"]),
            float(values["share_registered"]),
            bool(values["tells_sides"]),
        )


def learn_atlas(
    pictures: Sequence[Picture], sides: Sequence[str], aspects: Sequence[float]
) -> Atlas | None:
    """Learn the atlas of a cohort from some of its images.

    Parameters
    ----------
    pictures : sequence of Picture
        Images as they were taken, not mirrored, all of one frame.
    sides : sequence of str
        ``"L"``, ``"R"``, or ``""`` where unknown; a share of wrong ones does no harm.
    aspects : sequence of float
        Height of a frame's pixel over its width for each image, in the image's own pixels.

    Returns
    -------
    Atlas or None
        None where there are fewer than `FEWEST_IMAGES` images with a field of view, or where they
        have too little in common.
    """
    usable = [index for index, p in enumerate(pictures) if np.isfinite(brightest_blob(p)[0]).all()]
    if len(usable) < FEWEST_IMAGES:
        return None
    pictures = [pictures[index] for index in usable]
    aspects = [aspects[index] for index in usable]
    guessed = [
        sides[index] or darker_side(picture)
        for index, picture in zip(usable, pictures, strict=True)
    ]
    atlas = _from_oriented(pictures, guessed, aspects)
    measured: Atlas | None = None
    for _ in range(_ROUNDS):
        if atlas is None:
            return None
        measured, fits = atlas, _fits(atlas, pictures, guessed)
        turned = [fit.margin < 0 for fit in fits]
        if not any(turned):
            break
        # Whatever the table says: here it only matters what the eyes look like.
        guessed = [_other(s) if turn else s for s, turn in zip(guessed, turned, strict=True)]
        atlas = _from_oriented(pictures, guessed, aspects)
    if atlas is None:
        return None
    told = sum(bool(sides[index]) for index in usable)
    if 2 * told < len(usable) and darker_half(atlas.surroundings, atlas.template.width) == "R":
        # Single pictures can mislead; the mean of all of them shows the macula far better.
        guessed = [_other(side) for side in guessed]
        atlas = _from_oriented(pictures, guessed, aspects)
        if atlas is None:
            return None
    if measured is not atlas:
        fits = _fits(atlas, pictures, guessed)
    if _coherence(atlas, pictures, guessed, fits, aspects) < _LEAST_COHERENCE:
        return None
    clear = float(np.median([fit.margin for fit in fits])) > _LEAST_MARGIN
    rarer = min(guessed.count("L"), guessed.count("R")) / len(guessed)
    if clear and (told > 0 or rarer > _RAREST_SIDE):
        return atlas
    # No side will be estimated, so the atlas has to look like images that are left as they lie.
    atlas = _from_oriented(pictures, [sides[index] or "L" for index in usable], aspects)
    return None if atlas is None else replace(atlas, tells_sides=False)


def _fits(atlas: Atlas, pictures: Sequence[Picture], sides: Sequence[str]) -> list[Sides]:
    return [
        atlas.sides(picture.mirrored() if side == "R" else picture)
        for picture, side in zip(pictures, sides, strict=True)
    ]


def _coherence(
    atlas: Atlas,
    pictures: Sequence[Picture],
    sides: Sequence[str],
    fits: Sequence[Sides],
    aspects: Sequence[float],
) -> float:
    """Return the correlation of the scenes of two halves of the pictures, landmarks left out.

    Any pictures have something bright and something dark that can be laid on each other, even
    noise; then their scenes have nothing else in common.
    """
    chosen = []
    for picture, side, fit, aspect in zip(pictures, sides, fits, aspects, strict=True):
        points = to_working_size(fit.landmarks.points, picture.scale)
        matrix = similarity(atlas.anchor, points, (atlas.aspect, aspect))
        if not plausible(matrix, atlas.anchor, atlas.template.width):
            chosen.append((picture.mirrored() if side == "R" else picture, matrix))
    if len(chosen) < 2:
        return 0.0
    halves = [_median_scene(chosen[start::2], atlas.scene.shape) for start in (0, 1)]
    (first, shown), (second, also_shown) = halves
    where = shown & also_shown & atlas.inside
    for point in atlas.anchor:
        where &= distance_to(where.shape, point) > _LANDMARK * atlas.template.width
    return correlation(first, second, where)


def _other(side: str) -> str:
    return "L" if side == "R" else "R"


def _from_oriented(
    pictures: Sequence[Picture], sides: Sequence[str], aspects: Sequence[float]
) -> Atlas | None:
    oriented = [p.mirrored() if side == "R" else p for p, side in zip(pictures, sides, strict=True)]
    template = learn_template(oriented)
    if template is None:
        return None
    points = np.array([to_working_size(template.find(p).points, p.scale) for p in oriented])
    anchor = np.median(points, axis=0)
    aspect = float(np.median(aspects))
    half = round(_SURROUNDINGS * template.width)
    surroundings = median_patch([p.smooth for p in oriented], points[:, 0], half)
    shape = oriented[0].smooth.shape
    atlas = Atlas(
        template,
        anchor,
        aspect,
        surroundings,
        np.zeros(shape, np.float32),
        np.zeros(shape, bool),
        len(oriented),
        0.0,
    )
    matrices = [
        similarity(anchor, found, (aspect, own)) for found, own in zip(points, aspects, strict=True)
    ]
    good = [plausible(matrix, anchor, template.width) == "" for matrix in matrices]
    chosen = [(p, m) for p, m, g in zip(oriented, matrices, good, strict=True) if g]
    if chosen:
        scene, inside = _median_scene(chosen, shape)
        inside &= distance_to(shape, anchor.mean(axis=0)) < _SCENE * template.width
        atlas = replace(
            atlas, scene=scene, inside=inside, share_registered=len(chosen) / len(oriented)
        )
    return atlas


def _median_scene(
    chosen: Sequence[tuple[Picture, Matrix]], shape: tuple[int, int]
) -> tuple[FloatImage, Mask]:
    """Return the median over those pictures that show a pixel, where at least half of them do."""
    moved = np.stack([warp(p.smooth, matrix, shape) for p, matrix in chosen])
    shown = np.stack(
        [warp(p.inside.astype(np.float32), matrix, shape) > 0.5 for p, matrix in chosen]
    )
    inside = shown.mean(axis=0) > 0.5
    values = np.zeros(shape, np.float32)
    values[inside] = np.nanmedian(np.where(shown, moved, np.nan)[:, inside], axis=0)
    return values, inside


def plausible(matrix: Matrix, anchor: npt.NDArray[np.float64], width: int) -> str:
    """Return why a registration cannot be one between two photographs of eyes, or empty text."""
    part = matrix[:2, :2]
    scale = float(np.sqrt(abs(np.linalg.det(part))))
    turn = float(np.arctan2(part[1, 0] - part[0, 1], part[0, 0] + part[1, 1]))
    moved = apply(matrix, anchor) - anchor
    if not np.isfinite(matrix).all():
        return "no disc was found"
    if not _SCALES[0] < scale < _SCALES[1]:
        return f"it would scale the image by {1 / scale:.2f}"
    if abs(turn) > _STEEPEST:
        return f"it would turn the image by {abs(np.rad2deg(turn)):.0f} degrees"
    if np.hypot(*moved.T).max() > _FARTHEST * width:
        return "disc or macula lie too far from where other images have them"
    return ""


def correlation(first: FloatImage, second: FloatImage, where: Mask) -> float:
    """Return the correlation of two images over a mask; 0 where it says nothing."""
    if where.sum() < 0.05 * where.size:
        return 0.0
    a, b = first[where].astype(np.float64), second[where].astype(np.float64)
    a, b = a - a.mean(), b - b.mean()
    size = np.sqrt((a @ a) * (b @ b))
    return float(a @ b / size) if size > 0 else 0.0
