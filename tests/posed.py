"""Phantoms of the sample cohort's kind in random pose, with the truth about disc and macula."""

import importlib.util
import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

SCRIPTS = Path(__file__).resolve().parents[1] / "sample_data" / "scripts"


def phantom_module():
    """The sample cohort's program that draws phantoms."""
    if "phantom" not in sys.modules:
        spec = importlib.util.spec_from_file_location("phantom", SCRIPTS / "phantom.py")
        sys.modules["phantom"] = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(sys.modules["phantom"])
    return sys.modules["phantom"]


@dataclass
class Posed:
    """images (n, 256, 320, 3); eyes; points (n, disc and macula, x and y), as the images lie."""

    images: np.ndarray
    eyes: list
    points: np.ndarray

    @property
    def sides(self):
        return [eye.laterality for eye in self.eyes]

    def first(self, count):
        """The first images alone."""
        return Posed(self.images[:count], self.eyes[:count], self.points[:count])

    def mirrored_points(self):
        """The points in left-eye orientation."""
        points = self.points.copy()
        right = np.array(self.sides) == "R"
        points[right, :, 0] = self.images.shape[2] - 1 - points[right, :, 0]
        return points

    def write(self, folder, sides=None):
        """Write images and table; give the table."""
        folder.mkdir(parents=True, exist_ok=True)
        lines = ["filename,LR,A"]
        sides = self.sides if sides is None else sides
        for row, (image, side) in enumerate(zip(self.images, sides, strict=True)):
            Image.fromarray(image).save(folder / f"{row:03}.png", compress_level=1)
            lines.append(f"{row:03}.png,{side},{row % 2}")
        (folder / "cohort.csv").write_text("\n".join(lines) + "\n")
        return folder / "cohort.csv"


def draw(count, seed):
    """Shift up to 8 %, rotation up to 10 degrees, scale 0.9 to 1.1, colours and lids changing."""
    phantom = phantom_module()
    rng = np.random.default_rng([seed, 99])
    images, eyes, points = [], [], []
    for eye, view in phantom.sample_cohort(count, seed, "posed"):
        shift = rng.uniform(-0.08, 0.08, 2) * (phantom.WIDTH, phantom.HEIGHT)
        view = phantom.View(
            tuple(float(value) for value in shift),
            float(np.deg2rad(rng.uniform(-10, 10))),
            float(rng.uniform(0.9, 1.1)),
            view.seed,
        )
        image = phantom.draw(eye, view, mark=False)
        gain = (rng.uniform(0.8, 1.2), rng.uniform(0.75, 1.25), 1)
        images.append(np.clip(image * gain, 0, 255).astype(np.uint8))
        marks = view.to_pixels(np.stack([phantom._disc(eye).centre, phantom.FOVEA_CENTRE]))
        if eye.laterality == "R":
            marks[:, 0] = phantom.WIDTH - 1 - marks[:, 0]
        eyes.append(eye)
        points.append(marks)
    return Posed(np.stack(images), eyes, np.array(points))
