"""Registration and sides, held against phantoms whose disc, macula and side are known."""

import json

import numpy as np
import pandas as pd
import posed
import pytest
import SimpleITK as sitk
import zarr
from PIL import Image
from scipy.ndimage import gaussian_filter

from napari_globalxai.cohort.table import read_cohort
from napari_globalxai.errors import InputError
from napari_globalxai.frame.geometry import apply, similarity
from napari_globalxai.frame.retina.atlas import Atlas, learn_atlas
from napari_globalxai.frame.retina.landmarks import Picture
from napari_globalxai.frame.retina.registration import register
from napari_globalxai.runs.inputs.align_cohort import align

COUNT = 64
SWAPPED = (5, 17, 29, 40, 52, 63)
UNKNOWN = (2, 11, 23, 34, 47, 58)
HEIGHT, WIDTH = 160, 200


@pytest.fixture(scope="module")
def phantoms():
    return posed.draw(COUNT, seed=4_711)


@pytest.fixture(scope="module")
def folder(phantoms, tmp_path_factory):
    """A cohort with swapped and missing sides, aligned."""
    home = tmp_path_factory.mktemp("posed")
    sides = list(phantoms.sides)
    for row in SWAPPED:
        sides[row] = "L" if sides[row] == "R" else "R"
    for row in UNKNOWN:
        sides[row] = ""
    phantoms.write(home, sides)
    return align(home / "cohort.csv", home / "out", height=HEIGHT, width=WIDTH)


def residuals(points):
    """Distance from the median, in % of the width; points are in shares of the width."""
    return np.hypot(*(points - np.median(points, axis=0)).transpose(2, 0, 1)) * 100


def test_disc_and_macula_come_to_lie_in_one_place(phantoms, folder):
    """Read back as an outside tool would: SimpleITK and the files alone."""
    rows = [row for row in range(COUNT) if row not in SWAPPED]
    found = []
    for row in rows:
        back = sitk.ReadTransform(str(folder / "transforms" / f"{row:06}.tfm")).GetInverse()
        found.append([back.TransformPoint(point.tolist()) for point in phantoms.points[row]])
    before = residuals(phantoms.mirrored_points()[rows] / 320)
    after = residuals(np.array(found) / WIDTH)
    disc, macula = np.percentile(after, (50, 95), axis=0).T
    assert disc[0] <= 0.5
    assert disc[1] <= 1.5
    assert macula[0] <= 1.5
    assert macula[1] <= 4
    assert (after > before).mean() <= 0.03
    # The pose is what it is said to be, so that there is something to mend.
    assert np.median(before) > 4


def test_transforms_resample_native_images_onto_the_stack(phantoms, folder):
    stack = zarr.open_group(folder / "aligned.zarr", mode="r")["0"]
    for row in (0, 1, UNKNOWN[0], SWAPPED[0]):
        native = sitk.GetImageFromArray(phantoms.images[row][..., 1].astype(np.float32))
        transform = sitk.ReadTransform(str(folder / "transforms" / f"{row:06}.tfm"))
        found = gaussian_filter(stack[row, 1].astype(float), 1.5)
        inner = (slice(8, -8), slice(8, -8))

        def difference(shift, native=native, transform=transform, found=found, inner=inner):
            moved = sitk.GetArrayFromImage(
                sitk.Resample(
                    native, [WIDTH, HEIGHT], transform, sitk.sitkLinear, shift, [1, 1], [1, 0, 0, 1]
                )
            )
            return np.abs(gaussian_filter(moved, 1.5) - found)[inner].mean()

        for shift in ((0.5, 0), (-0.5, 0), (0, 0.5), (0, -0.5)):
            assert difference((0, 0)) < 0.7 * difference(shift)


def test_what_is_registered_is_resampled_once_from_finer_pixels(phantoms, tmp_path):
    """Each pixel is about the mean of the native ones below it; resizing first would blur."""
    height, width, dense = 128, 160, 8
    out = align(phantoms.first(24).write(tmp_path), tmp_path / "out", height=height, width=width,
                registration="landmarks")  # fmt: skip
    stack = zarr.open_group(out / "aligned.zarr", mode="r")["0"]
    table = pd.read_csv(out / "images.csv")
    errors = []
    for row in np.flatnonzero(table["registered"]):
        native = sitk.GetImageFromArray(phantoms.images[row, ..., 1].astype(np.float32))
        transform = sitk.ReadTransform(str(out / "transforms" / f"{row:06}.tfm"))
        step, first = 1 / dense, (1 / dense - 1) / 2
        samples = sitk.Resample(
            native, [dense * width, dense * height], transform, sitk.sitkLinear,
            [first, first], [step, step], [1, 0, 0, 1], 0.0,
        )  # fmt: skip
        samples = sitk.GetArrayFromImage(samples).reshape(height, dense, width, dense)
        inner = (slice(16, -16), slice(20, -20))
        errors.append(np.abs(samples.mean(axis=(1, 3)) - stack[row, 1])[inner].mean())
    assert len(errors) > 15
    assert np.max(errors) < 0.6


