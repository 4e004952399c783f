"""Files that change, or go, after they are known by their content and before they are read."""

from __future__ import annotations

import numpy as np
import pytest
import tiny
from PIL import Image

from napari_globalxai.cohort.table import read_cohort
from napari_globalxai.frame import alignment
from napari_globalxai.frame.alignment import align
from napari_globalxai.settings.frame_settings import FrameSettings

FRAME = FrameSettings(height=tiny.HEIGHT, width=tiny.WIDTH, channels=("red", "green"))


@pytest.fixture
def table(tmp_path):
    return tiny.write_cohort(tmp_path / "cohort", size=6)


@pytest.fixture
def before_reading(monkeypatch):
    """Do something each time that an image is about to be read."""
    original = alignment.Aligner.__call__

    def use(action):
        def read(self, row):
            action(self.cohort.files[row])
            return original(self, row)

        monkeypatch.setattr(alignment.Aligner, "__call__", read)
        return lambda: monkeypatch.setattr(alignment.Aligner, "__call__", original)

    return use


def write_other(path, value):
    Image.fromarray(np.full((tiny.HEIGHT, tiny.WIDTH, 3), value, np.uint8)).save(path)


def test_an_image_that_is_replaced_once_is_the_new_one(table, tmp_path, before_reading):
    done = []

    def replace(path):
        if path.name == "002.png" and not done:
            done.append(path)
            write_other(path, 200)

    stop = before_reading(replace)
    stack = align(read_cohort(table), FRAME, tmp_path / "s.zarr")
    assert not stack.status()[2]
    assert (stack.read([2]) == 200).all()
    stop()
    fresh = align(read_cohort(table), FRAME, tmp_path / "fresh.zarr")
    assert stack.sources() == fresh.sources()
    np.testing.assert_array_equal(stack.read(range(6)), fresh.read(range(6)))


def test_an_image_that_changes_all_the_time_fails_and_heals(table, tmp_path, before_reading):
    values = iter(range(100, 200))
    original = (table.parent / "images" / "002.png").read_bytes()
    stop = before_reading(
        lambda path: write_other(path, next(values)) if path.name == "002.png" else None
    )
    stack = align(read_cohort(table), FRAME, tmp_path / "s.zarr")
    assert "changed while it was read" in stack.status()[2]
    assert [row for row, error in stack.status().items() if error] == [2]
    stop()
    # As it was before: what is noted of it must not count as its own pixels.
    (table.parent / "images" / "002.png").write_bytes(original)
    again = align(read_cohort(table), FRAME, tmp_path / "s.zarr")
    fresh = align(read_cohort(table), FRAME, tmp_path / "fresh.zarr")
    np.testing.assert_array_equal(again.read(range(6)), fresh.read(range(6)))


def test_an_image_that_goes_is_said_to_be_gone(table, tmp_path, before_reading):
    before_reading(lambda path: path.unlink(missing_ok=True) if path.name == "003.png" else None)
    stack = align(read_cohort(table), FRAME, tmp_path / "s.zarr")
    assert "does not exist" in stack.status()[3]
    assert [row for row, error in stack.status().items() if error] == [3]
