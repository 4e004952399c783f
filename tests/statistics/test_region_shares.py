"""Shares of mass in regions against maps brought to the frame, and intervals against SciPy."""

import numpy as np
import pytest
from scipy.stats import bootstrap, ttest_1samp

from napari_globalxai.maps.cell_grid import CellGrid
from napari_globalxai.maps.preparing import prepare_maps
from napari_globalxai.maps.store import AttributionStore
from napari_globalxai.maps.upsampling import upsample
from napari_globalxai.settings.aggregation_settings import AggregationSettings
from napari_globalxai.statistics.ratio_intervals import (
    mean_above_p,
    patient_weights,
    ratio_intervals,
    sums_by_patient,
)
from napari_globalxai.statistics.region_shares import Regions, cell_weights, measure_shares, tiles

GRID = CellGrid((np.array([1.0, 9, 17]), np.array([2.0, 12, 20, 30])), (20, 34))


def random_regions(seed=0):
    generator = np.random.default_rng(seed)
    return {name: generator.random(GRID.frame) < 0.3 for name in "abc"}


def write_store(folder, maps, grid=GRID):
    store = AttributionStore.create(folder / "store.zarr", len(maps), ("one",), grid, "print")
    store.write(0, maps[:, None])
    return store


@pytest.mark.parametrize("scale", ["none", "max", "mass"])
def test_shares_are_those_of_the_maps_in_the_frame(tmp_path, scale):
    maps = np.random.default_rng(1).normal(0.2, 1, (30, *GRID.shape)).astype(np.float32)
    maps[4] = 0
    regions, settings = random_regions(), AggregationSettings(scale=scale)
    store, rows = write_store(tmp_path, maps), np.array([1, 4, 5, 29])
    found = measure_shares(store, "one", rows, Regions.on(GRID, regions), settings)
    plain = measure_shares(store, "one", rows, regions, settings)
    assert np.array_equal(found.mass, plain.mass)
    shown = upsample(prepare_maps(maps[rows], settings), GRID).astype(float)
    assert found.rows.tolist() == rows.tolist()
    np.testing.assert_allclose(found.total, shown.sum(axis=(1, 2)), rtol=1e-5)
    for column, mask in enumerate(regions.values()):
        np.testing.assert_allclose(found.mass[:, column], shown[:, mask].sum(axis=1), rtol=1e-5)
        assert found.areas[column] == mask.mean()
    assert found.has_mass.tolist() == [True, False, True, True]
    assert np.isnan(found.by_image[1]).all()


def test_constant_maps_are_left_out_where_the_run_leaves_them_out(tmp_path):
    maps = np.random.default_rng(1).random((4, *GRID.shape)).astype(np.float32)
    maps[2] = 0.5
    settings = AggregationSettings(constant_maps="left-out")
    store = write_store(tmp_path, maps)
    found = measure_shares(store, "one", np.arange(4), Regions.on(GRID, random_regions()), settings)
    assert found.rows.tolist() == [0, 1, 3]


def test_pixel_level_maps_weigh_their_own_pixels():
    mask = np.random.default_rng(0).random((5, 7)) < 0.5
    assert np.array_equal(cell_weights(mask, CellGrid.pixels((5, 7))), mask)


def test_volumes_are_measured_alike():
    grid = CellGrid((np.array([1.0, 5]), np.array([1.0, 4, 7]), np.array([2.0, 6])), (7, 9, 9))
    mask = np.random.default_rng(0).random(grid.frame) < 0.4
    image = np.random.default_rng(1).random(grid.shape)
    expected = upsample(image, grid).astype(float)[mask].sum()
    assert (cell_weights(mask, grid) * image).sum() == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize("frame", [(128, 160), (7, 5), (12, 9, 20)])
def test_tiles_cover_each_pixel_once(frame):
    total = np.sum(list(tiles(frame).values()), axis=0)
    assert total.shape == frame
    assert (total == 1).all()


def drawn_sums(patients=30, seed=0):
    generator = np.random.default_rng(seed)
    whole = generator.gamma(2, 1, patients)
    return whole * generator.beta(2, 6, patients), whole


def test_intervals_are_the_bca_intervals_of_scipy():
    part, whole = drawn_sums()
    weights = patient_weights(len(part), 20_000, np.random.default_rng(3))
    low, high = ratio_intervals(part[:, None], whole[:, None], weights)
    reference = bootstrap(
        (part, whole),
        lambda a, b, axis: a.sum(axis=axis) / b.sum(axis=axis),
        paired=True, vectorized=True, method="BCa", n_resamples=20_000,
        rng=np.random.default_rng(4),
    ).confidence_interval  # fmt: skip
    assert low[0] == pytest.approx(reference.low, rel=0.02)
    assert high[0] == pytest.approx(reference.high, rel=0.02)


def test_listing_every_image_twice_changes_no_interval():
    part, whole = drawn_sums()
    owner = np.arange(len(part))
    weights = patient_weights(len(part), 500, np.random.default_rng(3))
    once = ratio_intervals(part[:, None], whole[:, None], weights)
    twice = [
        sums_by_patient(np.repeat(values, 2), np.repeat(owner, 2), len(part))[:, None]
        for values in (part, whole)
    ]
    np.testing.assert_allclose(ratio_intervals(*twice, weights), once, rtol=1e-4)


def test_a_ratio_without_any_mass_has_no_interval():
    weights = patient_weights(5, 50, np.random.default_rng(0))
    with np.errstate(all="raise", under="ignore"):
        low, high = ratio_intervals(np.zeros((5, 1)), np.zeros((5, 1)), weights)
    assert np.isnan([low[0], high[0]]).all()


def test_intervals_cover_what_they_say():
    hits = 0
    for seed in range(200):
        part, whole = drawn_sums(40, seed)
        weights = patient_weights(40, 400, np.random.default_rng(seed))
        low, high = ratio_intervals(part[:, None], whole[:, None], weights)
        hits += low[0] <= 0.25 <= high[0]
    # 95 % of 200 within three binomial SDs and a little for 40 patients.
    assert 176 <= hits <= 199


def test_the_one_sided_p_is_that_of_scipy():
    values = np.random.default_rng(0).normal(0.1, 1, (25, 3))
    expected = ttest_1samp(values, 0, alternative="greater").pvalue
    np.testing.assert_allclose(mean_above_p(values), expected)
    assert mean_above_p(np.zeros((4, 1)))[0] == 1
