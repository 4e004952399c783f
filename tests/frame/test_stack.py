"""From image files to the frame: orientation, mirroring, resizing, the field of view, failures."""

import pickle

import numpy as np
import pytest
import tiny
import torch
from monai.data import MetaTensor
from PIL import Image, ImageFile

from napari_globalxai.cohort.table import read_cohort
from napari_globalxai.errors import Cancelled, InputError
from napari_globalxai.frame.alignment import align
from napari_globalxai.frame.stack import AlignedStack, batches
from napari_globalxai.frame.transforms import (
    FieldOfViewd,
    MirrorRightSided,
    SelectChannelsd,
    frame_transforms,
)
from napari_globalxai.settings.frame_settings import FrameSettings

RGB = ("red", "green", "blue")


def asymmetric(height=6, width=9):
    """Every pixel and channel has a value of its own."""
    rows, columns = np.mgrid[:height, :width]
    return np.stack([20 + 10 * rows, 20 + 5 * columns, 100 + rows + columns], -1).astype(np.uint8)


def write_cohort(folder, images, sides=None, suffix=".png", **options):
    sides = sides or ["L"] * len(images)
    lines = ["filename,LR,AMD"]
    for number, (image, side) in enumerate(zip(images, sides, strict=True)):
        Image.fromarray(image).save(folder / f"{number}{suffix}", **options)
        lines.append(f"{number}{suffix},{side},{number % 2}")
    (folder / "cohort.csv").write_text("\n".join(lines) + "\n")
    return read_cohort(folder / "cohort.csv")


def aligned(folder, images, sides=None, channels=RGB, size=None, suffix=".png", **options):
    cohort = write_cohort(folder, images, sides, suffix, **options)
    height, width = size or images[0].shape[:2]
    stack = align(
        cohort,
        FrameSettings(height=height, width=width, channels=channels),
        folder / "aligned.zarr",
    )
    assert not any(stack.status().values()), stack.status()
    return stack


# ---------------------------------------------------------------- orientation


@pytest.mark.parametrize("suffix", [".png", ".tif", ".bmp"])
def test_rows_stay_rows_and_right_eyes_are_mirrored(suffix, tmp_path):
    """MONAI's own reader would transpose."""
    image = asymmetric()
    stack = aligned(tmp_path, [image] * 4, ["L", "R", "", "OD"], suffix=suffix)
    assert stack.images.shape == (4, 3, 6, 9)
    first = np.moveaxis(image, -1, 0)
    np.testing.assert_array_equal(stack.read([0])[0], first)
    np.testing.assert_array_equal(stack.read([1])[0], first[:, :, ::-1])
    np.testing.assert_array_equal(stack.read([2])[0], first)
    np.testing.assert_array_equal(stack.read([3])[0], first[:, :, ::-1])


def test_the_field_of_view_is_mirrored_with_its_image(tmp_path):
    image = np.zeros((8, 10, 3), np.uint8)
    image[2:5, 1:4] = 100
    stack = aligned(tmp_path, [image, image], ["L", "R"])
    expected = np.zeros((8, 10), bool)
    expected[2:5, 1:4] = True
    np.testing.assert_array_equal(stack.fields[0], expected)
    np.testing.assert_array_equal(stack.fields[1], expected[:, ::-1])


@pytest.mark.parametrize(
    "channels", [("red", "green"), ("green", "red"), ("blue",), ("grey",), ("grey", "red")]
)
def test_channels_by_name(channels, tmp_path):
    image = asymmetric()
    stack = aligned(tmp_path, [image], channels=channels)
    planes = {
        "red": image[..., 0],
        "green": image[..., 1],
        "blue": image[..., 2],
        "grey": np.rint(image.mean(axis=-1)),
    }
    for found, name in zip(stack.read([0])[0], channels, strict=True):
        np.testing.assert_array_equal(found, planes[name])


