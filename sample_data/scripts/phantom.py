"""Draw phantom ultra-widefield (UWF) fundus photographs with planted lesions.

No photograph and no patient stands behind these images. Anatomy is drawn in *eye coordinates*:
raw pixels of a left eye, origin at the centre of the field, x to the temporal side, y down. A
:class:`View` then moves the eye a little under the fixed, elliptical field of the camera. Right
eyes are drawn as left eyes and mirrored at the very end, before noise and the camera's mark, which
are properties of the camera and not of the eye.

Every random choice comes from a seed held by an :class:`Eye` or a :class:`View`, so that an image
can be drawn again, with or without the mark, and so that the lesions alone can be drawn cheaply
for the planted truth.
"""

from __future__ import annotations

import io
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw
from scipy.interpolate import CubicSpline
from scipy.ndimage import affine_transform, gaussian_filter

LABELS = ("AMD", "RVO", "RP", "Gla")
SITES = ("A", "B")
HEIGHT, WIDTH = 256, 320
"""Size of a raw image in pixels."""
FIELD_SEMI_AXES = (149.0, 119.0)
"""Horizontal and vertical semi-axis of the camera's elliptical field, raw pixels."""
DISC_CENTRE = np.array([-33.0, -1.0])
FOVEA_CENTRE = np.array([33.0, 3.0])
MARK_BOX = (280, 228, 310, 250)
"""Left, top, right and bottom of site B's burnt-in mark in raw pixels, the last two excluded."""
JPEG_QUALITY = 85

_OVERSAMPLING = 3
_FloatArray = NDArray[np.float32]
_Points = NDArray[np.float64]


@dataclass(frozen=True)
class Eye:
    """One eye of one phantom patient.

    Parameters
    ----------
    patient : str
        Patient identifier.
    laterality : {"L", "R"}
    age : int
        In years.
    sex : {"F", "M"}
    site : {"A", "B"}
        Site, and so camera, of all images of the patient.
    labels : dict of str to int
        1 where the disease is planted.
    seed : int
        Seed of anatomy and lesions.
    """

    patient: str
    laterality: str
    age: int
    sex: str
    site: str
    labels: dict[str, int]
    seed: int


@dataclass(frozen=True)
class View:
    """One exposure: pose of the eye under the camera, light, lids and noise.

    Parameters
    ----------
    shift : tuple of float
        Shift of the eye in raw pixels, x and y.
    rotation : float
        Rotation about the centre of the field in radians.
    scale : float
        Magnification about the centre of the field.
    seed : int
        Seed of light, lids, lashes and noise.
    """

    shift: tuple[float, float]
    rotation: float
    scale: float
    seed: int

    def to_pixels(self, points: _Points) -> _Points:
        """Map eye coordinates to raw pixel coordinates (x, y) of a left eye."""
        cos, sin = np.cos(self.rotation), np.sin(self.rotation)
        matrix = self.scale * np.array([[cos, -sin], [sin, cos]])
        centre = np.array([(WIDTH - 1) / 2, (HEIGHT - 1) / 2])
        return np.asarray(points) @ matrix.T + centre + np.asarray(self.shift)

    def from_pixels(self) -> tuple[_Points, _Points]:
        """Return matrix and offset that map raw (row, column) to eye (y, x)."""
        cos, sin = np.cos(self.rotation), np.sin(self.rotation)
        matrix = np.array([[cos, -sin], [sin, cos]]) / self.scale
        centre = np.array([(HEIGHT - 1) / 2, (WIDTH - 1) / 2])
        offset = -matrix @ (centre + np.asarray(self.shift)[::-1])
        return matrix, offset


