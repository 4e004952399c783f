"""Nearly the same images of different patients: found whatever was done to the copy."""

from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
import tiny
from PIL import Image

from napari_globalxai.audit.near_duplicates import COLUMNS, alike, near_duplicates
from napari_globalxai.progress import ignore_progress


def smooth_images(count, seed=0):
    """Random pictures with structure of several sizes, (image, 2, height, width)."""
    generator = np.random.default_rng(seed)
    images = np.zeros((count, 64, 96))
    for side in (4, 8, 16):
        small = generator.normal(0, 1, (count, 64 // side, 96 // side))
        images += np.kron(small, np.ones((1, side, side)))
    images = np.clip(110 + 25 * images, 0, 255)
    return np.repeat(images[:, None], 2, axis=1).astype(np.uint8)


def run_of(folder, images, patients):
    count = len(images)
    table = pd.DataFrame({"patient": patients, "file": [f"{row}.png" for row in range(count)]})
    return SimpleNamespace(
        stack=tiny.make_stack(folder / "stack", images),
        finished_rows=np.arange(count),
        images=table,
    )


def test_copies_are_found_whatever_was_done_to_them(tmp_path):
    images = smooth_images(40)
    brighter = np.clip(images[3] * 1.2 + 5, 0, 255).astype(np.uint8)
    coarse = [
        np.asarray(Image.fromarray(plane).resize((60, 40)).resize((96, 64))) for plane in images[7]
    ]
    images[20], images[21], images[22] = brighter, np.stack(coarse), images[9]
    patients = [f"P{row}" for row in range(40)]
    # The same picture twice of one patient is no matter.
    patients[22] = patients[9]
    found = near_duplicates(run_of(tmp_path, images, patients), ignore_progress)
    assert tuple(found) == COLUMNS
    assert {(row.row, row.other_row) for row in found.itertuples()} == {(3, 20), (7, 21)}
    assert (found["correlation"] > 0.95).all()
    assert found["other_patient"].tolist() == [f"P{row}" for row in found["other_row"]]


@pytest.mark.parametrize("value", [0, 128])
def test_images_that_show_nothing_are_no_copies_of_each_other(tmp_path, value):
    images = smooth_images(12)
    images[4:8] = value
    run = run_of(tmp_path, images, [f"P{row}" for row in range(12)])
    assert len(near_duplicates(run, ignore_progress)) == 0


def test_pairs_are_those_of_the_whole_matrix():
    generator = np.random.default_rng(0)
    copies = generator.normal(size=(2500, 12)).astype(np.float32)
    copies /= np.linalg.norm(copies, axis=1, keepdims=True)
    patients = np.arange(2500) // 2
    first, second, value = alike(copies, patients, 0.9)
    whole = np.triu(copies @ copies.T, 1)
    whole[patients[:, None] == patients[None]] = 0
    expected = np.argwhere(whole >= 0.9)
    assert len(expected) > 20
    assert sorted(np.column_stack([first, second]).tolist()) == expected.tolist()
    np.testing.assert_allclose(np.sort(value), np.sort(whole[whole >= 0.9]), rtol=1e-5)