def test_grey_palette_and_transparent_files(tmp_path):
    grey = asymmetric()[..., 0]
    files = {
        "grey.png": Image.fromarray(grey),
        "palette.png": Image.fromarray(grey).convert("P"),
        "alpha.png": Image.fromarray(np.dstack([grey] * 3 + [np.full_like(grey, 255)])),
    }
    for name, image in files.items():
        image.save(tmp_path / name)
    (tmp_path / "c.csv").write_text("filename,A\n" + "".join(f"{name},1\n" for name in files))
    frame = FrameSettings(height=6, width=9, channels=RGB)
    stack = align(read_cohort(tmp_path / "c.csv"), frame, tmp_path / "aligned.zarr")
    for row in range(3):
        np.testing.assert_array_equal(stack.read([row])[0], np.stack([grey] * 3))


# ---------------------------------------------------------------- resizing


@pytest.mark.parametrize("factors", [(2, 2), (3, 2), (1, 4)])
def test_shrinking_is_the_mean_of_blocks(factors, tmp_path):
    rng = np.random.default_rng(0)
    down, across = factors
    image = rng.integers(0, 256, (6 * down, 8 * across, 3), dtype=np.uint8)
    stack = aligned(tmp_path, [image], size=(6, 8))
    blocks = image.reshape(6, down, 8, across, 3).astype(float).mean(axis=(1, 3))
    found = stack.read([0])[0].astype(float)
    # Stored as whole numbers.
    assert np.abs(found - np.moveaxis(blocks, -1, 0)).max() <= 0.5 + 1e-4


def test_images_of_any_size_come_into_one_frame(tmp_path):
    rng = np.random.default_rng(0)
    images = [
        np.full((*size, 3), rng.integers(50, 200), np.uint8) for size in [(5, 7), (40, 31), (8, 9)]
    ]
    stack = aligned(tmp_path, images, size=(8, 9))
    for row, image in enumerate(images):
        assert (stack.read([row]) == image[0, 0, 0]).all()


def photograph(height, width):
    y, x = np.mgrid[:height, :width] / max(height, width)
    waves = [100 + 60 * np.sin(17 * x + shift) * np.cos(13 * y) for shift in (0, 1, 2)]
    return np.clip(np.stack(waves, -1), 0, 255).astype(np.uint8)


def test_jpegs_decoded_at_reduced_scale_are_close_to_full_decoding(tmp_path):
    image = photograph(960, 1280)
    stack = aligned(tmp_path, [image], size=(96, 128), suffix=".jpg", quality=95)
    with Image.open(tmp_path / "0.jpg") as opened:
        full = np.asarray(opened.convert("RGB"), float)
    blocks = full.reshape(96, 10, 128, 10, 3).mean(axis=(1, 3))
    difference = np.abs(stack.read([0])[0] - np.moveaxis(blocks, -1, 0))
    assert difference.mean() < 1
    assert difference.max() < 6


def test_large_jpegs_are_not_decoded_in_full(tmp_path, monkeypatch):
    """A file of 10 frame widths is decoded at a quarter, which still holds twice the frame."""
    decoded = []
    load = ImageFile.ImageFile.load

    def watch(self):
        decoded.append(self.size)
        return load(self)

    monkeypatch.setattr(ImageFile.ImageFile, "load", watch)
    Image.fromarray(photograph(960, 1280)).save(tmp_path / "a.jpg")
    transforms = frame_transforms(96, 128, RGB)
    transforms({"image": tmp_path / "a.jpg", "laterality": "L"})
    assert decoded
    assert max(decoded) == (320, 240)


# ---------------------------------------------------------------- the field of view


def disc(height=60, width=80, radius=25):
    y, x = np.mgrid[:height, :width]
    inside = np.hypot(y - height / 2, x - width / 2) < radius
    return np.where(inside[..., None], 90, 2).astype(np.uint8).repeat(3, axis=-1), inside


def test_field_of_view_leaves_a_corner_mark_out_and_fills_dark_spots(tmp_path):
    image, inside = disc()
    image[2:8, 2:20] = 255  # burnt into the dark corner
    image[28:33, 38:43] = 0  # a dark lesion
    stack = aligned(tmp_path, [image])
    np.testing.assert_array_equal(stack.fields[0], inside)


