"""The frame's transforms by themselves: invertible, with affines that tell where pixels lie."""

import numpy as np
import pytest
import torch
from monai.data import MetaTensor
from monai.transforms import Compose, Invertd
from PIL import Image

from napari_globalxai.frame.geometry import (
    apply,
    mirror,
    read_transform,
    resizing,
    similarity,
    swap_axes,
    warp,
    write_transform,
)
from napari_globalxai.frame.resampling import frame_to_native, resample
from napari_globalxai.frame.transforms import MirrorRightSided, frame_transforms

RGB = ("red", "green", "blue")


def write_photograph(path, height=120, width=150, **options):
    rows, columns = np.mgrid[:height, :width]
    image = 128 + 60 * np.sin(columns / 17) * np.cos(rows / 11)
    Image.fromarray(np.stack([image, image / 2, image], -1).astype(np.uint8)).save(path, **options)


def smooth_map(height, width):
    rows, columns = np.mgrid[:height, :width]
    return np.cos(3 * rows / height) * np.sin(2 + 4 * columns / width)


@pytest.mark.parametrize("side", ["L", "R", ""])
@pytest.mark.parametrize("size", [(60, 75), (50, 80), (150, 200)])
@pytest.mark.parametrize("orientation", [1, 3, 6, 8])
def test_affine_tells_where_a_pixel_of_the_frame_lies_in_the_file(
    side, size, orientation, tmp_path
):
    exif = Image.Exif()
    exif[0x0112] = orientation
    write_photograph(tmp_path / "a.png", exif=exif)
    native = np.asarray(Image.open(tmp_path / "a.png"), float)[..., 0]
    item = frame_transforms(*size, RGB)({"image": tmp_path / "a.png", "laterality": side})
    matrix = frame_to_native(item["image"])

    def difference(shift):
        moved = warp(
            native, np.array([[1, 0, shift[0]], [0, 1, shift[1]], [0, 0, 1]]) @ matrix, size
        )
        return np.abs(moved - np.asarray(item["image"][0]))[2:-2, 2:-2].mean()

    # Linear interpolation is no area average, but it is nearest where the pixels really lie.
    for shift in ((0.5, 0), (-0.5, 0), (0, 0.5), (0, -0.5)):
        assert difference((0, 0)) < 0.7 * difference(shift)


@pytest.mark.parametrize("side", ["L", "R"])
@pytest.mark.parametrize("size", [(60, 75), (48, 64)])
def test_a_map_goes_to_native_pixels_and_back(side, size, tmp_path):
    write_photograph(tmp_path / "a.jpg", height=1200, width=1500, quality=90)
    transforms = frame_transforms(*size, RGB)
    item = transforms({"image": tmp_path / "a.jpg", "laterality": side})
    wanted = smooth_map(*size)
    item["map"] = MetaTensor(torch.as_tensor(wanted[None], dtype=torch.float32))
    native = Invertd("map", transforms, orig_keys="image", nearest_interp=False)(item)["map"]
    # Decoded at reduced scale, but native means the file's own pixels.
    assert native.shape == (1, 1200, 1500)
    again = warp(np.asarray(native[0]), frame_to_native(item["image"]), size)
    assert np.abs(again - wanted).mean() < 0.01 * np.ptp(wanted)
    # The same by geometry alone.
    other = warp(wanted, np.linalg.inv(frame_to_native(item["image"])), (1200, 1500))
    inner = (slice(30, -30), slice(30, -30))
    assert np.abs(np.asarray(native[0]) - other)[inner].max() < 0.01 * np.ptp(wanted)


def test_mirroring_composes_with_other_transforms_and_comes_back():
    mirroring = MirrorRightSided(("image", "mask"))
    image = MetaTensor(torch.arange(24.0).reshape(2, 3, 4), affine=torch.eye(3))
    mask = MetaTensor(torch.arange(12.0).reshape(1, 3, 4), affine=torch.eye(3))
    for side in ("L", "R", ""):
        item = Compose([mirroring])({"image": image, "mask": mask, "laterality": side})
        expected = image.flip(2) if side == "R" else image
        assert torch.equal(item["image"].as_tensor(), expected.as_tensor())
        matrix = frame_to_native(item["image"])
        assert np.array_equal(matrix, mirror(4) if side == "R" else np.eye(3))
        back = mirroring.inverse(item)
        assert torch.equal(back["image"].as_tensor(), image.as_tensor())
        assert torch.equal(back["mask"].as_tensor(), mask.as_tensor())
    assert not image.applied_operations


def test_resample_by_a_loop():
    rng = np.random.default_rng(0)
    image = rng.normal(size=(9, 12))
    matrix = np.array([[0.8, 0.1, 1.3], [-0.2, 0.9, 2.1], [0, 0, 1]])
    found = resample(torch.as_tensor(image[None]), matrix, (7, 8), "bilinear")[0].numpy()
    for row in range(7):
        for column in range(8):
            x, y = apply(matrix, (column, row))
            left, top = int(np.floor(x)), int(np.floor(y))
            value = 0.0
            for r in (top, top + 1):
                for c in (left, left + 1):
                    if 0 <= r < 9 and 0 <= c < 12:
                        value += image[r, c] * (1 - abs(x - c)) * (1 - abs(y - r))
            assert found[row, column] == pytest.approx(value, abs=1e-4)


def test_similarity_keeps_angles_in_the_images_own_pixels():
    source = np.array([[10.0, 20], [40, 25]])
    target = np.array([[15.0, 30], [44, 20]])
    matrix = similarity(source, target, (1.2, 0.9))
    np.testing.assert_allclose(apply(matrix, source), target)
    plain = np.diag([1, 0.9, 1]) @ matrix @ np.diag([1, 1 / 1.2, 1])
    product = plain[:2, :2] @ plain[:2, :2].T
    np.testing.assert_allclose(product, product[0, 0] * np.eye(2), atol=1e-12)


def test_transform_files_are_what_simpleitk_reads(tmp_path):
    matrix = np.array([[0.9, 0.2, 5], [-0.1, 1.1, -3], [0, 0, 1]])
    write_transform(tmp_path / "deep" / "000000.tfm", matrix)
    np.testing.assert_allclose(read_transform(tmp_path / "deep" / "000000.tfm"), matrix, atol=1e-9)
    np.testing.assert_array_equal(swap_axes(swap_axes(matrix)), matrix)


def test_resizing_keeps_the_corners_of_the_area():
    matrix = resizing((10, 20), (30, 50))
    # The outer corner of the first pixel, and that of the last.
    np.testing.assert_allclose(apply(matrix, (-0.5, -0.5)), (-0.5, -0.5))
    np.testing.assert_allclose(apply(matrix, (19.5, 9.5)), (49.5, 29.5))
