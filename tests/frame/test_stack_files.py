"""Images that share a file: whole files are written, and stacks of earlier releases go on."""

from __future__ import annotations

import gc
import shutil

import numpy as np
import pytest
import tiny
import zarr
from zarr.codecs import BloscCodec

from napari_globalxai.cohort.table import read_cohort
from napari_globalxai.errors import InputError
from napari_globalxai.frame.alignment import align
from napari_globalxai.frame.placement import Placements
from napari_globalxai.frame.sources import Source
from napari_globalxai.frame.stack import AlignedImage, AlignedStack
from napari_globalxai.settings.frame_settings import FrameSettings

FRAME = FrameSettings(height=tiny.HEIGHT, width=tiny.WIDTH, channels=("red", "green"))
COUNT = 40


def drawn(seed):
    rng = np.random.default_rng(seed)
    shape = tiny.HEIGHT, tiny.WIDTH
    return AlignedImage(
        rng.integers(1, 255, (2, *shape)).astype(np.uint8), rng.integers(0, 2, shape).astype(bool)
    )


def as_once(folder):
    """Put arrays as an earlier release wrote them in place of ours: a file an image."""
    for name in ("0", "field_of_view"):
        values = zarr.open_array(folder / name, mode="r")[:]
        shutil.rmtree(folder / name)
        array = zarr.create_array(
            folder / name, shape=values.shape, chunks=(1, *values.shape[1:]), dtype=values.dtype,
            compressors=BloscCodec(cname="zstd", clevel=1),
        )  # fmt: skip
        array[:] = values


@pytest.fixture(params=["shards", "an image a file"])
def stack(tmp_path, request):
    made = AlignedStack.create(tmp_path / "s.zarr", COUNT, FRAME)
    if request.param != "shards":
        as_once(made.folder)
    return AlignedStack(made.folder)


def test_images_are_written_among_others_and_read_as_zarr_does(stack):
    expected = {row: drawn(row) for row in range(COUNT)}
    stack.put(expected)
    for rows, seed in (([3, 17, 39], 100), ([0], 200), ([15, 16], 300)):
        new = {row: drawn(seed + row) for row in rows}
        expected |= new
        stack.put(new)
    stack.put({20: "cannot be read"})
    del expected[20]
    for opened in (stack, AlignedStack(stack.folder)):
        rows = [*expected, 20]
        images, fields = opened.read(rows), opened.read_fields(rows)
        np.testing.assert_array_equal(images, opened.images[:][rows])
        np.testing.assert_array_equal(fields, opened.fields[:][rows])
        np.testing.assert_array_equal(images[:-1], [each.image for each in expected.values()])
        np.testing.assert_array_equal(fields[:-1], [each.field for each in expected.values()])
        assert not images[-1].any()
        assert not fields[-1].any()


@pytest.mark.parametrize("lost", ["0/c/1/0/0/0", "field_of_view/c/1/0/0"])
def test_a_lost_file_is_no_black_image(tmp_path, lost):
    images = np.zeros((COUNT, 2, tiny.HEIGHT, tiny.WIDTH), np.uint8)
    folder = tiny.make_stack(tmp_path / "s.zarr", images, images[:, 0]).folder
    whole = AlignedStack(folder)
    assert not whole.read(range(COUNT)).any()
    assert not whole.read_fields(range(COUNT)).any()
    (folder / lost).unlink()
    read = AlignedStack(folder).read if lost[0] == "0" else AlignedStack(folder).read_fields
    assert not read([0, 15, 32]).any()
    with pytest.raises(InputError, match="a file of image 18 is not there any more; explain the"):
        read([0, 17])
    # Aligning again writes it, beside others of the same file.
    AlignedStack(folder).put({row: drawn(row) for row in range(16, 32)})
    assert read([17]).any()


def test_there_is_room_for_more(stack):
    first, second = {row: drawn(row) for row in range(COUNT)}, drawn(COUNT)
    stack.put(first)
    stack.grow(COUNT + 9)
    stack.put({COUNT: second})
    np.testing.assert_array_equal(stack.read([COUNT])[0], second.image)
    np.testing.assert_array_equal(stack.read([COUNT - 1])[0], first[COUNT - 1].image)
    with pytest.raises(IndexError):
        stack.read([COUNT + 9])


