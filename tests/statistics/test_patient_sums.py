"""Sums by patient against loops: reliability over many splits, standard error, squares of cells."""

import numpy as np
import pytest
from scipy.stats import spearmanr

from napari_globalxai.maps.cell_grid import CellGrid
from napari_globalxai.maps.store import AttributionStore
from napari_globalxai.maps.upsampling import cells_inside
from napari_globalxai.settings.aggregation_settings import AggregationSettings
from napari_globalxai.statistics.global_map import Averaging
from napari_globalxai.statistics.map_statistics import SPLITS
from napari_globalxai.statistics.map_values import error_of_sums, standard_error
from napari_globalxai.statistics.patient_groups import patient_codes
from napari_globalxai.statistics.patient_sums import PatientSums
from napari_globalxai.statistics.prepared_cells import CellReader, pooled

GRID = CellGrid.tiling((5, 7), (40, 56))
SIZE = 45
RNG = np.random.default_rng(3)
OWNERS = [f"P{number}" for number in RNG.integers(0, 14, SIZE)]
VALID = np.zeros(GRID.frame, bool)
VALID[8:, :40] = True


@pytest.fixture(scope="module")
def maps():
    pattern = np.random.default_rng(0).normal(0, 1, GRID.shape)
    noise = np.random.default_rng(1).normal(0, 4, (SIZE, *GRID.shape))
    maps = (pattern + noise).astype(np.float32)
    maps[4] = -1  # constant once its positive part is taken
    return maps


@pytest.fixture(scope="module")
def store(maps, tmp_path_factory):
    path = tmp_path_factory.mktemp("sums") / "store.zarr"
    made = AttributionStore.create(path, SIZE, ("a",), GRID, "print")
    for start in range(0, SIZE, made.images_per_chunk):
        made.write(start, maps[start : start + made.images_per_chunk, None])
    return made


def slow_mean(members):
    """The mean over images, by label first where there are several, each scaled to mass 1."""
    means = [np.mean(each, axis=0) for each in members if len(each)]
    if len(members) == 1:
        return means[0]
    scaled = [each / np.abs(each).sum() for each in means if np.abs(each).sum()]
    return np.mean(scaled, axis=0)


