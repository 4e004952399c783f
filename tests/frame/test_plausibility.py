"""What looks wrong with images beside a model's card, and that nothing does where nothing is."""

import sys
from pathlib import Path

import numpy as np
import pytest
import yaml
from PIL import Image

from napari_globalxai.cohort.table import read_cohort
from napari_globalxai.frame.alignment import align
from napari_globalxai.frame.plausibility import (
    Expected,
    implausibilities,
    look_at_stack,
    reading_notes,
)
from napari_globalxai.settings.frame_settings import FrameSettings

SAMPLE = Path(__file__).parents[2] / "sample_data"
CARD = yaml.safe_load((SAMPLE / "models" / "honest.yaml").read_text())["input"]
HONEST = Expected(
    tuple(CARD["channels"]), tuple(CARD["mean"]), tuple(CARD["std"]), tuple(CARD["range"])
)
IMAGENET = Expected(("red", "green", "blue"), (0.485, 0.456, 0.406), (0.229, 0.224, 0.225))


@pytest.fixture(scope="module")
def sample():
    """Thirty of the bundled images, made small by Pillow; with their fields of view."""
    files = sorted((SAMPLE / "cohort" / "images").glob("*.jpg"))[::9][:30]
    images = np.stack(
        [np.moveaxis(np.asarray(Image.open(file).resize((80, 64))), -1, 0) for file in files]
    )
    return images, images.max(axis=1) > 14


def grey_of(images):
    return np.rint(images.mean(axis=1, keepdims=True)).astype(np.uint8)


def statistics(images):
    """Mean and SD of all pixels by channel on a scale of 0–1, as people work them out."""
    pixels = np.moveaxis(images, 1, 0).reshape(images.shape[1], -1) / 255
    return tuple(pixels.mean(axis=1)), tuple(pixels.std(axis=1))


def only(found):
    assert len(found) == 1, found
    return found[0]


# ---------------------------------------------------------------- nothing is wrong


def test_the_bundled_cohort_is_as_its_card_tells(sample):
    images, fields = sample
    assert implausibilities(images[:, :2], fields, HONEST) == []
    assert implausibilities(images, fields, None) == []
    # Statistics of no data in particular, and none at all.
    for expected in (
        IMAGENET,
        Expected(IMAGENET.channels, (0.5,) * 3, (0.5,) * 3),
        Expected(IMAGENET.channels, (0.0,) * 3, (1.0,) * 3, (0, 255)),
        Expected(IMAGENET.channels, (0.0,) * 3, (1.0,) * 3, (-1, 1)),
        Expected(IMAGENET.channels, (103.9, 116.8, 123.7), (1.0,) * 3, (0, 255)),
    ):
        assert implausibilities(images, fields, expected) == []


@pytest.mark.parametrize("scale", [(0.0, 1.0), (0.0, 255.0), (-1.0, 1.0), (1.0, 0.0)])
def test_grey_images_and_other_scales_are_fine(scale, sample):
    low, high = scale
    for images in (grey_of(sample[0]), sample[0][:, :2]):
        mean, sd = statistics(images)
        expected = Expected(
            ("grey",) if images.shape[1] == 1 else ("red", "green"),
            tuple(low + value * (high - low) for value in mean),
            tuple(value * abs(high - low) for value in sd),
            scale,
        )
        assert implausibilities(images, sample[1], expected) == []


@pytest.mark.parametrize("registration", ["none", "landmarks"])
def test_aligned_and_registered_images_are_fine(registration, tmp_path):
    lines = (SAMPLE / "cohort" / "cohort.csv").read_text().splitlines()
    table = tmp_path / "c.csv"
    table.write_text("\n".join(lines[:25]) + "\n")
    cohort = read_cohort(table, image_root=SAMPLE / "cohort")
    frame = FrameSettings(size=(128, 160), channels=HONEST.channels, registration=registration)
    stack = align(cohort, frame, tmp_path / "s.zarr")
    assert not any(stack.status().values())
    assert look_at_stack(stack, range(24), cohort.names, HONEST) == []


# ---------------------------------------------------------------- something is


