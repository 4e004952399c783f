"""From the frame to the pixels of each image's file, and the file's pixels themselves."""

from pathlib import Path

import numpy as np
import pydicom
import pytest
from pictures import dicom
from PIL import Image
from scipy.ndimage import uniform_filter
from tiny import HEIGHT, WIDTH, linear_classifier

from napari_globalxai.errors import InputError
from napari_globalxai.frame.geometry import apply, warp
from napari_globalxai.runs.pipeline import explain
from napari_globalxai.runs.run import open_run

# File: side, EXIF orientation. All are stored about five times as large as the frame.
FILES = {
    "plain.png": ("L", 1),
    "right.png": ("R", 1),
    "turned.png": ("L", 6),
    "right-turned.png": ("R", 8),
    "mirrored.png": ("L", 5),
    "upside-down.jpg": ("R", 3),
    "grey.dcm": ("L", 1),
    "right.dcm": ("R", 1),
    "small.png": ("R", 6),
}
SMALL = (20, 31)


def photograph(height, width, seed):
    """A smooth picture like none of its mirror images."""
    rng = np.random.default_rng(seed)
    rows, columns = np.mgrid[:height, :width]
    rows, columns = rows / height, columns / width
    planes = [
        128 + 100 * np.sin(3 * rows + 5 * columns * rows + phase) * np.cos(4 * columns + phase)
        for phase in rng.uniform(0, 3, 3)
    ]
    return np.stack(planes, -1).astype(np.uint8)


def write(path, orientation, seed):
    turned = orientation >= 5
    shape = SMALL if path.stem == "small" else (160, 240)
    stored = photograph(*(shape[::-1] if turned else shape), seed)
    if path.suffix == ".dcm":
        path.write_bytes(dicom(stored[..., 0] if path.stem == "grey" else stored))
        return
    exif = Image.Exif()
    exif[0x0112] = orientation
    options = {"quality": 95} if path.suffix == ".jpg" else {}
    Image.fromarray(stored).save(path, exif=exif, **options)


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    folder = tmp_path_factory.mktemp("native")
    lines = ["filename,LR,left,right"]
    for seed, (name, (side, orientation)) in enumerate(FILES.items()):
        write(folder / name, orientation, seed)
        lines.append(f"{name},{side},{seed % 2},{seed // 2 % 2}")
    lines.append("gone.png,L,0,1")
    (folder / "cohort.csv").write_text("\n".join(lines) + "\n")
    return explain(folder / "cohort.csv", linear_classifier(), folder / "run", "saliency")


def smooth_map(shape=(HEIGHT, WIDTH)):
    rows, columns = np.mgrid[: shape[0], : shape[1]]
    return np.cos(3 * rows / shape[0]) * np.sin(2 + 4 * columns / shape[1])


@pytest.mark.parametrize("name", FILES)
def test_the_native_image_is_what_the_file_stores(name, run):
    row = list(FILES).index(name)
    path = run.images["path"][row]
    # Neither library turns it.
    is_dicom = name.endswith(".dcm")
    stored = np.asarray(pydicom.dcmread(path).pixel_array if is_dicom else Image.open(path))
    if stored.ndim == 2:
        stored = np.dstack([stored] * 3)
    native = run.native_image(row)
    assert native.dtype == np.uint8
    assert native.shape[:2] == run.placements[row].shape
    np.testing.assert_array_equal(native, stored)


@pytest.mark.parametrize("name", [name for name in FILES if "small" not in name])
def test_the_native_image_warped_by_the_matrix_is_the_image_of_the_stack(name, run):
    row = list(FILES).index(name)
    native = run.native_image(row).astype(float)
    place = run.placements[row]
    aligned = run.stack.read([row])[0].astype(float)
    for channel in range(2):
        # The frame averages over areas; so does the filter, nearly.
        averaged = uniform_filter(native[..., channel], 5, mode="nearest")
        moved = warp(averaged, place.matrix, (HEIGHT, WIDTH))
        difference = np.abs(moved - aligned[channel])[1:-1, 1:-1]
        assert difference.mean() < 1
        for other in (averaged[::-1], averaged[:, ::-1], averaged[::-1, ::-1]):
            wrong = warp(other, place.matrix, (HEIGHT, WIDTH))
            assert np.abs(wrong - aligned[channel]).mean() > 10


