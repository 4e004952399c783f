"""A registrar of another package, for pictures of one bright square, driven through the frame."""

import importlib
import sys

import numpy as np
import pytest
import tiny
from PIL import Image

from napari_globalxai.cohort.table import read_cohort
from napari_globalxai.errors import InputError
from napari_globalxai.frame.alignment import align
from napari_globalxai.frame.quality_measures import measure_sides
from napari_globalxai.settings.frame_settings import FrameSettings, registrations

HEIGHT, WIDTH = 40, 60
PACKAGE = '''
"""Moves a bright square to its median place; a brighter right half is how left sides lie."""

import json

import numpy as np
import torch
from monai.transforms import MapTransform

from napari_globalxai.frame.registrar import Steps
from napari_globalxai.frame.resampling import frame_to_native, with_affine
from napari_globalxai.frame.geometry import swap_axes

LEARNT = []


def centre(image):
    bright = np.argwhere(np.asarray(image).max(axis=0) > 150)
    return (bright.min(axis=0) + bright.max(axis=0)) / 2


class Fit:
    confidence = 0.75

    def __init__(self, margin):
        self.margin = margin

    def turned(self):
        return Fit(-self.margin)


class Found:
    def __init__(self, down, across, place):
        self.kept, self.reason, self.before, self.after = bool(down or across), "", 0.0, 1.0
        self.matrix = np.array([[1.0, 0, across], [0, 1, down], [0, 0, 1]])
        self.landmarks = place[None, ::-1]


class Move(MapTransform):
    def __init__(self, keys, home):
        super().__init__(keys)
        self.home = np.asarray(home)

    def __call__(self, item):
        item = dict(item)
        place = centre(item[self.keys[0]].numpy())
        down, across = (int(step) for step in np.rint(place - self.home))
        item["registration"] = found = Found(down, across, place)
        for key in self.keys:
            image = item[key]
            moved = torch.roll(image, (-down, -across), (1, 2))
            affine = swap_axes(frame_to_native(image) @ found.matrix)
            item[key] = with_affine(moved, affine)
        assert item["sides"].confidence == 0.75
        return item


class Square:
    tells_sides = True

    def __init__(self, home):
        self.home = [float(value) for value in home]

    def compare_sides(self, image):
        values = np.asarray(image.image, float).mean(axis=0)
        half = values.shape[1] // 2
        return Fit(values[:, half:].mean() - values[:, :half].mean())

    def onto(self, image):
        if np.asarray(image.image).max() < 150:
            return None
        return Square(centre(image.image))

    def steps(self, registration, keys, size):
        assert registration == "by-square"
        return Steps([], [Move(keys, self.home)])

    def save(self, path):
        path.write_text(json.dumps(self.home))


class Squares:
    images_to_learn_from = 5

    def learn(self, images):
        LEARNT.append([(image.side, image.aspect, centre(image.image)) for image in images])
        return Square(np.median([place for _, _, place in LEARNT[-1]], axis=0))

    def load(self, path):
        return Square(json.loads(path.read_text()))
'''


@pytest.fixture
def package(tmp_path, monkeypatch):
    """A package with nothing but the registrar and its entry point."""
    folder = tmp_path / "site"
    (folder / "squares-1.0.dist-info").mkdir(parents=True)
    (folder / "squares.py").write_text(PACKAGE)
    (folder / "squares-1.0.dist-info" / "METADATA").write_text("Name: squares\nVersion: 1.0\n")
    (folder / "squares-1.0.dist-info" / "entry_points.txt").write_text(
        "[napari_globalxai.registrations]\nby-square = squares:Squares\n"
    )
    monkeypatch.syspath_prepend(str(folder))
    yield importlib.import_module("squares")
    del sys.modules["squares"]