@pytest.mark.parametrize("bits", [12, 10])
def test_numbers_of_fewer_bits_are_black_images_without_a_field(bits, sample):
    """Also where a pixel here and there is just above the field's threshold."""
    images = sample[0] >> (16 - bits)
    images //= 1 if bits == 10 else 2
    said = only(implausibilities(images[:, :2], images.max(axis=1) > 14, HONEST))
    assert said.startswith("Coverage is 0 everywhere: no pixel lies in the field of view")
    assert "30 of them are nearly black" in said
    some = np.zeros_like(sample[1])
    some[:9, 20:40, 20:40] = True
    assert "Coverage is 0.30 at the most" in only(implausibilities(images, some, None))
    # Whoever took any field of view would see black images.
    said = only(implausibilities(images[:, :2], sample[1], HONEST))
    assert said.startswith("30 of 30 images that were looked at are nearly black (image 1, ")


def test_some_black_images_are_named(sample):
    images, fields = sample[0].copy(), sample[1].copy()
    names = [f"{number:03}.jpg" for number in range(len(images))]
    images[4] //= 64
    fields[4] = False
    images[7] //= 20
    empty, black = implausibilities(images[:, :2], fields, HONEST, names)
    assert "empty in 1 of 30 images" in empty
    assert "(004.jpg)" in empty
    assert "1 of 30 images that were looked at is nearly black (007.jpg)" in black


def test_inverted_images(sample):
    images, fields = sample
    assert "seem inverted" in only(implausibilities(255 - images[:, :2], fields, HONEST))
    grey = grey_of(images)
    mean, sd = statistics(grey)
    assert "seem inverted" in only(
        implausibilities(255 - grey, fields, Expected(("grey",), mean, sd))
    )
    some = images[:, :2].copy()
    some[::6] = 255 - some[::6]
    assert only(implausibilities(some, fields, HONEST)).startswith("5 of 30 images that were")
    some = images[:, :2].copy()
    some[3] = 255 - some[3]
    assert implausibilities(some, fields, HONEST) == []


def test_channels_in_another_order(sample):
    images, fields = sample
    said = only(implausibilities(images[:, [1, 0]], fields, HONEST))
    assert "another order" in said
    assert said.endswith("much better as green, red.")
    coloured = images.copy()
    coloured[:, 2] = images[:, 1] // 3
    expected = Expected(("red", "green", "blue"), *statistics(coloured))
    assert implausibilities(coloured, fields, expected) == []
    said = only(implausibilities(coloured[:, ::-1], fields, expected))
    assert said.endswith("much better as blue, green, red.")


@pytest.mark.parametrize("change", [lambda each: each // 2, lambda each: each // 5, np.maximum])
def test_a_mean_far_from_the_cards(change, sample):
    images, fields = sample
    changed = np.maximum(images, 200) if change is np.maximum else change(images)
    said = only(implausibilities(changed[:, :2], fields, HONEST))
    assert said.startswith("The images' mean (red ")
    assert "SDs of the card's from what the card tells (red 98, green 57)" in said


def test_an_sd_far_from_the_cards(sample):
    """Images of one grey that is the mean: as range and offset confused would give."""
    images, fields = sample
    flat = np.zeros_like(images[:, :2]) + np.array([98, 57], np.uint8)[:, None, None]
    assert "The images' SD" in only(implausibilities(flat, fields, HONEST))


def test_grey_images_for_a_card_of_coloured_ones(sample):
    images, fields = sample
    grey = np.repeat(images[:, :1] // 8 * 6, 2, axis=1)
    said = only(implausibilities(grey, fields, HONEST))
    assert "they are grey" in said


def test_a_card_on_two_scales(sample):
    for expected in (
        Expected(HONEST.channels, HONEST.mean, HONEST.std, (0, 255)),
        Expected(HONEST.channels, (98.0, 57.0), (60.0, 35.0), (0, 1)),
    ):
        said = only(implausibilities(sample[0][:, :2], sample[1], expected))
        assert "give all three on one scale" in said


def test_notes_on_how_files_were_read_are_told_by_kind():
    facts = {0: {}, 1: {"note": "its alpha …"}, 2: {"note": "YBR"}, 3: {"note": "its alpha …"}}
    assert reading_notes(facts, ["a", "b", "c", "d"]) == [
        "2 images (b, d): its alpha …; look whether that is right.",
        "1 image (c): YBR; look whether that is right.",
    ]


def test_no_images_say_nothing():
    nothing = np.zeros((0, 2, 8, 8), np.uint8)
    assert implausibilities(nothing, np.zeros((0, 8, 8), bool), HONEST) == []


def test_torch_is_not_needed():
    import subprocess

    code = (
        "import sys; import napari_globalxai.frame.plausibility; "
        "sys.exit('torch' in sys.modules or 'monai' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