@pytest.mark.parametrize("name", FILES)
def test_a_map_goes_to_native_pixels_and_back(name, run):
    row = list(FILES).index(name)
    wanted = smooth_map()
    native = run.to_native(wanted, row)
    place = run.placements[row]
    assert native.dtype == np.float32
    assert native.shape == run.native_image(row).shape[:2]
    # Nothing was registered, so that the frame reaches everywhere.
    assert np.isfinite(native).all()
    again = warp(native, place.matrix, (HEIGHT, WIDTH))
    assert np.abs(again - wanted).mean() < 0.01 * np.ptp(wanted)
    # Linear interpolation by hand, at some native pixels.
    back = np.linalg.inv(place.matrix)
    rng = np.random.default_rng(row)
    for _ in range(20):
        pixel = rng.integers(0, place.shape)
        x, y = np.clip(apply(back, pixel[::-1]), 0, (WIDTH - 1, HEIGHT - 1))
        left, top = min(int(x), WIDTH - 2), min(int(y), HEIGHT - 2)
        across, down = x - left, y - top
        corners = wanted[top : top + 2, left : left + 2]
        expected = [1 - down, down] @ corners @ [1 - across, across]
        assert native[tuple(pixel)] == pytest.approx(expected, abs=1e-4)


def test_maps_by_name_and_attributions_lie_on_the_native_image(run):
    row = list(FILES).index("right-turned.png")
    for name in run.maps:
        np.testing.assert_array_equal(run.to_native(name, row), run.to_native(run.maps[name], row))
    # The model's one sign lies in a right eye that is stored on its side: where is it there?
    native = run.to_native(run.image_map(row, "left"), row)
    lit = np.argwhere(native > 0.5 * native.max()).mean(0)
    expected = apply(run.placements[row].matrix, (11.5, 13.5))
    np.testing.assert_allclose(lit[::-1], expected, atol=0.5)


def test_affine_acts_on_row_and_column(run):
    place = run.placements[3]
    x, y = apply(place.matrix, (10, 20))
    np.testing.assert_allclose(apply(place.affine, (20, 10)), (y, x))


def test_what_cannot_be_brought_to_native_pixels_is_said_in_one_sentence(run, tmp_path):
    with pytest.raises(InputError, match="has no map 'up', but overall, left, right"):
        run.to_native("up", 0)
    with pytest.raises(InputError, match=r"shape \(3, 4\), but the frame"):
        run.to_native(np.zeros((3, 4)), 0)
    failed = len(FILES)
    for act in (lambda: run.to_native("overall", failed), lambda: run.native_image(failed)):
        with pytest.raises(InputError, match=r"gone\.png: the file does not exist"):
            act()


def test_a_file_that_moved_or_changed_is_named(run, tmp_path):
    again = open_run(run.folder)
    again.images["path"] = [str(tmp_path / name) for name in again.images["file"]]
    path = tmp_path / "plain.png"
    with pytest.raises(InputError) as error:
        again.native_image(0)
    assert str(error.value).startswith(f"{path}: is not there any more")
    assert "\n" not in str(error.value)
    Image.fromarray(photograph(30, 40, 0)).save(path)
    with pytest.raises(InputError, match="has another size than when the run was made"):
        again.native_image(0)
    path.write_text("no picture")
    with pytest.raises(InputError, match="cannot be read as an image"):
        again.native_image(0)


def test_an_image_is_found_in_another_folder_where_its_content_is_the_same(run, tmp_path):
    again = open_run(run.folder)
    old = Path(again.images["path"][0]).parent
    again.images["path"] = [f"C:\\eyes\\{name}" for name in again.images["file"]]
    with pytest.raises(InputError, match=r"or tell the folder .* \(folder in Python\)\.$"):
        again.native_image(0)
    stored = run.native_image(0)
    np.testing.assert_array_equal(again.native_image(0, folder=old), stored)
    # Of the folder above, the way down is the same.
    (tmp_path / "eyes").mkdir()
    moved = tmp_path / "eyes" / "plain.png"
    moved.write_bytes((old / "plain.png").read_bytes())
    np.testing.assert_array_equal(again.native_image(0, folder=tmp_path), stored)
    moved.write_bytes((old / "turned.png").read_bytes())
    with pytest.raises(InputError) as error:
        again.native_image(0, folder=tmp_path)
    assert str(error.value).startswith(f"{moved}: has other content than the image that")
    with pytest.raises(InputError, match=r"does not hold plain\.png; choose the folder"):
        again.native_image(0, folder=tmp_path / "none")
    # No way leads out of the folder.
    again.images.loc[0, "file"] = "../eyes/plain.png"
    moved.write_bytes((old / "plain.png").read_bytes())
    with pytest.raises(InputError, match="does not hold"):
        again.native_image(0, folder=tmp_path / "none")
