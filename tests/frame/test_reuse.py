"""No image is aligned twice, wherever it lies and whatever it is called."""

import os
import shutil

import numpy as np
import pytest
import tiny

from napari_globalxai.cohort.table import read_cohort
from napari_globalxai.errors import Cancelled, InputError
from napari_globalxai.frame import alignment
from napari_globalxai.frame.alignment import align
from napari_globalxai.frame.stack import AlignedStack
from napari_globalxai.settings.frame_settings import FrameSettings
from napari_globalxai.storage import hash_file

FRAME = FrameSettings(height=tiny.HEIGHT, width=tiny.WIDTH, channels=("red", "green"))
COUNT = 40


@pytest.fixture
def table(tmp_path):
    return tiny.write_cohort(tmp_path / "cohort", size=COUNT)


@pytest.fixture
def aligned_rows(monkeypatch):
    """Names of the files that are aligned, as they are."""
    seen = []
    original = alignment.Aligner.__call__

    def watch(self, row):
        seen.append(self.cohort.names[row])
        return original(self, row)

    monkeypatch.setattr(alignment.Aligner, "__call__", watch)
    return seen


def lines_of(table):
    header, *lines = table.read_text().splitlines()
    return header, lines


def write(table, header, lines):
    table.write_text("\n".join([header, *lines]) + "\n")


def fresh(table, folder):
    """What aligning from scratch gives."""
    stack = align(read_cohort(table), FRAME, folder)
    return stack.images[:], stack.fields[:], stack.facts()


def assert_is(stack, expected):
    np.testing.assert_array_equal(stack.images[:], expected[0])
    np.testing.assert_array_equal(stack.fields[:], expected[1])
    assert stack.facts() == expected[2]


def test_touched_and_moved_files_are_not_aligned_again(table, tmp_path, aligned_rows):
    before = align(read_cohort(table), FRAME, tmp_path / "s.zarr").images[:]
    aligned_rows.clear()
    for path in (table.parent / "images").iterdir():
        os.utime(path, (1, 1))
    elsewhere = tmp_path / "elsewhere"
    shutil.copytree(table.parent, elsewhere)
    for folder in (table.parent, elsewhere):
        stack = align(read_cohort(folder / table.name), FRAME, tmp_path / "s.zarr")
        np.testing.assert_array_equal(stack.images[:], before)
    assert aligned_rows == []


def test_files_that_have_not_changed_are_not_even_read(table, tmp_path, monkeypatch):
    cohort = read_cohort(table)
    align(cohort, FRAME, tmp_path / "s.zarr")
    read = []
    monkeypatch.setattr(
        "napari_globalxai.frame.sources.hash_file", lambda path: read.append(path) or "x"
    )
    align(cohort, FRAME, tmp_path / "s.zarr")
    assert read == []
    # Touched: read once, and noted.
    os.utime(cohort.files[3], (1, 1))
    monkeypatch.setattr(
        "napari_globalxai.frame.sources.hash_file",
        lambda path: read.append(path) or hash_file(path),
    )
    for _ in range(2):
        align(cohort, FRAME, tmp_path / "s.zarr")
    assert read == [cohort.files[3]]


def test_other_content_is_seen_though_size_and_time_are_the_same(table, tmp_path, aligned_rows):
    cohort = read_cohort(table)
    align(cohort, FRAME, tmp_path / "s.zarr")
    aligned_rows.clear()
    stat = cohort.files[5].stat()
    data = bytearray(cohort.files[5].read_bytes())
    data[-20] ^= 1  # in the last chunk: the picture cannot be read any more
    cohort.files[5].write_bytes(bytes(data))
    os.utime(cohort.files[5], ns=(stat.st_atime_ns, stat.st_mtime_ns))
    align(cohort, FRAME, tmp_path / "s.zarr")
    assert aligned_rows == [cohort.names[5]]


