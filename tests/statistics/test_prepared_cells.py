"""Maps as matrices, against slow loops."""

import numpy as np
import pytest

from napari_globalxai.errors import InputError
from napari_globalxai.maps.cell_grid import CellGrid
from napari_globalxai.maps.store import AttributionStore
from napari_globalxai.maps.upsampling import cells_inside, upsample
from napari_globalxai.settings.aggregation_settings import AggregationSettings
from napari_globalxai.statistics.patient_groups import PatientGroups, patient_codes
from napari_globalxai.statistics.prepared_cells import CellReader

GRID = CellGrid.tiling((5, 6), (40, 48))
SIZE = 70


@pytest.fixture
def maps():
    maps = np.random.default_rng(0).normal(0, 1, (SIZE, 2, *GRID.shape)).astype(np.float32)
    maps[[3, 40]] = -1.0  # constant, and all-zero in their positive part
    return maps


@pytest.fixture
def store(maps, tmp_path):
    made = AttributionStore.create(tmp_path / "store.zarr", SIZE, ("a", "b"), GRID, "print")
    for start in range(0, SIZE, made.images_per_chunk):
        made.write(start, maps[start : start + made.images_per_chunk])
    return made


@pytest.fixture
def valid():
    valid = np.zeros(GRID.frame, bool)
    valid[9:36, 12:44] = True
    return valid


def slow(maps, rows, part, scale):
    result = []
    for row in rows:
        image = maps[row, 1].astype(np.float64)
        image = {"signed": image, "positive": image.clip(0), "absolute": abs(image)}[part]
        norm = {"none": 1, "max": abs(image).max(), "mass": abs(image).sum()}[scale]
        result.append(image / norm if norm > 0 else image)
    return np.array(result)


@pytest.mark.parametrize("part", ["positive", "absolute", "signed"])
@pytest.mark.parametrize("scale", ["none", "max", "mass"])
def test_cells_equal_a_loop(part, scale, store, maps, valid):
    rows = np.array([0, 3, 5, 31, 32, 69])
    reader = CellReader(store, AggregationSettings(part=part, scale=scale), valid)
    found = reader.cells("b", rows)
    assert found.values.dtype == np.float32
    assert found.rows.tolist() == rows.tolist()
    assert found.constant.tolist() == [False, True, False, False, False, False]
    inside = cells_inside(valid, GRID)
    np.testing.assert_allclose(
        found.values, slow(maps, rows, part, scale)[:, inside], rtol=1e-6, atol=1e-9
    )


def test_constant_maps_are_left_out_where_asked(store):
    rows = np.arange(SIZE)
    found = CellReader(store, AggregationSettings(constant_maps="left-out")).cells("b", rows)
    assert found.rows.tolist() == [row for row in rows if row not in (3, 40)]
    assert len(found.values) == SIZE - 2
    assert (found.n_constant, found.constant.any()) == (2, False)
    kept = CellReader(store, AggregationSettings()).cells("b", rows)
    assert (kept.n_constant, len(kept.values)) == (2, SIZE)


def test_no_rows(store):
    found = CellReader(store, AggregationSettings()).cells("b", np.zeros(0, np.int64))
    assert found.values.shape == (0, 30)
    assert found.n_constant == 0


def test_what_does_not_fit_is_averaged_over_squares(store, maps, valid):
    reader = CellReader(store, AggregationSettings(part="signed", scale="max"), valid)
    assert reader.fitting(SIZE).side == 1
    small = reader.fitting(SIZE, 4 * SIZE * 9)
    assert (small.side, small.grid.shape) == (2, (3, 3))
    rows = np.arange(10)
    whole = slow(maps, rows, "signed", "max")
    expected = np.zeros((10, 3, 3))
    for y in range(3):
        for x in range(3):
            block = whole[:, 2 * y : 2 * y + 2, 2 * x : 2 * x + 2]
            expected[:, y, x] = block.reshape(10, -1).mean(axis=1)
    found = small.cells("b", rows).values
    np.testing.assert_allclose(found, expected[:, cells_inside(valid, small.grid)], rtol=1e-5)
    with pytest.raises(InputError, match="do not fit"):
        reader.fitting(SIZE, 4 * SIZE - 1)


def test_back_to_the_frame(store, valid):
    reader = CellReader(store, AggregationSettings(), valid)
    values = np.random.default_rng(1).random((2, int(reader.inside.sum())))
    spread = reader.spread(values)
    assert np.array_equal(spread[:, reader.inside], values)
    assert np.isnan(spread[:, ~reader.inside]).all()
    frame = reader.in_frame(values)
    assert frame.shape == (2, 40, 48)
    # Nothing leaks in: each pixel lies between the values inside.
    assert frame.min() >= np.float32(values.min())
    assert frame.max() <= np.float32(values.max())
    everywhere = CellReader(store, AggregationSettings())
    values = np.random.default_rng(1).random(30)
    assert np.array_equal(everywhere.in_frame(values), upsample(values.reshape(5, 6), GRID))


# ---------------------------------------------------------------- patients


def test_sums_and_means_by_patient():
    names = ["c", "a", "c", "b", "a", "c", "z"]
    codes = patient_codes(names)
    rows = np.array([0, 1, 2, 4, 5])
    groups = PatientGroups(codes[rows])
    values = np.random.default_rng(0).random((5, 3, 2)).astype(np.float32)
    assert len(groups) == 2
    for place, code in enumerate(groups.present):
        mine = [values[at].astype(np.float64) for at, row in enumerate(rows) if codes[row] == code]
        np.testing.assert_allclose(groups.sums(values)[place], np.sum(mine, axis=0))
        np.testing.assert_allclose(groups.means(values)[place], np.mean(mine, axis=0))
        assert groups.sizes[place] == len(mine)
    assert np.array_equal(groups.present[groups.of_image], codes[rows])


def test_resamples_draw_patients_with_replacement():
    groups = PatientGroups(np.arange(50))
    drawn = groups.resamples(400, seed=0)
    assert (drawn.sum(axis=1) == 50).all()
    # Binomial(50, 1/50): mean 1, variance 0.98.
    assert abs(drawn.mean() - 1) < 1e-12
    assert abs(drawn.var() - 0.98) < 0.05
