"""Chunks decoded directly, against Zarr."""

import json
import os

import numpy as np
import pytest
import zarr

from napari_globalxai.errors import InputError
from napari_globalxai.maps.cell_grid import CellGrid
from napari_globalxai.maps.chunk_files import ChunkFiles
from napari_globalxai.maps.store import AttributionStore

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
    _, values = read(made, range(40), 0)
    assert np.isnan(values[:32]).all()
    assert (values[32:] == 1).all()


def test_a_store_laid_out_otherwise_goes_through_zarr(tmp_path, maps):
    attributes = {"labels": ["a", "b"], "grid": GRID.to_dict(), "fingerprint": "x", "pooling": 1}
    path = tmp_path / "other.zarr"
    array = zarr.create_array(
        path, shape=maps.shape, chunks=(8, 2, 3, 4), dtype="float32", fill_value=np.nan,
        attributes=attributes,
    )  # fmt: skip
    array[:] = maps
    assert ChunkFiles.of(path) is None
    _, values = read(AttributionStore(path), range(70), 1)
    assert np.array_equal(values, maps[:, 1])


def spoil_length(data):
    return data[:-3]


def spoil_content(data):
    return data[:16] + bytes(len(data) - 16)


def spoil_size(data):
    """Claims to unpack to more than a chunk has."""
    return data[:4] + (1 << 30).to_bytes(4, "little") + data[8:]


def spoil_all(data):
    return b"xy"


@pytest.mark.parametrize("spoil", [spoil_length, spoil_content, spoil_size, spoil_all])
def test_a_damaged_chunk_is_named(spoil, store):
    chunk = store.path / "c" / "1" / "0" / "0" / "0"
    chunk.write_bytes(spoil(chunk.read_bytes()))
    with pytest.raises(InputError, match=r"c/1/0/0/0: is damaged .* explain the cohort again"):
        read(store, range(70), 0)


def test_a_pipe_is_not_waited_for(store):
    chunk = store.path / "c" / "1" / "0" / "0" / "0"
    chunk.unlink()
    os.mkfifo(chunk)
    with pytest.raises(InputError, match="is damaged"):
        read(store, range(70), 0)


def test_a_grown_store(store, maps):
    store.grow(90)
    assert np.isnan(read(store, range(70, 90), 1)[1]).all()
    assert json.loads((store.path / "zarr.json").read_text())["shape"][0] == 90