def write_squares(folder, places, sides):
    """Pictures with a bright square, and light from the right; right sides lie mirrored."""
    lines = ["filename,LR,A"]
    for number, ((row, column), side) in enumerate(zip(places, sides, strict=True)):
        image = np.full((HEIGHT, WIDTH), 40, np.uint8)
        image[:, WIDTH // 2 :] = 90
        image[row : row + 5, column : column + 5] = 200
        if side == "R":
            image = image[:, ::-1]
        Image.fromarray(image).save(folder / f"{number}.png")
        # The last two are said by nobody.
        lines.append(f"{number}.png,{side if number < len(places) - 2 else ''},1")
    (folder / "cohort.csv").write_text("\n".join(lines) + "\n")
    return folder / "cohort.csv"


PLACES = [(10, 20), (12, 25), (9, 31), (14, 28), (11, 24), (10, 26), (16, 22)]
SIDES = ["L", "R", "L", "L", "R", "R", "L"]


def frame(**more):
    return FrameSettings(
        size=(HEIGHT, WIDTH), registration="by-square", estimate_laterality=True, **more
    )


def test_it_is_offered_by_name(package):
    assert registrations()["by-square"] == "From squares"
    assert next(iter(registrations())) == "none"
    with pytest.raises(InputError, match="by-circle"):
        FrameSettings(registration="by-circle")


def test_images_come_to_lie_where_the_registrar_says(package, tmp_path):
    table = write_squares(tmp_path, PLACES, SIDES)
    stack = align(read_cohort(table), frame(), tmp_path / "stack")
    # It learns from five of seven, as they were taken: the first, the last, and between.
    (learnt,) = package.LEARNT
    assert [side for side, _, _ in learnt] == ["L", "R", "L", "R", ""]
    assert [aspect for _, aspect, _ in learnt] == [1.0] * 5
    home = np.median([place for _, _, place in learnt], axis=0)
    facts = stack.facts()
    for number, ((row, column), side) in enumerate(zip(PLACES, SIDES, strict=True)):
        bright = np.argwhere(stack.read([number])[0, 0] > 150)
        assert np.abs((bright.min(axis=0) + bright.max(axis=0)) / 2 - home).max() <= 0.5
        known = facts[number]
        assert (known["laterality"], known["side_confidence"]) == (side, 0.75)
        assert known["laterality_source"] == ("table" if number < 5 else "image")
        assert known["side_margin"] > 0
        # From the frame to the file, mirroring and all: the square's first corner, (x, y).
        corner = np.array([bright[:, 1].min(), bright[:, 0].min(), 1])
        x, y, _ = np.array(known["matrix"]) @ corner
        assert (x, y) == pytest.approx((column if side == "L" else WIDTH - 1 - column, row))
        assert known["landmarks"] == [[column + 2, row + 2]]
    # Light from the right in all: sides have been told, and none looks wrong.
    assert all(margin > 0 for margin in measure_sides(stack, range(7)).values())


def test_what_was_learnt_is_kept_for_new_images(package, tmp_path):
    table = write_squares(tmp_path, PLACES[:5], SIDES[:5])
    first = align(read_cohort(table), frame(), tmp_path / "stack").read(range(5))
    table = write_squares(tmp_path, PLACES, ["L", *SIDES[1:]])
    whole = align(read_cohort(table), frame(), tmp_path / "stack")
    assert len(package.LEARNT) == 1
    assert np.array_equal(whole.read(range(5))[:3], first[:3])
    assert not any(whole.status().values())


def test_a_template_is_what_the_registrar_makes_of_it(package, tmp_path):
    table = write_squares(tmp_path, PLACES, SIDES)
    stack = align(read_cohort(table), frame(template=tmp_path / "3.png"), tmp_path / "stack")
    bright = np.argwhere(stack.read([0])[0, 0] > 150)
    assert tuple(bright.min(axis=0)) == PLACES[3]
    Image.fromarray(np.full((HEIGHT, WIDTH), 60, np.uint8)).save(tmp_path / "plain.png")
    with pytest.raises(
        InputError, match=r"plain\.png: shows no landmarks like those of the cohort"
    ):
        align(read_cohort(table), frame(template=tmp_path / "plain.png"), tmp_path / "other")


def test_sides_are_compared_by_the_registrar_of_the_alignment(package, tmp_path):
    images = np.full((4, 2, HEIGHT, WIDTH), 60, np.uint8)
    images[:, :, 10:15, 10:15] = 200
    images[2, :, :, 40:] = 250
    stack = tiny.make_stack(tmp_path / "stack", images)
    margins = measure_sides(stack, [0, 2, 3], registration="by-square")
    expected = {
        row: images[row, :, :, 30:].mean() - images[row, :, :, :30].mean() for row in (0, 2, 3)
    }
    assert margins == pytest.approx(expected)
    assert margins[0] < 0 < margins[2]