def test_swapped_sides_are_suspected_and_missing_ones_estimated(phantoms, folder):
    table = pd.read_csv(folder / "images.csv", keep_default_na=False)
    suspected = set(np.flatnonzero(table["laterality_suspected"]))
    hits = len(suspected & set(SWAPPED))
    assert hits >= 0.95 * len(SWAPPED)
    assert hits >= 0.9 * len(suspected)
    estimated = np.flatnonzero(table["laterality_source"] == "image")
    assert tuple(estimated) == UNKNOWN
    assert [table["laterality"][row] for row in UNKNOWN] == [phantoms.sides[r] for r in UNKNOWN]
    assert (table["laterality_confidence"].astype(float)[estimated] > 0.5).all()


def test_run_json_tells_what_was_done(folder):
    info = json.loads((folder / "run.json").read_text())
    assert info["frame"] == {"height": HEIGHT, "width": WIDTH, "channels": ["red", "green", "blue"]}
    assert info["counts"]["aligned"] == COUNT
    assert info["counts"]["estimated_laterality"] == len(UNKNOWN)
    assert info["settings"]["registration"] == "landmarks"
    assert info["status"] == "finished"


@pytest.fixture(scope="module")
def learnt(phantoms):
    """Pictures in left-eye orientation and their atlas."""
    pictures = []
    for image, side in zip(phantoms.images, phantoms.sides, strict=True):
        picture = Picture(image[..., 1], image.max(axis=-1) > 14)
        pictures.append(picture.mirrored() if side == "R" else picture)
    return pictures, learn_atlas(pictures, ["L"] * COUNT, [1.0] * COUNT)


def test_sides_are_found_though_no_table_tells_any(phantoms):
    some = phantoms.first(24)
    pictures = [Picture(i[..., 1], i.max(axis=-1) > 14) for i in some.images]
    atlas = learn_atlas(pictures, [""] * 24, [1.0] * 24)
    sides = ["L" if atlas.sides(picture).margin > 0 else "R" for picture in pictures]
    assert np.mean([a == b for a, b in zip(sides, some.sides, strict=True)]) >= 0.95


def test_maps_that_make_an_image_worse_are_dropped(phantoms, learnt):
    """Wrong landmarks are put in; what they lead to must not be kept where it does harm."""
    pictures, atlas = learnt
    truth = phantoms.mirrored_points()
    rng = np.random.default_rng(0)
    harmful = kept_harmful = 0
    for picture, points in zip(pictures, truth, strict=True):
        matrix = similarity(atlas.anchor, points + rng.normal(0, 0.09 * 320, (2, 2)))
        before = np.hypot(*(points - atlas.anchor).T).mean()
        after = np.hypot(*(apply(np.linalg.inv(matrix), points) - atlas.anchor).T).mean()
        if after > before + 2:
            harmful += 1
            gain = atlas.agreement(picture, matrix) - atlas.agreement(picture, np.eye(3))
            kept_harmful += gain > -0.02
    assert harmful > 25
    assert kept_harmful <= 0.05 * harmful


def test_an_image_without_an_eye_is_left_where_it_is(learnt):
    _, atlas = learnt
    noise = np.random.default_rng(0).integers(60, 120, (256, 320)).astype(np.uint8)
    picture = Picture(noise, np.ones((256, 320), bool))
    found = register(picture, atlas, atlas.sides(picture))
    assert not found.kept
    assert found.reason
    assert np.array_equal(found.matrix, np.eye(3))


def test_an_atlas_comes_back_from_its_file(learnt, tmp_path):
    pictures, atlas = learnt
    atlas.save(tmp_path / "atlas.npz")
    again = Atlas.load(tmp_path / "atlas.npz")
    for method in ("landmarks", "similarity", "affine"):
        first = register(pictures[3], atlas, atlas.sides(pictures[3]), method=method)
        second = register(pictures[3], again, again.sides(pictures[3]), method=method)
        np.testing.assert_allclose(first.matrix, second.matrix, rtol=1e-12, atol=1e-9)


def test_new_images_are_aligned_to_the_old_atlas_and_the_old_ones_stay(phantoms, tmp_path):
    part = phantoms.first(20)
    part.write(tmp_path)
    align(tmp_path / "cohort.csv", tmp_path / "out", height=96, width=120)
    before = zarr.open_group(tmp_path / "out" / "aligned.zarr", mode="r")["0"][:]
    old = (tmp_path / "out" / "transforms" / "000004.tfm").read_text()
    more = phantoms.first(24)
    for row in range(20, 24):
        Image.fromarray(more.images[row]).save(tmp_path / f"{row:03}.png")
    lines = "".join(f"{row:03}.png,{more.sides[row]},0\n" for row in range(20, 24))
    with (tmp_path / "cohort.csv").open("a") as stream:
        stream.write(lines)
    seen = []
    align(tmp_path / "cohort.csv", tmp_path / "out", height=96, width=120, progress=seen.append)
    after = zarr.open_group(tmp_path / "out" / "aligned.zarr", mode="r")["0"][:]
    np.testing.assert_array_equal(after[:20], before)
    assert (tmp_path / "out" / "transforms" / "000004.tfm").read_text() == old
    assert after[20:].any(axis=(1, 2, 3)).all()
    assert {progress.stage for progress in seen} == {"Aligning images"}
    assert min(progress.done for progress in seen) == 20