def slow_reliability(maps, rows, seed):
    """Halves drawn in the same way, each mean and correlation by itself; maps and rows by label."""
    generator = np.random.default_rng(seed)
    names = sorted({OWNERS[row] for each in rows for row in each})
    inside = cells_inside(VALID, GRID)
    group = np.repeat(np.array([1, 2], np.int8), [len(names) // 2, len(names) - len(names) // 2])
    drawn = np.tile(group, (SPLITS, 1))
    generator.permuted(drawn, axis=1, out=drawn)
    found = []
    for half in drawn:
        means = []
        for side in (1, 2):
            mine = {name for name, of in zip(names, half, strict=True) if of == side}
            members = [
                [each[row].clip(0).astype(np.float64) for row in chosen if OWNERS[row] in mine]
                for each, chosen in zip(maps, rows, strict=True)
            ]
            means.append(slow_mean(members)[inside])
        found.append(spearmanr(*means).statistic)
    middle = np.mean(found)
    return 2 * middle / (1 + middle)


def test_reliability_is_of_many_splits_over_the_valid_area(maps, store):
    rows = np.arange(40)
    made = Averaging(store, OWNERS, AggregationSettings(), 7, VALID).label_map("a", rows)
    assert made.reliability == pytest.approx(slow_reliability([maps], [rows], 7), abs=1e-9)


@pytest.mark.parametrize("choice", ["counted", "left-out"])
def test_reliability_of_the_overall_map_is_of_all_labels_patients(choice, maps, tmp_path):
    both = np.stack([maps, np.roll(maps[::-1], 2, axis=2)], axis=1)
    both[20:30, 1] = -1  # some patients have no map of the second label that varies
    made = AttributionStore.create(tmp_path / "two.zarr", SIZE, ("a", "b"), GRID, "print")
    for start in range(0, SIZE, made.images_per_chunk):
        made.write(start, both[start : start + made.images_per_chunk])
    settings = AggregationSettings(constant_maps=choice)
    averaging = Averaging(made, OWNERS, settings, 7, VALID)
    rows = [np.arange(12), np.arange(20, SIZE)]
    labels = [averaging.label_map(label, each) for label, each in zip("ab", rows, strict=True)]
    found = averaging.overall_map(labels).reliability
    entered = [each.entered for each in labels]
    assert len(entered[1]) == (25 if choice == "counted" else 14)
    expected = slow_reliability([both[:, 0], both[:, 1]], entered, 7)
    assert found == pytest.approx(expected, abs=1e-9)
    assert found != pytest.approx(labels[0].reliability, abs=1e-3)


def test_reliability_does_not_depend_on_the_order_of_the_images(maps, tmp_path):
    order = np.random.default_rng(5).permutation(SIZE)
    found = []
    for name, rows in (("as-they-are", np.arange(SIZE)), ("otherwise", order)):
        made = AttributionStore.create(tmp_path / name, SIZE, ("a",), GRID, "print")
        for start in range(0, SIZE, made.images_per_chunk):
            made.write(start, maps[rows][start : start + made.images_per_chunk, None])
        owners = [OWNERS[row] for row in rows]
        averaging = Averaging(made, owners, AggregationSettings(), 7, VALID)
        found.append(averaging.label_map("a", np.arange(SIZE)).reliability)
    assert found[0] == pytest.approx(found[1], abs=1e-9)


def test_standard_error_of_sums_is_that_of_the_store(store):
    settings = AggregationSettings(part="positive", constant_maps="left-out")
    rows, codes = np.arange(SIZE), patient_codes(OWNERS)
    made = Averaging(store, OWNERS, settings, 0, VALID).label_map("a", rows)
    reader = CellReader(store, settings)
    cells = reader.cells("a", rows)
    mean = cells.values.mean(axis=0, dtype=np.float64)
    sums = PatientSums(codes, rows, GRID.shape)
    for part in np.array_split(np.arange(len(cells.rows)), 3):
        sums.add(cells.rows[part], cells.values[part].reshape(-1, *GRID.shape))
    expected = standard_error(reader, "a", cells.rows, codes, mean)
    np.testing.assert_allclose(error_of_sums(sums.maps, mean), expected, rtol=1e-9)
    assert np.isfinite(made.standard_error).all()
    one = PatientSums(codes, rows[:1], GRID.shape)
    one.add(rows[:1], cells.values[:1].reshape(1, *GRID.shape))
    assert np.isnan(error_of_sums(one.maps, mean)).all()


def test_where_sums_do_not_fit_squares_of_cells_are_averaged(maps):
    codes, rows = patient_codes(OWNERS), np.arange(30)
    # Of the store, not of these images: all labels' maps are averaged in the same squares.
    patients = len(set(OWNERS))
    sums = PatientSums(codes, rows, GRID.shape, most_bytes=8 * patients * 12)
    assert sums.side == 2
    sums.add(rows, maps[rows])
    squares = pooled(maps[rows].astype(np.float64), 2)
    expected = [
        squares[[row for row in rows if OWNERS[row] == name]].sum(axis=0).ravel()
        for name in sorted(set(OWNERS[:30]))
    ]
    np.testing.assert_allclose(sums.maps.sums, expected, rtol=1e-9)
    assert PatientSums(codes, rows, GRID.shape, most_bytes=1).side == 7


@pytest.mark.parametrize("choice", ["counted", "left-out"])
def test_a_reader_that_keeps_reads_the_same(choice, store):
    plain = CellReader(store, AggregationSettings(constant_maps=choice, scale="mass"), VALID)
    kept = plain.keeping(np.arange(40))
    for rows in (np.arange(3, 30), np.array([4]), np.zeros(0, np.int64)):
        for one, other in ((plain, kept), (plain.counting_all(), kept.counting_all())):
            first, second = one.cells("a", rows), other.cells("a", rows)
            assert np.array_equal(first.rows, second.rows)
            assert np.array_equal(first.values, second.values)
            assert np.array_equal(first.constant, second.constant)
            assert first.n_constant == second.n_constant


def test_a_label_is_read_once(store, monkeypatch):
    kept = CellReader(store, AggregationSettings(), VALID).keeping(np.arange(40))
    kept.cells("a", np.arange(10))
    monkeypatch.setattr(store, "runs_of_chunks", None)
    assert len(kept.counting_all().cells("a", np.arange(40)).rows) == 40