def sample_cohort(n_images: int, seed: int, prefix: str) -> Iterator[tuple[Eye, View]]:
    """Sample patients until the cohort holds `n_images` images.

    Diseases are independent of each other, of the site and of the exposure. A patient has one to
    three images; glaucoma, AMD and RP mostly affect both eyes, a vein occlusion only one.

    Parameters
    ----------
    n_images : int
    seed : int
        Cohorts of different seeds share no patient.
    prefix : str
        First characters of the patient identifiers.

    Yields
    ------
    eye : Eye
    view : View
    """
    count, index = 0, 0
    while count < n_images:
        rng = np.random.default_rng([seed, index])
        affected = {
            "AMD": rng.random() < 0.26,
            "RVO": rng.random() < 0.36,
            "RP": rng.random() < 0.22,
            "Gla": rng.random() < 0.29,
        }
        age = 56.0 + 9 * affected["AMD"] + 6 * affected["Gla"] + 5 * affected["RVO"]
        age = float(np.clip(rng.normal(age - 14 * affected["RP"], 12.0), 18, 94))
        sex = "F" if rng.random() < 0.53 else "M"
        site = "B" if rng.random() < 0.5 else "A"
        occluded = rng.choice(["L", "R"])
        eyes = {}
        for side in ("L", "R"):
            labels = {
                "AMD": int(affected["AMD"] and rng.random() < 0.92),
                "RVO": int(affected["RVO"] and (side == occluded or rng.random() < 0.4)),
                "RP": int(affected["RP"]),
                "Gla": int(affected["Gla"] and rng.random() < 0.88),
            }
            eyes[side] = Eye(
                f"{prefix}{index:04d}",
                side,
                round(age),
                sex,
                site,
                labels,
                int(rng.integers(2**62)),
            )
        first = rng.choice(["L", "R"])
        other = "R" if first == "L" else "L"
        n_views = int(rng.choice([1, 2, 3], p=[0.35, 0.4, 0.25]))
        sides = [first, other if rng.random() < 0.75 else first, rng.choice(["L", "R"])]
        for side in sides[:n_views]:
            if count == n_images:
                return
            yield eyes[side], _sample_view(rng)
            count += 1
        index += 1


def _sample_view(rng: np.random.Generator) -> View:
    shift = np.clip(rng.normal(0, 4.5, 2), -11, 11)
    rotation = np.deg2rad(np.clip(rng.normal(0, 3.0), -8, 8))
    scale = np.clip(rng.normal(1, 0.025), 0.94, 1.06)
    return View(
        (float(shift[0]), float(shift[1])),
        float(rotation),
        float(scale),
        int(rng.integers(2**62)),
    )


class _Canvas:
    """An oversampled single-channel canvas that takes shapes in eye coordinates."""

    def __init__(self, view: View) -> None:
        self._view = view
        self._image = Image.new("L", (WIDTH * _OVERSAMPLING, HEIGHT * _OVERSAMPLING))
        self._draw = ImageDraw.Draw(self._image)

    def _pixels(self, points: _Points) -> _Points:
        # Pixel centres have whole coordinates, PIL's canvas starts at the corner of pixel 0.
        return (self._view.to_pixels(points) + 0.5) * _OVERSAMPLING

    def polyline(self, points: _Points, widths: _Points, value: int = 255) -> None:
        """Draw a line whose width, in raw pixels, changes along it."""
        pixels = self._pixels(points)
        radii = np.maximum(np.asarray(widths) * _OVERSAMPLING * self._view.scale / 2, 0.5)
        segments = zip(pixels[:-1].tolist(), pixels[1:].tolist(), radii[1:].tolist(), strict=True)
        for start, (x, y), r in segments:
            self._draw.line([*start, x, y], fill=value, width=max(1, round(2 * r)))
            if r > 1.5:  # round the joints that are wide enough to show
                self._draw.ellipse([x - r, y - r, x + r, y + r], fill=value)

    def polygon(self, points: _Points, value: int = 255) -> None:
        """Fill a polygon."""
        self._draw.polygon([tuple(p) for p in self._pixels(points)], fill=value)

    def ellipse(
        self, centre: _Points, radii: tuple[float, float], angle: float = 0, value: int = 255
    ) -> None:
        """Fill an ellipse of semi-axes `radii` turned by `angle`."""
        turn = np.linspace(0, 2 * np.pi, 24, endpoint=False)
        outline = np.stack([radii[0] * np.cos(turn), radii[1] * np.sin(turn)], axis=1)
        cos, sin = np.cos(angle), np.sin(angle)
        self.polygon(np.asarray(centre) + outline @ np.array([[cos, sin], [-sin, cos]]), value)

    def cover(self, blur: float = 0) -> _FloatArray:
        """Return the covered share of every raw pixel, 0 to 1."""
        cover = np.asarray(self._image.reduce(_OVERSAMPLING), dtype=np.float32) / 255
        return gaussian_filter(cover, blur) if blur else cover


# --- anatomy -------------------------------------------------------------------------------------

