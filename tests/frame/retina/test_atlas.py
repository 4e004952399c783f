"""Which cohorts an atlas is learnt from, and when it may tell sides."""

import numpy as np
import posed
import pytest
from scipy.ndimage import binary_fill_holes, binary_opening, gaussian_filter

from napari_globalxai.frame.retina.atlas import learn_atlas
from napari_globalxai.frame.retina.landmarks import Picture
from napari_globalxai.frame.retina.registration import register

HEIGHT, WIDTH = 160, 200
COUNT = 16


def ready(image):
    """Make a picture of something without a dark surround."""
    return Picture(np.clip(image, 1, 255), np.ones(image.shape, bool))


def chests(rng):
    """Two dark lungs, a bright heart at one side, ribs; a little turned and moved."""
    pictures = []
    for _ in range(COUNT):
        rows, columns = np.mgrid[:HEIGHT, :WIDTH].astype(float)
        angle, moved = rng.uniform(-0.08, 0.08), rng.uniform(-10, 10, 2)
        x, y = columns - WIDTH / 2 - moved[0], rows - HEIGHT / 2 - moved[1]
        x, y = x * np.cos(angle) - y * np.sin(angle), x * np.sin(angle) + y * np.cos(angle)
        image = np.full((HEIGHT, WIDTH), 120.0)
        for centre in (-40, 40):
            image[((x - centre) / 31) ** 2 + (y / 56) ** 2 < 1] -= 70
        image[np.abs(x) < 11] += 50
        image[((x - 12) / 28) ** 2 + ((y - 25) / 25) ** 2 < 1] += 60
        image += 12 * np.cos(y / 2.5)
        pictures.append(ready(gaussian_filter(image, 1.3) + rng.normal(0, 4, image.shape)))
    return pictures


def noises(rng):
    return [
        ready(120 + 600 * gaussian_filter(rng.normal(0, 1, (HEIGHT, WIDTH)), rng.uniform(3, 10)))
        for _ in range(COUNT)
    ]


def eyes(seed):
    """Left and right eyes as they were taken, with their sides."""
    phantoms = posed.draw(COUNT, seed)
    fields = [
        binary_fill_holes(binary_opening(i.sum(-1) > 30, iterations=2)) for i in phantoms.images
    ]
    pictures = [Picture(i[..., 1], field) for i, field in zip(phantoms.images, fields, strict=True)]
    return pictures, phantoms.sides


def test_noise_gives_no_atlas():
    for seed in range(3):
        pictures = noises(np.random.default_rng(seed))
        assert learn_atlas(pictures, [""] * COUNT, [1.0] * COUNT) is None


def test_eyes_of_unknown_side_give_an_atlas_that_tells_sides():
    pictures, sides = eyes(5)
    atlas = learn_atlas(pictures, [""] * COUNT, [1.0] * COUNT)
    assert atlas.tells_sides
    found = ["L" if atlas.sides(picture).margin > 0 else "R" for picture in pictures]
    assert found == sides


@pytest.mark.parametrize("mirrored", [False, True])
def test_chest_radiographs_are_registered_but_never_turned_around(mirrored):
    pictures = chests(np.random.default_rng(0))
    if mirrored:
        pictures = [picture.mirrored() for picture in pictures]
    atlas = learn_atlas(pictures, [""] * COUNT, [1.0] * COUNT)
    assert not atlas.tells_sides
    moved = [register(picture, atlas, atlas.sides(picture)) for picture in pictures]
    assert all(each.kept for each in moved)
    assert np.median([each.after - each.before for each in moved]) > 0.1


def test_eyes_of_one_side_only_keep_it():
    pictures, sides = eyes(5)
    alike = [p.mirrored() if s == "R" else p for p, s in zip(pictures, sides, strict=True)]
    assert not learn_atlas(alike, [""] * COUNT, [1.0] * COUNT).tells_sides
    # With some told, there is something to hold the others against.
    assert learn_atlas(alike, ["L"] * 4 + [""] * 12, [1.0] * COUNT).tells_sides
