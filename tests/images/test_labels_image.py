"""Labels images: what is read as regions, and what is refused in one sentence."""

import numpy as np
import pytest
import tifffile
from PIL import Image

from napari_globalxai.errors import InputError
from napari_globalxai.images.labels_image import MOST_REGIONS, read_labels_image

SHAPE = (6, 8)


@pytest.fixture
def labels():
    values = np.zeros(SHAPE, np.uint8)
    values[:2], values[4:, 4:] = 1, 7
    return values


@pytest.mark.parametrize("name", ["r.tif", "r.png", "r.npy", "palette.png", "mask.npy", "f.tif"])
def test_regions_are_read(tmp_path, labels, name):
    path = tmp_path / name
    if name == "palette.png":
        Image.fromarray(labels).convert("P").save(path)
    elif name == "r.png":
        Image.fromarray(labels).save(path)
    elif name == "f.tif":
        tifffile.imwrite(path, labels.astype(np.float32))
    elif name == "r.tif":
        tifffile.imwrite(path, labels.astype(np.uint16))
    else:
        np.save(path, labels == 1 if name == "mask.npy" else labels.astype(np.int64))
    found = read_labels_image(path, SHAPE)
    assert list(found) == (["region-1"] if name == "mask.npy" else ["region-1", "region-7"])
    assert np.array_equal(found["region-1"], labels == 1)


def test_volumes_are_read(tmp_path):
    values = np.zeros((3, 4, 5), np.uint8)
    values[1] = 2
    tifffile.imwrite(tmp_path / "v.tif", values, photometric="minisblack")
    np.save(tmp_path / "v.npy", values)
    for name in ("v.tif", "v.npy"):
        assert read_labels_image(tmp_path / name, (3, 4, 5))["region-2"].sum() == 20


def write_bad(folder, what, labels):
    path = folder / "bad.npy"
    colours = np.zeros((*SHAPE, 3), np.uint8)
    if what == "colours":
        path = folder / "bad.png"
        Image.fromarray(colours).save(path)
    elif what == "colour planes":
        path = folder / "bad.tif"
        tifffile.imwrite(path, colours, photometric="rgb")
    elif what == "text":
        path.write_text("no image")
    elif what == "cut short":
        path = folder / "bad.tif"
        tifffile.imwrite(path, labels)
        path.write_bytes(path.read_bytes()[:40])
    elif what == "pickled":
        np.save(path, np.array([{}] * 48, dtype=object).reshape(SHAPE), allow_pickle=True)
    elif what == "folder":
        path = folder
    elif what != "not there":
        values = {
            "size": labels.T,
            "empty": labels * 0,
            "negative": labels.astype(int) - 1,
            "fractions": labels / 2,
            "nan": np.where(labels, np.nan, 1.0),
            "a photograph": np.random.default_rng(0).permutation(48).reshape(SHAPE) + 1,
        }[what]
        if what == "a photograph":
            values = np.concatenate([values, values + 48]).reshape(12, 8)
        np.save(path, values)
    return path


@pytest.mark.parametrize(
    ("what", "said"),
    [
        ("size", "8×6, but the frame is 6×8"),
        ("colours", "has colours"),
        ("colour planes", "6×8×3, but the frame"),
        ("text", "cannot be read"),
        ("cut short", "cannot be read"),
        ("pickled", "bad.npy"),
        ("folder", "is a folder"),
        ("not there", "does not exist"),
        ("empty", "holds no region"),
        ("negative", "numbers below 0"),
        ("fractions", "other values than whole numbers"),
        ("nan", "other values than whole numbers"),
        ("a photograph", f"at most {MOST_REGIONS}"),
    ],
)
def test_what_is_no_labels_image_is_refused_in_a_sentence(tmp_path, labels, what, said):
    path = write_bad(tmp_path, what, labels)
    shape = (12, 8) if what == "a photograph" else SHAPE
    with pytest.raises(InputError) as why:
        read_labels_image(path, shape)
    assert said in str(why.value)
    assert str(path) in str(why.value)
    assert "\n" not in str(why.value)
