"""Chunks decoded directly, against Zarr."""

import itertools
import json
import os

import numpy as np
import pytest
import zarr
from zarr.codecs import BloscCodec

from napari_globalxai.errors import InputError
from napari_globalxai.maps.cell_grid import CellGrid
from napari_globalxai.maps.store import AttributionStore
from napari_globalxai.stored_chunks import ChunkFiles

GRID = CellGrid.tiling((3, 4), (30, 40))


@pytest.fixture
def maps():
    return np.random.default_rng(0).normal(0, 1, (70, 2, 3, 4)).astype(np.float32)


@pytest.fixture
def store(maps, tmp_path):
    made = AttributionStore.create(tmp_path / "store.zarr", 70, ("a", "b"), GRID, "print")
    for start in range(0, 70, made.images_per_chunk):
        made.write(start, maps[start : start + made.images_per_chunk])
    return AttributionStore(made.path)


def read(store, rows, label):
    parts = list(store.chunks(np.asarray(rows, np.int64), label))
    if not parts:
        return [], np.zeros((0, *GRID.shape))
    return np.concatenate([part for part, _ in parts]), np.concatenate([part for _, part in parts])


def assert_missing(store, rows, label):
    """No maps are there, and going through them is refused rather than averaged to NaN."""
    assert all(np.isnan(store.read(row, label)).all() for row in rows)
    with pytest.raises(InputError, match="lacks maps of images that were explained"):
        read(store, rows, label)


@pytest.mark.parametrize("rows", [range(70), [69], [], [40, 3, 69, 4, 3], range(31, 34)])
def test_what_zarr_gives(rows, store, maps):
    for label in (0, 1):
        found, values = read(store, rows, label)
        assert sorted(found) == sorted(rows)
        expected = zarr.open_array(store.path, mode="r")[:][found, label] if len(found) else values
        assert np.array_equal(values, expected)
        assert np.array_equal(values, maps[found, label] if len(found) else values)


def test_several_chunks_at_a_time(store, maps):
    rows = np.array([0, 31, 32, 63, 64, 69])
    one_image = maps[0, 0].nbytes
    sizes = [len(part) for part, _ in store.runs_of_chunks(rows, 1, 4 * one_image)]
    assert sizes == [4, 2]
    whole = np.concatenate([values for _, values in store.runs_of_chunks(rows, 1, 1)])
    assert np.array_equal(whole, maps[rows, 1])


def test_what_was_not_written_is_missing(tmp_path):
    made = AttributionStore.create(tmp_path / "store.zarr", 40, ("a",), GRID, "print")
    made.write(32, np.ones((8, 1, 3, 4), np.float32))
    assert_missing(made, range(32), 0)
    assert (read(made, range(32, 40), 0)[1] == 1).all()
    with pytest.raises(InputError, match="lacks maps of images that were explained"):
        read(made, range(40), 0)


ATTRIBUTES = {"labels": ["a", "b"], "grid": GRID.to_dict(), "fingerprint": "x", "pooling": 1}


def test_a_store_of_an_earlier_release_is_read_and_gone_on_with(tmp_path, maps):
    """Then each label of a chunk had a file of its own."""
    path = tmp_path / "old.zarr"
    array = zarr.create_array(
        path, shape=maps.shape, chunks=(8, 1, 3, 4), dtype="float32", fill_value=np.nan,
        attributes=ATTRIBUTES, compressors=BloscCodec(cname="zstd", clevel=1),
    )  # fmt: skip
    array[:40] = maps[:40]
    store = AttributionStore(path)
    assert_missing(store, range(40, 70), 1)
    for start in range(40, 70, 8):
        store.write(start, maps[start : start + 8])
    store.clear(3)
    rest = np.delete(np.arange(70), 3)
    np.testing.assert_array_equal(read(AttributionStore(path), rest, 1)[1], maps[rest, 1])
    assert_missing(AttributionStore(path), [3], 1)