def test_transforms_follow_rows_that_move_and_go_with_images_that_fail(phantoms, tmp_path):
    part = phantoms.first(6)
    table = part.write(tmp_path)
    folder = align(table, tmp_path / "out", height=96, width=120)
    texts = [(folder / "transforms" / f"{row:06}.tfm").read_text() for row in range(6)]
    assert texts[0] != texts[1]  # a left and a right eye
    header, *lines = table.read_text().splitlines()
    table.write_text("\n".join([header, *lines[::-1][:5]]) + "\n")
    (tmp_path / "005.png").write_bytes(b"no picture")
    align(table, tmp_path / "out", height=96, width=120)
    names = sorted(path.name for path in (folder / "transforms").glob("*.tfm"))
    assert names == [f"{row:06}.tfm" for row in range(1, 5)]
    for row in range(1, 5):
        assert (folder / "transforms" / f"{row:06}.tfm").read_text() == texts[5 - row]


def test_photographs_that_lie_on_their_side_are_registered_like_the_others(phantoms, tmp_path):
    part = phantoms.first(16)
    table = part.write(tmp_path)
    upright = align(table, tmp_path / "upright", height=96, width=120)
    exif = Image.Exif()
    exif[0x0112] = 6
    for row in range(0, 16, 2):
        path = tmp_path / f"{row:03}.png"
        Image.open(path).transpose(Image.Transpose.ROTATE_90).save(path, exif=exif)
    turned = align(table, tmp_path / "turned", height=96, width=120)
    stacks = [zarr.open_group(one / "aligned.zarr", mode="r")["0"][:] for one in (upright, turned)]
    np.testing.assert_array_equal(*stacks)


def test_few_images_are_not_registered_and_it_says_so(phantoms, tmp_path):
    part = phantoms.first(4)
    folder = align(part.write(tmp_path), tmp_path / "out", height=96, width=120)
    info = json.loads((folder / "run.json").read_text())
    assert any("too few, or have too little" in warning for warning in info["warnings"])
    assert info["counts"]["registered"] == 0


def test_a_folder_of_something_else_is_refused(phantoms, tmp_path):
    part = phantoms.first(2)
    table = part.write(tmp_path)
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.txt").write_text("years of work")
    with pytest.raises(InputError, match="holds something else"):
        align(read_cohort(table), tmp_path / "mine")
    with pytest.raises(InputError, match="is not one of none, landmarks"):
        align(read_cohort(table), tmp_path / "out", registration="magic")


def test_images_are_moved_onto_the_one_that_is_picked(phantoms, tmp_path):
    """Disc and macula of all come to lie where the picked image shows them, sides included."""
    part = phantoms.first(24)
    table = part.write(tmp_path)
    for row in (part.sides.index("L"), part.sides.index("R")):
        out = tmp_path / f"out{row}"
        picked = tmp_path / f"{row:03}.png"
        align(table, out, height=HEIGHT, width=WIDTH, template=picked)
        goal = part.mirrored_points()[row] / 320
        found = []
        for index in range(24):
            back = sitk.ReadTransform(str(out / "transforms" / f"{index:06}.tfm")).GetInverse()
            found.append([back.TransformPoint(p.tolist()) for p in part.points[index]])
        away = np.hypot(*(np.array(found) / WIDTH - goal).transpose(2, 0, 1)) * 100
        assert (np.median(away, axis=0) < (0.7, 1.5)).all()
        info = json.loads((out / "run.json").read_text())
        assert info["settings"]["template"] == str(picked)
        assert info["counts"]["registered"] >= 22


def test_a_template_that_cannot_be_one_is_refused(phantoms, tmp_path):
    part = phantoms.first(12)
    table = part.write(tmp_path)
    rng = np.random.default_rng(0)
    noise = gaussian_filter(rng.uniform(0, 255, (256, 320, 3)), (2, 2, 0)) * 4 % 255
    Image.fromarray(noise.astype(np.uint8)).save(tmp_path / "noise.png")
    (tmp_path / "broken.png").write_bytes(b"nothing")
    size = {"height": 96, "width": 120}
    for name, reason in {
        "noise.png": "noise.png: shows no landmarks like those of the cohort",
        "broken.png": "broken.png: cannot be read as an image",
        "gone.png": "The template .*gone.png does not exist",
    }.items():
        with pytest.raises(InputError, match=reason):
            align(table, tmp_path / "out", template=tmp_path / name, **size)
    with pytest.raises(InputError, match=r"The template .* needs a registration"):
        align(table, tmp_path / "o", template=tmp_path / "000.png", registration="none", **size)
