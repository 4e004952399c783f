"""One image against the global map, against slow loops and scipy."""

import numpy as np
import pytest
from scipy.spatial.distance import cosine
from scipy.stats import percentileofscore, spearmanr

from napari_globalxai.maps.cell_grid import CellGrid
from napari_globalxai.maps.store import AttributionStore
from napari_globalxai.settings.aggregation_settings import AggregationSettings
from napari_globalxai.statistics.image_against_map import (
    MEASURES,
    RESIDUAL,
    Reference,
    compare_images,
    nearest_images,
    percentiles_among,
    residuals,
    top_weights,
)
from napari_globalxai.statistics.prepared_cells import CellReader

GRID = CellGrid.tiling((6, 7), (60, 70))
SIZE = 70
CONSTANT = 40


@pytest.fixture
def maps():
    generator = np.random.default_rng(0)
    pattern = generator.normal(0, 1, GRID.shape)
    maps = (pattern + generator.normal(0.2, 1, (SIZE, 1, *GRID.shape))).astype(np.float32)
    maps[CONSTANT] = -1.0
    return maps


@pytest.fixture
def reader(maps, tmp_path):
    store = AttributionStore.create(tmp_path / "store.zarr", SIZE, ("a",), GRID, "print")
    for start in range(0, SIZE, store.images_per_chunk):
        store.write(start, maps[start : start + store.images_per_chunk])
    inside = np.random.default_rng(1).random(GRID.shape) < 0.8
    return CellReader(store, AggregationSettings(), only=inside)


def slow_top(values, share):
    """Weights by drawing all ways to break ties: each of the tied cells gets its share."""
    count = max(1, round(share * len(values)))
    weights = np.zeros(len(values))
    left = count
    for height in sorted(set(values), reverse=True):
        tied = [at for at, value in enumerate(values) if value == height]
        for at in tied:
            weights[at] = min(1, left / len(tied))
        left -= min(left, len(tied))
        if left == 0:
            break
    return weights


def slow(maps, row, members, inside):
    own = maps[row, 0].clip(0).astype(np.float64)[inside]
    others = [other for other in members if other != row]
    if not others or np.ptp(own) == 0:
        return dict.fromkeys((*MEASURES, RESIDUAL), np.nan)
    every = [maps[other, 0].clip(0).astype(np.float64)[inside] for other in others]
    mean = np.mean(every, axis=0)
    found = {"similarity": spearmanr(own, mean).statistic, "cosine": 1 - cosine(own, mean)}
    for share in (0.05, 0.1, 0.2):
        both = slow_top(own, share) * slow_top(mean, share)
        found[f"overlap_{share * 100:g}"] = both.sum() / slow_top(own, share).sum()
    found["mass_top_10"] = (own * slow_top(mean, 0.1)).sum() / own.sum()
    whole = np.array([maps[each, 0].clip(0).astype(np.float64)[inside] for each in members])
    spread = whole.std(axis=0, ddof=1)
    differ = spread > 0
    assert 0 < differ.sum() < len(own)
    away = (own - whole.mean(axis=0))[differ] / spread[differ]
    found[RESIDUAL] = np.sqrt(np.mean(away**2))
    return found


def test_measures_equal_a_loop(reader, maps):
    members = np.array([1, 5, 30, CONSTANT, 33, 50, 69])
    rows = np.array([0, 1, 5, 31, CONSTANT, 69])
    reference = Reference.of(reader, "a", members)
    found = compare_images(reader, "a", rows, reference)
    assert list(found) == [*MEASURES, RESIDUAL]
    for at, row in enumerate(rows):
        for name, expected in slow(maps, row, members, reader.inside).items():
            np.testing.assert_allclose(found[name][at], expected, rtol=1e-5, atol=1e-9)
    assert np.isnan(found["cosine"][4])