def test_no_two_parts_share_a_file(stack):
    rows = [0, 1, 5, 14, 16, 31, 32, 39]
    parts = list(stack.parts(rows))
    assert [row for part in parts for row in part] == rows
    assert all(1 <= len(part) <= 16 for part in parts)
    before: set = set()
    for part in parts:
        stack.put({row: drawn(row) for row in part})
        files = {path: path.read_bytes() for path in stack.folder.rglob("c/**/*") if path.is_file()}
        assert all(files[path] == content for path, content in before)
        before = set(files.items())


def test_a_stack_of_an_earlier_release_is_gone_on_with(tmp_path):
    table = tiny.write_cohort(tmp_path / "cohort", size=COUNT)
    whole = align(read_cohort(table), FRAME, tmp_path / "whole.zarr")
    lines = table.read_text().splitlines()
    shorter = table.with_name("shorter.csv")
    shorter.write_text("\n".join(lines[:24]) + "\n")
    align(read_cohort(shorter), FRAME, tmp_path / "once.zarr")
    as_once(tmp_path / "once.zarr")
    journal = tmp_path / "once.zarr" / "rows.jsonl"
    journal.write_text("".join(journal.read_text().splitlines(keepends=True)[:19]))
    again = align(read_cohort(table), FRAME, tmp_path / "once.zarr")
    np.testing.assert_array_equal(again.read(range(COUNT)), whole.read(range(COUNT)))
    np.testing.assert_array_equal(again.read_fields(range(COUNT)), whole.read_fields(range(COUNT)))


def test_a_run_has_few_files(tmp_path):
    stack = AlignedStack.create(tmp_path / "s.zarr", COUNT, FRAME)
    stack.put({row: drawn(row) for row in range(COUNT)})
    files = [path for path in stack.folder.rglob("*") if path.is_file()]
    assert len(files) == 3 + 2 * 3  # metadata; images and fields, by 16


@pytest.mark.parametrize("change", ["kind", "chunks", "fields", "group"])
def test_arrays_that_are_no_images_are_refused(tmp_path, change):
    folder = AlignedStack.create(tmp_path / "s.zarr", 8, FRAME).folder
    name, shape, dtype = "0", (8, 2, tiny.HEIGHT, tiny.WIDTH), "uint8"
    if change == "group":
        shutil.rmtree(folder / name)
        zarr.create_group(folder / name)
    else:
        if change == "kind":
            dtype = "float32"
        if change == "fields":
            name, shape, dtype = "field_of_view", (7, *shape[2:]), "bool"
        chunks = (8, *shape[1:]) if change == "chunks" else (1, *shape[1:])
        zarr.create_array(
            folder / name, shape=shape, chunks=chunks, dtype=dtype, overwrite=True,
            compressors=BloscCodec(cname="zstd", clevel=1),
        )  # fmt: skip
    with pytest.raises(InputError, match="as we write"):
        AlignedStack(folder)


def test_an_image_is_no_object_that_python_walks_through_when_it_looks_for_cycles(tmp_path):
    """With many thousand images open, that walk would hold up the window."""
    count = 200
    AlignedStack.create(tmp_path / "many.zarr", count, FRAME)
    facts = {"matrix": np.eye(3).tolist(), "native_shape": [8, 8], "laterality": "L"}
    AlignedStack(tmp_path / "many.zarr").note(
        [(row, Source(f"{row:064x}", (row, 1, 1, 1), f"{row:032x}"), facts) for row in range(count)]
    )

    stack = AlignedStack(tmp_path / "many.zarr")
    gc.collect()
    before = len(gc.get_objects())
    assert stack.status() == dict.fromkeys(range(count), "")
    places = Placements(stack.facts())
    gc.collect()
    assert len(gc.get_objects()) - before < count / 2
    assert stack.facts() == dict.fromkeys(range(count), facts)
    assert stack.known_contents()[7, 1, 1, 1] == stack.contents()[7] == f"{7:064x}"
    assert len(places) == count
    assert places[7].shape == (8, 8)
    np.testing.assert_array_equal(places[7].matrix, np.eye(3))
    assert count not in places