def test_a_black_image_has_no_field_of_view(tmp_path):
    image, inside = disc()
    stack = aligned(tmp_path, [image, np.zeros_like(image)])
    assert not stack.fields[1].any()
    np.testing.assert_allclose(stack.coverage([0, 1]), inside / 2)
    np.testing.assert_array_equal(stack.coverage([0]), inside)


def test_mean_image_and_coverage_over_the_rows_asked_for(tmp_path):
    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, (9, 2, 5, 7), dtype=np.uint8)
    fields = rng.random((9, 5, 7)) < 0.5
    stack = tiny.make_stack(tmp_path / "s.zarr", images, fields)
    rows = [1, 4, 5, 8]
    np.testing.assert_allclose(stack.mean_image(rows), images[rows].mean(axis=0), rtol=1e-6)
    np.testing.assert_allclose(stack.coverage(rows), fields[rows].mean(axis=0), rtol=1e-6)
    np.testing.assert_array_equal(stack.read([8, 0]), images[[8, 0]])


# ---------------------------------------------------------------- transforms by themselves


def test_transforms_leave_their_input_alone_and_keep_metadata():
    image = MetaTensor(torch.arange(24.0).reshape(3, 2, 4), meta={"filename_or_obj": "a.png"})
    item = {"image": image, "laterality": "R"}
    mirrored = MirrorRightSided("image")(item)["image"]
    assert torch.equal(torch.as_tensor(mirrored), torch.as_tensor(image).flip(2))
    assert mirrored.meta["filename_or_obj"] == "a.png"
    assert torch.equal(torch.as_tensor(item["image"]), torch.arange(24.0).reshape(3, 2, 4))
    assert torch.equal(
        torch.as_tensor(MirrorRightSided("image")({**item, "laterality": ""})["image"]),
        torch.as_tensor(image),
    )
    chosen = SelectChannelsd("image", ("blue", "red"))(item)["image"]
    assert torch.equal(torch.as_tensor(chosen), torch.as_tensor(image)[[2, 0]])
    field = FieldOfViewd("image", "mask", threshold=20)(item)
    assert field["mask"].dtype == torch.bool
    assert field["mask"].shape == (1, 2, 4)
    assert torch.as_tensor(field["mask"]).sum() == 3


# ---------------------------------------------------------------- failures