# Way points of the main vessels from the disc outwards, in eye coordinates.
_ARCADES = {
    "superior temporal": [(-33, -1), (-26, -30), (6, -53), (60, -63), (120, -54)],
    "inferior temporal": [(-33, -1), (-25, 30), (8, 57), (62, 68), (120, 60)],
    "superior nasal": [(-33, -1), (-52, -28), (-83, -58), (-112, -86)],
    "inferior nasal": [(-33, -1), (-51, 26), (-85, 54), (-114, 80)],
}


def _arcade(name: str, rng: np.random.Generator, spread: float) -> _Points:
    """Return a smooth, slightly tortuous main vessel as a polyline."""
    way = np.array(_ARCADES[name], dtype=float)
    way[1:] += rng.normal(0, spread, way[1:].shape)
    spline = CubicSpline(np.linspace(0, 1, len(way)), way)
    t = np.linspace(0, 1, 44)
    wiggle = gaussian_filter(rng.normal(0, 1, (44, 2)), (2.5, 0)) * 3.2
    return spline(t) + wiggle * np.minimum(t * 6, 1)[:, None]


def _grow(
    rng: np.random.Generator,
    start: _Points,
    heading: float,
    length: float,
    width: float,
    depth: int,
) -> Iterator[tuple[_Points, _Points]]:
    """Grow a branch and its side branches; yield polylines and widths."""
    n = max(5, int(length / 4))
    headings = (
        heading + np.cumsum(rng.normal(0, 0.09, n)) + rng.normal(0, 0.25) * np.linspace(0, 1, n)
    )
    steps = np.stack([np.cos(headings), np.sin(headings)], axis=1) * length / n
    points = np.concatenate([start[None], start + np.cumsum(steps, axis=0)])
    # Capillaries leave the fovea free.
    near = np.hypot(*(points - FOVEA_CENTRE).T) < 13
    if near.any():
        points = points[: max(2, int(near.argmax()))]
    widths = np.linspace(width, width * 0.5, len(points))
    yield points, widths
    if depth == 0:
        return
    for k in range(1 + int(rng.random() < 0.6)):
        at = int(len(points) * rng.uniform(0.25, 0.9))
        if 0 < at < len(headings):
            side = 1 if k % 2 else -1
            turn = headings[at] + side * rng.uniform(0.35, 0.85)
            yield from _grow(
                rng, points[at], turn, length * rng.uniform(0.45, 0.75), width * 0.65, depth - 1
            )


def _vessels(eye: Eye, view: View) -> tuple[_FloatArray, _FloatArray]:
    """Return the cover of arteries and of veins."""
    canvases = []
    for kind, width in (("artery", 2.1), ("vein", 2.9)):
        rng = np.random.default_rng([eye.seed, 1, len(kind)])
        canvas = _Canvas(view)
        for name in _ARCADES:
            nasal = "nasal" in name
            path = _arcade(name, rng, 4.0)
            calibre = width * (0.75 if nasal else 1.0) * rng.uniform(0.9, 1.1)
            canvas.polyline(path, np.linspace(calibre, calibre * 0.5, len(path)))
            for k in range(5 if nasal else 7):
                at = int(rng.uniform(5, 40))
                tangent = path[at + 1] - path[at - 1]
                heading = np.arctan2(tangent[1], tangent[0]) + (-1) ** k * rng.uniform(0.4, 1.0)
                length = rng.uniform(26, 62)
                for points, widths in _grow(rng, path[at], heading, length, calibre * 0.55, 2):
                    canvas.polyline(points, widths)
        canvases.append(canvas.cover())
    return canvases[0], canvases[1]