def test_a_store_laid_out_otherwise_is_refused(tmp_path, maps):
    path = tmp_path / "other.zarr"
    zarr.create_array(
        path, shape=maps.shape, chunks=(8, 2, 3, 4), dtype="float32", fill_value=np.nan,
        attributes=ATTRIBUTES, compressors=BloscCodec(cname="zstd", clevel=1),
    )  # fmt: skip
    with pytest.raises(InputError, match="is not an attribution store"):
        AttributionStore(path)


@pytest.mark.parametrize("dtype", ["uint8", "bool", "float32"])
@pytest.mark.parametrize("shards", [None, (4, 6, 8)])
def test_any_array_of_ours_is_what_zarr_reads(tmp_path, dtype, shards):
    values = np.random.default_rng(0).integers(0, 2, (7, 6, 8)).astype(dtype)
    array = zarr.create_array(
        tmp_path / "a", shape=values.shape, chunks=(2, 3, 8), shards=shards, dtype=dtype,
        compressors=BloscCodec(cname="zstd", clevel=1),
    )  # fmt: skip
    array[:5] = values[:5]
    expected, files = array[:], ChunkFiles(tmp_path / "a")
    for first, second in itertools.product(range(4), range(2)):
        part = expected[2 * first : 2 * first + 2, 3 * second : 3 * second + 3]
        found = files.read((first, second, 0))
        assert found.dtype == dtype
        np.testing.assert_array_equal(found[: len(part)], part)
    for place in ((4, 0, 0), (-1, 0, 0), (0, 2, 0)):
        with pytest.raises(IndexError):
            files.read(place)


def test_all_labels_of_a_chunk_share_a_file(store):
    files = [path for path in store.path.rglob("*") if path.is_file()]
    assert len(files) == 1 + 3  # metadata, and 70 images by 32


INDEX = 2 * 16 + 4


def chunk(data, label):
    """Where a label lies in a shard of two."""
    place = data[-INDEX + 16 * label :]
    start = int.from_bytes(place[:8], "little")
    return start, start + int.from_bytes(place[8:16], "little")


def spoil_length(data):
    return data[: -INDEX - 3] + data[-INDEX:]


def spoil_end(data):
    return data[:-3]


def spoil_content(data):
    return bytes(len(data) - INDEX) + data[-INDEX:]


def spoil_size(data):
    """Claims to unpack to more than a chunk has."""
    start, _ = chunk(data, 0)
    return data[: start + 4] + (1 << 30).to_bytes(4, "little") + data[start + 8 :]


def spoil_place(data):
    """Claims to lie behind the end of the file."""
    return data[:-INDEX] + (1 << 40).to_bytes(8, "little") + data[-INDEX + 8 :]


def spoil_claim(data):
    """Claims to be four exbibytes long."""
    return data[: -INDEX + 8] + (1 << 62).to_bytes(8, "little") + data[-INDEX + 16 :]


def spoil_all(data):
    return b"xy"


def spoil_whole(data):
    """As a power cut leaves it."""
    return b""


SPOILT = [
    spoil_length, spoil_end, spoil_content, spoil_size, spoil_place, spoil_claim, spoil_all,
    spoil_whole,
]  # fmt: skip


@pytest.mark.parametrize("spoil", SPOILT)
def test_a_damaged_chunk_is_named(spoil, store):
    shard = store.path / "c" / "1" / "0" / "0" / "0"
    shard.write_bytes(spoil(shard.read_bytes()))
    with pytest.raises(InputError, match=r"c/1/0/0/0: is damaged .* explain the cohort again"):
        [read(store, range(70), label) for label in (0, 1)]


def test_a_pipe_is_not_waited_for(store):
    shard = store.path / "c" / "1" / "0" / "0" / "0"
    shard.unlink()
    os.mkfifo(shard)
    with pytest.raises(InputError, match="is damaged"):
        read(store, range(70), 0)


def test_a_grown_store(store, maps):
    store.grow(90)
    assert_missing(store, range(70, 90), 1)
    assert json.loads((store.path / "zarr.json").read_text())["shape"][0] == 90