def test_images_that_fail_are_listed_and_the_others_go_on(tmp_path):
    image = asymmetric(60, 90)
    for name in ("good.png", "last.jpg", "cut.png", "cut.jpg"):
        Image.fromarray(image).save(tmp_path / name)
    for name in ("cut.png", "cut.jpg"):
        content = (tmp_path / name).read_bytes()
        (tmp_path / name).write_bytes(content[: len(content) // 3])
    (tmp_path / "text.jpg").write_text("this is no picture\n")
    (tmp_path / "empty.png").write_bytes(b"")
    (tmp_path / "folder.png").mkdir()
    names = [
        "good.png", "gone.png", "cut.png", "cut.jpg", "text.jpg", "empty.png", "folder.png", "",
        "last.jpg",
    ]  # fmt: skip
    (tmp_path / "c.csv").write_text("AMD,filename\n" + "".join(f"1,{name}\n" for name in names))
    seen = []
    stack = align(
        read_cohort(tmp_path / "c.csv"),
        FrameSettings(height=60, width=90, channels=RGB),
        tmp_path / "aligned.zarr",
        lambda progress: seen.append((progress.done, progress.total)),
    )
    errors = stack.status()
    assert [row for row in range(9) if not errors[row]] == [0, 8]
    assert errors[1] == "gone.png: the file does not exist."
    for row in (2, 3, 4, 5):
        assert errors[row].startswith(f"{names[row]}: cannot be read as an image (")
    assert errors[6] == "folder.png: the file does not exist."
    assert errors[7] == "row 8 of c.csv names no file."
    assert not any("\n" in message for message in errors.values())
    np.testing.assert_array_equal(stack.read([0])[0], np.moveaxis(image, -1, 0))
    assert not stack.read([1, 2, 7]).any()
    assert seen[-1] == (9, 9)


class Trap:
    """Writes a file when it is unpickled."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return (open, (str(self.path), "w"))


def test_no_other_reader_gets_to_see_a_file_that_is_no_picture(tmp_path):
    """MONAI's LoadImaged would hand it to readers of arrays, which transpose or unpickle."""
    (tmp_path / "pickle.png").write_bytes(pickle.dumps(Trap(tmp_path / "sprung")))
    with (tmp_path / "array.png").open("wb") as stream:
        np.save(stream, asymmetric()[..., 0])
    (tmp_path / "c.csv").write_text("filename,A\npickle.png,1\narray.png,0\n")
    stack = align(
        read_cohort(tmp_path / "c.csv"),
        FrameSettings(height=6, width=9, channels=RGB),
        tmp_path / "aligned.zarr",
    )
    assert all("it is not a JPEG, PNG" in message for message in stack.status().values())
    assert not (tmp_path / "sprung").exists()


# ---------------------------------------------------------------- resume and cache


class Stop:
    """Cancels once so many images are done."""

    def __init__(self, after):
        self.after = after

    def __call__(self, progress):
        if progress.done >= self.after:
            raise Cancelled


def decoded_files(monkeypatch):
    """Record every image file that is opened."""
    opened = []
    original = Image.open

    def watch(name, *arguments, **options):
        opened.append(str(name))
        return original(name, *arguments, **options)

    monkeypatch.setattr("PIL.Image.open", watch)
    monkeypatch.setattr("monai.data.image_reader.PILImage.open", watch)
    return opened


def test_align_goes_on_where_it_stopped(tmp_path, monkeypatch):
    cohort = read_cohort(tiny.write_cohort(tmp_path / "cohort", size=40))
    frame = FrameSettings(height=tiny.HEIGHT, width=tiny.WIDTH, channels=("red", "green"))
    whole = align(cohort, frame, tmp_path / "whole.zarr")
    with pytest.raises(Cancelled):
        align(cohort, frame, tmp_path / "cut.zarr", Stop(after=16))
    done = AlignedStack(tmp_path / "cut.zarr").status()
    assert sorted(done) == list(range(16))
    opened = decoded_files(monkeypatch)
    again = align(cohort, frame, tmp_path / "cut.zarr")
    assert sorted({path for path in opened if path.endswith(".png")}) == sorted(
        str(path) for path in cohort.files[16:]
    )
    rows = np.arange(40)
    np.testing.assert_array_equal(again.read(rows), whole.read(rows))
    np.testing.assert_array_equal(again.fields[:], whole.fields[:])
    opened.clear()
    align(cohort, frame, tmp_path / "cut.zarr")
    assert opened == []  # finished: nothing is decoded again


@pytest.mark.parametrize("change", ["frame", "file", "laterality"])
def test_a_stack_of_other_inputs_is_made_anew(change, tmp_path):
    image = asymmetric(12, 18)
    cohort = write_cohort(tmp_path, [image, image], ["L", "L"])
    frame = FrameSettings(height=12, width=18, channels=RGB)
    align(cohort, frame, tmp_path / "aligned.zarr")
    expected = np.moveaxis(image, -1, 0)
    if change == "frame":
        frame = FrameSettings(height=12, width=18, channels=("green",))
        expected = expected[1:2]
    elif change == "file":
        Image.fromarray(image[::-1]).save(tmp_path / "1.png", compress_level=1)
        expected = expected[:, ::-1]
    else:
        cohort = write_cohort(tmp_path, [image, image], ["L", "R"])
        expected = expected[:, :, ::-1]
    stack = align(cohort, frame, tmp_path / "aligned.zarr")
    assert sorted(stack.status()) == [0, 1]
    np.testing.assert_array_equal(stack.read([1])[0], expected)


def test_a_folder_that_is_something_else_is_left_alone(tmp_path):
    cohort = write_cohort(tmp_path, [asymmetric()])
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.txt").write_text("years of work")
    with pytest.raises(InputError, match="exists but is not an aligned stack"):
        align(cohort, FrameSettings(height=6, width=9, channels=RGB), tmp_path / "mine")
    assert (tmp_path / "mine" / "thesis.txt").read_text() == "years of work"


def test_batches():
    assert list(batches(range(5), 2)) == [[0, 1], [2, 3], [4]]
    assert list(batches([], 2)) == []