def _noise(rng: np.random.Generator, shape: tuple[int, int], sigma: float) -> _FloatArray:
    """Return smooth noise of unit standard deviation."""
    # Coarse noise is drawn on a coarse grid: large Gaussian filters are what drawing spends on.
    step = max(1, int(sigma / 2))
    coarse = rng.standard_normal((shape[0] // step + 2, shape[1] // step + 2)).astype(np.float32)
    coarse = gaussian_filter(coarse, sigma / step)
    if step > 1:
        size = (coarse.shape[1] * step, coarse.shape[0] * step)
        coarse = np.asarray(Image.fromarray(coarse).resize(size, Image.Resampling.BICUBIC))
    coarse = coarse[: shape[0], : shape[1]]
    return (coarse - coarse.mean()) / coarse.std()


def _choroid(eye: Eye, view: View) -> tuple[_FloatArray, _FloatArray]:
    """Return choroidal vessels (0 to 1) and pigment mottling (unit SD) under the retina."""
    rng = np.random.default_rng([eye.seed, 2])
    shape = (HEIGHT + 64, WIDTH + 64)
    # Lines where a smooth field changes sign look like a plexus of wide vessels.
    ridges = np.exp(-((_noise(rng, shape, 5.5) / 0.33) ** 2))
    ridges += 0.7 * np.exp(-((_noise(rng, shape, 3.2) / 0.30) ** 2))
    ridges *= np.clip(0.55 + 0.4 * _noise(rng, shape, 24), 0, 1.2)
    mottle = (
        0.55 * _noise(rng, shape, 22) + 0.3 * _noise(rng, shape, 9) + 0.35 * _noise(rng, shape, 1.6)
    )
    matrix, offset = view.from_pixels()
    offset = offset + np.array([shape[0] / 2, shape[1] / 2])
    size = (HEIGHT, WIDTH)
    return (
        affine_transform(ridges, matrix, offset, size, order=1, mode="nearest"),
        affine_transform(mottle, matrix, offset, size, order=1, mode="nearest"),
    )


def _bump(view: View, centre: _Points, sigma: tuple[float, float]) -> _FloatArray:
    """Return a Gaussian of height 1 at an anatomical landmark."""
    x, y = view.to_pixels(centre)
    columns = np.exp(-0.5 * ((np.arange(WIDTH) - x) / (sigma[0] * view.scale)) ** 2)
    rows = np.exp(-0.5 * ((np.arange(HEIGHT) - y) / (sigma[1] * view.scale)) ** 2)
    return np.outer(rows, columns).astype(np.float32)


def field_radius() -> _FloatArray:
    """Return the distance from the centre of the field in units of its rim (1 on the rim)."""
    x = np.abs(np.arange(WIDTH) - (WIDTH - 1) / 2) / FIELD_SEMI_AXES[0]
    y = np.abs(np.arange(HEIGHT) - (HEIGHT - 1) / 2) / FIELD_SEMI_AXES[1]
    power = 2.5  # a little fuller than an ellipse, as the mirror of the camera leaves it
    return ((x[None] ** power + y[:, None] ** power) ** (1 / power)).astype(np.float32)


@dataclass(frozen=True)
class _Disc:
    """Optic disc of one eye, in eye coordinates."""

    centre: _Points
    radii: tuple[float, float]
    cup_centre: _Points
    cup_radii: tuple[float, float]
    angle: float


def _disc(eye: Eye) -> _Disc:
    rng = np.random.default_rng([eye.seed, 3])
    centre = DISC_CENTRE + rng.normal(0, 1.2, 2)
    vertical = 13.5 * np.clip(rng.normal(1, 0.06), 0.86, 1.14)
    horizontal = vertical * rng.uniform(0.84, 0.95)
    healthy, glaucoma = rng.normal(0.37, 0.09), rng.normal(0.67, 0.075)
    ratio = float(np.clip(glaucoma if eye.labels["Gla"] else healthy, 0.15, 0.86))
    # The cup of a glaucomatous disc grows downwards and upwards first: it is taller than wide.
    flatten = rng.uniform(0.84, 0.95) if eye.labels["Gla"] else rng.uniform(0.9, 1.05)
    cup = (horizontal * ratio * flatten, vertical * ratio)
    cup_centre = centre + np.array([1.0, 0.3]) + rng.normal(0, 0.4, 2)
    return _Disc(centre, (horizontal, vertical), cup_centre, cup, rng.normal(0, 0.1))


# --- lesions -------------------------------------------------------------------------------------


def draw_lesions(eye: Eye, view: View) -> dict[str, _FloatArray]:
    """Draw the lesions of every label that the eye carries, and nothing else.

    Parameters
    ----------
    eye : Eye
    view : View

    Returns
    -------
    dict of str to (256, 320) float32 array
        Covered share of every raw pixel, in left-eye orientation, for the labels that are 1.
    """
    draw = {"AMD": _drusen, "RVO": _flame_haemorrhages, "RP": _bone_spicules, "Gla": _cup}
    return {
        label: draw[label](np.random.default_rng([eye.seed, 10 + k]), eye, view)
        for k, label in enumerate(LABELS)
        if eye.labels[label]
    }


def _severity(rng: np.random.Generator) -> float:
    """Return how far a disease has gone, 0 (just visible) to 1."""
    return float(rng.beta(1.3, 1.3))


def _drusen(rng: np.random.Generator, eye: Eye, view: View) -> _FloatArray:
    severity = _severity(rng)
    canvas = _Canvas(view)
    for _ in range(int(8 + 28 * severity + rng.uniform(0, 6))):
        centre = FOVEA_CENTRE + rng.normal(0, 1, 2) * (9.0, 8.0)
        radius = rng.uniform(0.9, 1.5 + 1.3 * severity)
        canvas.ellipse(centre, (radius, radius * rng.uniform(0.75, 1.2)), rng.uniform(0, np.pi))
    return canvas.cover(0.5) * np.float32(0.24 + 0.5 * severity)


def _flame_haemorrhages(rng: np.random.Generator, eye: Eye, view: View) -> _FloatArray:
    severity = _severity(rng)
    vein = _arcade("superior temporal", np.random.default_rng([eye.seed, 1, len("vein")]), 4.0)
    canvas = _Canvas(view)
    for _ in range(int(10 + 30 * severity + rng.uniform(0, 6))):
        at = int(np.clip(rng.normal(25, 5.5), 14, 37))
        tangent = vein[at + 1] - vein[at - 1]
        tangent = tangent / np.hypot(*tangent)
        normal = np.array([-tangent[1], tangent[0]])
        centre = vein[at] + normal * rng.normal(1, 8.5)
        turn = rng.normal(0, 0.3)
        along = np.cos(turn) * tangent + np.sin(turn) * normal
        across = np.array([-along[1], along[0]])
        length, width = rng.uniform(2.5, 5 + 3 * severity), rng.uniform(0.7, 1.3 + 0.7 * severity)
        t = np.linspace(-1, 1, 9)
        bulge = (1 - t**2) * rng.uniform(0.6, 1.2, 9) * width
        upper = centre + np.outer(t * length, along) + np.outer(bulge, across)
        lower = centre + np.outer(t * length, along) - np.outer(bulge, across)
        canvas.polygon(np.concatenate([upper, lower[::-1]]))
    return canvas.cover(0.4) * np.float32(0.40 + 0.5 * severity)


def _bone_spicules(rng: np.random.Generator, eye: Eye, view: View) -> _FloatArray:
    severity = _severity(rng)
    canvas = _Canvas(view)
    axes = np.array(FIELD_SEMI_AXES)
    # Half of the pigment gathers in sectors, which differ from eye to eye.
    sectors = rng.uniform(0, 2 * np.pi, 3)
    for _ in range(int(30 + 55 * severity + rng.uniform(0, 10))):
        gathered = rng.random() < 0.5
        turn = rng.normal(rng.choice(sectors), 0.45) if gathered else rng.uniform(0, 2 * np.pi)
        radius = rng.normal(0.64, 0.085)
        _spicule(canvas, rng, axes * radius * np.array([np.cos(turn), np.sin(turn)]))
    return canvas.cover(0.35) * np.float32(0.30 + 0.5 * severity)


def _spicule(canvas: _Canvas, rng: np.random.Generator, centre: _Points) -> None:
    canvas.ellipse(centre, (rng.uniform(0.6, 1.5), rng.uniform(0.6, 1.2)), rng.uniform(0, np.pi))
    heading = rng.uniform(0, 2 * np.pi)
    for arm in range(int(rng.integers(2, 5))):
        bends = heading + arm * 2.1 + np.cumsum(rng.normal(0, 0.45, 3))
        steps = np.stack([np.cos(bends), np.sin(bends)], axis=1) * rng.uniform(1.0, 2.2)
        points = np.concatenate([centre[None], centre + np.cumsum(steps, axis=0)])
        canvas.polyline(points, np.linspace(1.2, 0.5, 4))


def _cup(rng: np.random.Generator, eye: Eye, view: View) -> _FloatArray:
    disc = _disc(eye)
    canvas = _Canvas(view)
    canvas.ellipse(disc.cup_centre, disc.cup_radii, disc.angle)
    return canvas.cover(0.5)


def _stray_spots(eye: Eye, view: View) -> tuple[_FloatArray, _FloatArray]:
    """Return bright and dark harmless spots, which any eye may have anywhere."""
    rng = np.random.default_rng([eye.seed, 4])
    bright, dark = _Canvas(view), _Canvas(view)
    for canvas, mean in ((bright, 5.0), (dark, 5.0)):
        for _ in range(rng.poisson(mean)):
            radius, turn = np.sqrt(rng.uniform(0, 0.85)), rng.uniform(0, 2 * np.pi)
            centre = radius * np.array(FIELD_SEMI_AXES) * (np.cos(turn), np.sin(turn))
            size = rng.uniform(0.7, 1.9)
            canvas.ellipse(centre, (size, size * rng.uniform(0.6, 1)), rng.uniform(0, np.pi))
    return bright.cover(0.5), dark.cover(0.4)


# --- the picture ---------------------------------------------------------------------------------


def draw(eye: Eye, view: View, *, mark: bool) -> NDArray[np.uint8]:
    """Draw one raw photograph.

    Parameters
    ----------
    eye : Eye
    view : View
    mark : bool
        Whether the camera burns its corner mark into the image.

    Returns
    -------
    (256, 320, 3) uint8 array
        Red, green and an empty blue channel, as the camera delivers it: right eyes are mirror
        images of left eyes, the mark is not.
    """
    rng = np.random.default_rng([view.seed, 1])
    red, green = _retina(eye, view, rng)
    red, green = _light(red, green, eye, rng)
    red, green = _lids(red, green, view, rng)
    field = 1 / (1 + np.exp((field_radius() - 1) * 90))
    image = np.stack([red * field, green * field, np.zeros_like(red)], axis=-1)
    if eye.laterality == "R":
        image = image[:, ::-1]
    image = gaussian_filter(image, (sharp := rng.uniform(0.35, 0.75), sharp, 0))
    grain = rng.normal(0, rng.uniform(2.0, 4.0), (HEIGHT, WIDTH, 2))
    image[..., :2] += grain * (0.25 + image[..., :2] / 160)
    image[..., :2] += rng.uniform(2, 5)
    out = np.clip(image, 0, 255).astype(np.uint8)
    if mark:
        burn_mark(out)
    return out


def _retina(eye: Eye, view: View, rng: np.random.Generator) -> tuple[_FloatArray, _FloatArray]:
    tone = np.random.default_rng([eye.seed, 5])
    choroid, mottle = _choroid(eye, view)
    pigment = tone.uniform(0.4, 1.0)  # a blond fundus shows its choroid, a dark one hides it
    red = 156 + 17 * pigment * choroid + 7 * mottle
    green = 91 + tone.normal(0, 5) - 3 * pigment * choroid + 7 * mottle
    disc = _disc(eye)

    macula = _bump(view, FOVEA_CENTRE, (19, 16))
    fovea = _bump(view, FOVEA_CENTRE, (4.5, 4.2))
    red *= 1 - 0.15 * macula - 0.11 * fovea
    green *= 1 - 0.25 * macula - 0.20 * fovea
    halo = _bump(view, disc.centre, (24, 30))
    red += 9 * halo
    green += 9 * halo

    bright, dark = _stray_spots(eye, view)
    red, green = _blend(red, green, bright, (205, 150), 0.45)
    red, green = _blend(red, green, dark, (104, 44), 0.6)

    lesions = draw_lesions(eye, view)
    if "AMD" in lesions:
        red, green = _blend(red, green, lesions["AMD"], (214, 168), 0.85)

    plate, cup = _Canvas(view), _Canvas(view)
    plate.ellipse(disc.centre, disc.radii, disc.angle)
    cup.ellipse(disc.cup_centre, disc.cup_radii, disc.angle)
    red, green = _blend(red, green, plate.cover(1.0), (216, 148 + tone.normal(0, 5)), 0.92)
    red, green = _blend(red, green, cup.cover(0.9), (240, 208 + tone.normal(0, 8)), 0.85)

    arteries, veins = _vessels(eye, view)
    red, green = _blend(red, green, veins, (104, 38), 0.66)
    red, green = _blend(red, green, arteries, (140, 52), 0.58)
    if "RVO" in lesions:
        red, green = _blend(red, green, lesions["RVO"], (112, 20), 0.92)
    if "RP" in lesions:
        red, green = _blend(red, green, lesions["RP"], (30, 24), 0.92)
    return red, green


def _blend(
    red: _FloatArray,
    green: _FloatArray,
    cover: _FloatArray,
    colour: tuple[float, float],
    opacity: float,
) -> tuple[_FloatArray, _FloatArray]:
    alpha = cover * np.float32(opacity)
    return red + alpha * (colour[0] - red), green + alpha * (colour[1] - green)


def _light(
    red: _FloatArray, green: _FloatArray, eye: Eye, rng: np.random.Generator
) -> tuple[_FloatArray, _FloatArray]:
    """Apply vignetting, uneven illumination and the colour of the site's camera."""
    radius = field_radius()
    fall = (0.34 if eye.site == "A" else 0.44) + rng.normal(0, 0.04)
    light = 1 - fall * np.clip(radius, 0, 1.3) ** 3.2
    tilt = rng.normal(0, 0.06, 2)
    light = light * (
        1 + tilt[0] * np.linspace(-1, 1, WIDTH) + tilt[1] * np.linspace(-1, 1, HEIGHT)[:, None]
    )
    light = light * (1 + 0.035 * _noise(rng, (HEIGHT, WIDTH), 30)) * rng.normal(1, 0.06)
    balance = (1.03, 0.93) if eye.site == "A" else (0.94, 1.05)
    red_gain = balance[0] * rng.normal(1, 0.03)
    green_gain = balance[1] * rng.normal(1, 0.05)
    return red * light * red_gain, green * light * green_gain


def _lids(
    red: _FloatArray, green: _FloatArray, view: View, rng: np.random.Generator
) -> tuple[_FloatArray, _FloatArray]:
    """Lay the lids and the shadows of the lashes over the rim of the field."""
    x = np.arange(WIDTH)
    rows = np.arange(HEIGHT)[:, None]
    for lower, share in ((True, 0.75), (False, 0.4)):
        present = rng.random() < share
        depth, bend = abs(rng.normal(0, 8)) + 2, rng.uniform(2e-4, 9e-4)
        if not present:
            continue
        ripple = gaussian_filter(rng.normal(0, 1, WIDTH), 14) * 9
        rise = depth - bend * (x - WIDTH / 2 - rng.normal(0, 25)) ** 2 + ripple
        distance = (rows - (HEIGHT - 11 - rise)) if lower else (11 + rise - rows)
        cover = (1 / (1 + np.exp(-distance / 2.6))).astype(np.float32)
        shade = 1 - 0.35 / (1 + np.exp(-(distance + 7) / 4))
        red, green = red * shade, green * shade
        skin = rng.uniform(0.85, 1.1)
        texture = 1 + 0.07 * _noise(rng, (HEIGHT, WIDTH), 2.5)
        red = red + 0.85 * cover * (138 * skin * texture - red)
        green = green + 0.85 * cover * (70 * skin * texture - green)
    lashes = _lashes(view, rng)
    return red * (1 - 0.72 * lashes), green * (1 - 0.66 * lashes)


def _lashes(view: View, rng: np.random.Generator) -> _FloatArray:
    canvas = _Canvas(View((0.0, 0.0), 0.0, 1.0, 0))
    for sign, share in ((1, 0.6), (-1, 0.25)):
        if rng.random() >= share:
            continue
        for _ in range(rng.integers(4, 14)):
            root = np.array([rng.uniform(-95, 95), sign * 122.0])
            lean = root[0] / 160 + rng.normal(0, 0.22)
            length = rng.uniform(14, 38)
            t = np.linspace(0, 1, 10)
            bow = rng.normal(0, 5) * t**2
            points = root + np.stack([lean * length * t + bow, -sign * length * t], axis=1)
            canvas.polyline(points, np.linspace(2.2, 0.5, 10))
    return canvas.cover(rng.uniform(0.5, 1.1))


def burn_mark(image: NDArray[np.uint8]) -> None:
    """Burn site B's corner mark into a raw image, in place."""
    left, top, right, bottom = MARK_BOX
    image[top:bottom, left:right] = (226, 206, 0)
    image[top + 4 : bottom - 4, left + 4 : right - 4] = (52, 44, 0)
    image[top + 8 : bottom - 8, left + 8 : right - 8] = (226, 206, 0)


def encode_jpeg(image: NDArray[np.uint8]) -> bytes:
    """Return the image as the bytes of a JPEG file."""
    buffer = io.BytesIO()
    Image.fromarray(image).save(buffer, "JPEG", quality=JPEG_QUALITY, optimize=True)
    return buffer.getvalue()