@pytest.mark.parametrize("change", ["other order", "rows in between", "rows gone", "all at once"])
def test_rows_that_have_moved_take_their_images_with_them(change, table, tmp_path, aligned_rows):
    header, lines = lines_of(table)
    write(table, header, lines[:30])
    align(read_cohort(table), FRAME, tmp_path / "s.zarr")
    changed = {
        "other order": lines[:30][::-1],
        "rows in between": [*lines[:7], *lines[30:33], *lines[7:30]],
        "rows gone": lines[4:25],
        "all at once": [*lines[28:40], *lines[3:20][::-1]],
    }[change]
    write(table, header, changed)
    expected = fresh(table, tmp_path / "fresh.zarr")
    new = [line.split(",")[0] for line in changed if line not in lines[:30]]
    aligned_rows.clear()
    stack = align(read_cohort(table), FRAME, tmp_path / "s.zarr")
    assert sorted(aligned_rows) == sorted(new)
    assert_is(stack, expected)
    assert sorted(path.name for path in tmp_path.glob("*.zarr*")) == ["fresh.zarr", "s.zarr"]


def test_stopping_while_rows_move_loses_nothing(table, tmp_path, aligned_rows):
    header, lines = lines_of(table)
    align(read_cohort(table), FRAME, tmp_path / "s.zarr")
    write(table, header, lines[::-1])
    expected = fresh(table, tmp_path / "fresh.zarr")
    aligned_rows.clear()

    def stop(progress):
        if progress.done >= 16:
            raise Cancelled

    with pytest.raises(Cancelled):
        align(read_cohort(table), FRAME, tmp_path / "s.zarr", stop)
    # As if it had been killed between putting the old stack by and making the new one.
    shutil.rmtree(tmp_path / "s.zarr")
    assert_is(align(read_cohort(table), FRAME, tmp_path / "s.zarr"), expected)
    assert aligned_rows == []


def test_a_put_by_stack_of_another_frame_is_dropped(table, tmp_path):
    cohort = read_cohort(table)
    align(cohort, FrameSettings(height=16, width=24, channels=("red",)), tmp_path / "s.zarr.former")
    stack = align(cohort, FRAME, tmp_path / "s.zarr")
    assert_is(stack, fresh(table, tmp_path / "fresh.zarr"))
    assert not (tmp_path / "s.zarr.former").exists()


def test_images_are_taken_from_another_stack(table, tmp_path, aligned_rows):
    header, lines = lines_of(table)
    write(table, header, lines[10:])
    align(read_cohort(table), FRAME, tmp_path / "other.zarr")
    write(table, header, lines)
    expected = fresh(table, tmp_path / "fresh.zarr")
    aligned_rows.clear()
    stack = align(read_cohort(table), FRAME, tmp_path / "s.zarr", reuse=tmp_path / "other.zarr")
    assert sorted(aligned_rows) == [line.split(",")[0] for line in lines[:10]]
    assert_is(stack, expected)
    assert len(AlignedStack(tmp_path / "other.zarr")) == 30


def test_a_stack_of_another_frame_gives_no_images(table, tmp_path):
    cohort = read_cohort(table)
    align(cohort, FRAME, tmp_path / "other.zarr")
    wider = FrameSettings(height=tiny.HEIGHT, width=2 * tiny.WIDTH, channels=("red", "green"))
    with pytest.raises(InputError, match="aligned to another frame or registered otherwise"):
        align(cohort, wider, tmp_path / "s.zarr", reuse=tmp_path / "other.zarr")
    with pytest.raises(InputError, match="holds no aligned images"):
        align(cohort, wider, tmp_path / "s.zarr", reuse=tmp_path / "none.zarr")


def test_an_image_of_the_other_side_is_another_image(table, tmp_path, aligned_rows):
    align(read_cohort(table), FRAME, tmp_path / "s.zarr")
    header, lines = lines_of(table)
    column = header.split(",").index("LR")
    fields = lines[8].split(",")
    fields[column] = "L" if fields[column] == "R" else "R"
    write(table, header, [*lines[:8], ",".join(fields), *lines[9:]])
    aligned_rows.clear()
    stack = align(read_cohort(table), FRAME, tmp_path / "s.zarr")
    assert aligned_rows == [fields[0]]
    assert_is(stack, fresh(table, tmp_path / "fresh.zarr"))