def test_a_map_of_one_image_has_nothing_to_compare_it_with(reader):
    alone = np.array([7])
    found = compare_images(reader, "a", np.array([7, 8]), Reference.of(reader, "a", alone))
    assert np.isnan([values[0] for values in found.values()]).all()
    assert np.isfinite(found["similarity"][1])
    assert np.isnan(found[RESIDUAL][1])
    nobody = Reference.of(reader, "a", alone[:0])
    assert np.isnan(compare_images(reader, "a", alone, nobody)["overlap_5"]).all()


def test_the_sd_of_members_over_several_chunks(reader, maps):
    members = np.arange(SIZE)
    reference = Reference.of(reader, "a", members)
    values = maps[:, 0].clip(0)[:, reader.inside].astype(np.float64)
    np.testing.assert_allclose(reference.mean, values.mean(axis=0))
    np.testing.assert_allclose(reference.sd, values.std(axis=0, ddof=1))


def test_constant_maps_that_are_left_out_are_not_in_the_mean(reader, maps):
    left_out = CellReader(
        reader.store, AggregationSettings(constant_maps="left-out"), only=reader.inside
    )
    members = np.array([1, 5, CONSTANT])
    reference = Reference.of(left_out, "a", members)
    assert reference.count == 2
    found = compare_images(left_out, "a", np.array([1, CONSTANT]), reference)
    inside = reader.inside
    expected = spearmanr(maps[1, 0].clip(0)[inside], maps[5, 0].clip(0)[inside]).statistic
    assert found["similarity"][0] == pytest.approx(expected)
    assert np.isnan(found["similarity"][1])


def test_residuals_where_members_do_not_differ():
    reference = Reference(np.array([3.0, 0.0, 6.0]), np.array([0.0, 0.0, 2.0]), np.ones(3, bool), 3)
    found = residuals(np.array([[1.0, 0.0, 3.0], [2.0, -1.0, 2.0]]), reference)
    assert found.tolist() == [[0, 0, 1], [np.inf, -np.inf, 0]]


@pytest.mark.parametrize("share", [0.01, 0.05, 0.2, 0.5, 1.0])
def test_top_weights_share_ties(share):
    values = np.random.default_rng(0).integers(0, 4, (20, 30)).astype(float)
    found = top_weights(values, np.sort(values, axis=1), share)
    for row in range(20):
        np.testing.assert_allclose(found[row], slow_top(values[row], share))
    np.testing.assert_allclose(found.sum(axis=1), max(1, round(share * 30)))


def test_percentiles_equal_scipys():
    generator = np.random.default_rng(0)
    members = generator.integers(0, 9, 40).astype(float)
    members[3] = np.nan
    values = np.array([-1.0, 0, 4, 4.5, 8, 20, np.nan])
    known = members[np.isfinite(members)]
    expected = [percentileofscore(known, value, kind="mean") for value in values[:-1]]
    found = percentiles_among(values, members)
    np.testing.assert_allclose(found[:-1], expected)
    assert np.isnan(found[-1])
    assert np.isnan(percentiles_among(values, members[:0])).all()


def test_nearest_images_equal_all_pairs(reader, maps):
    asked, among = np.array([44, 2, CONSTANT]), np.arange(0, SIZE, 2)
    rows, likes = nearest_images(reader, "a", asked, among, 4)
    inside = reader.inside
    for at, row in enumerate(asked[:2]):
        pairs = []
        for other in among:
            if other in (row, CONSTANT):
                continue
            both = [maps[each, 0].clip(0)[inside] for each in (row, other)]
            pairs.append((spearmanr(*both).statistic, other))
        pairs.sort(reverse=True)
        assert rows[at].tolist() == [other for _, other in pairs[:4]]
        np.testing.assert_allclose(likes[at], [like for like, _ in pairs[:4]])
    assert rows[2].tolist() == [-1] * 4
    assert np.isnan(likes[2]).all()
    few, _ = nearest_images(reader, "a", asked[:1], np.array([44, 6]), 3)
    assert few.tolist() == [[6, -1, -1]]
