"""Global maps of volumes (z, y, x), against slow loops over images and voxels."""

import numpy as np
import pytest
from scipy.stats import spearmanr

from napari_globalxai.maps.cell_grid import CellGrid
from napari_globalxai.maps.store import AttributionStore
from napari_globalxai.maps.upsampling import cells_inside, upsample
from napari_globalxai.settings.aggregation_settings import AggregationSettings
from napari_globalxai.statistics.global_map import Averaging, overall_map
from napari_globalxai.statistics.regions import agreement_with_truth, share_against_area
from napari_globalxai.statistics.similarity import spearman_to_global
from napari_globalxai.statistics.streaming import FullResolutionMaps

GRID = CellGrid.tiling((2, 3, 5), (4, 9, 10))
SIZE = 37
PATIENTS = [f"P{row // 2}" for row in range(SIZE)]


@pytest.fixture
def volumes():
    values = np.random.default_rng(0).normal(0.4, 1, (SIZE, 2, *GRID.shape)).astype(np.float32)
    values[4, 0] = -1  # nothing positive
    return values


@pytest.fixture
def store(volumes, tmp_path):
    store = AttributionStore.create(tmp_path / "store.zarr", SIZE, ("a", "b"), GRID, "print")
    for start in range(0, SIZE, store.images_per_chunk):
        store.write(start, volumes[start : start + store.images_per_chunk])
    return store


def positive(volume):
    return np.where(volume > 0, volume, 0).astype(np.float64)


@pytest.mark.parametrize("scale", ["none", "mass"])
def test_label_map_and_its_statistics(volumes, store, scale):
    rows = np.arange(0, SIZE, 2)
    result = Averaging(store, PATIENTS, AggregationSettings(scale=scale)).label_map("a", rows)
    total = np.zeros(GRID.shape)
    for row in rows:
        volume = positive(volumes[row, 0])
        total += volume / volume.sum() if scale == "mass" and volume.any() else volume
    np.testing.assert_allclose(result.mean, upsample(total / len(rows), GRID), rtol=1e-5)
    assert result.mean.shape == result.sd.shape == GRID.frame
    assert (result.n, result.n_patients, result.n_constant) == (19, 19, 1)
    assert -1 < result.reliability < 1


def test_overall_map():
    rng = np.random.default_rng(0)
    first, second = rng.random((3, 4, 5)), 50 * rng.random((3, 4, 5))
    found = overall_map({"a": first.astype(np.float32), "b": second.astype(np.float32)})
    for voxel in np.ndindex(3, 4, 5):
        expected = (first[voxel] / first.sum() + second[voxel] / second.sum()) / 2
        assert found[voxel] == pytest.approx(expected, rel=1e-4)


def test_similarity_to_the_global_map(volumes, store):
    inside = cells_inside(np.random.default_rng(1).random(GRID.frame) < 0.7, GRID)
    rows, members = np.arange(SIZE), np.array([0, 3, 8, 30, 35])
    found = spearman_to_global(store, "a", rows, members, inside, AggregationSettings())
    for row in rows:
        others = [positive(volumes[other, 0])[inside] for other in members if other != row]
        own = positive(volumes[row, 0])[inside]
        if np.ptp(own) == 0:
            assert np.isnan(found[row])
            continue
        expected = spearmanr(own, np.mean(others, axis=0)).statistic
        assert found[row] == pytest.approx(expected, abs=1e-9)
    assert np.isnan(found).sum() == 1


def test_shares_of_a_region():
    volume = np.random.default_rng(0).normal(0, 1, (3, 4, 5))
    region = np.zeros((3, 4, 5), bool)
    region[1:, 2:, :3] = True
    mass = [0.0, 0.0]
    for voxel in np.ndindex(3, 4, 5):
        mass[int(region[voxel])] += abs(volume[voxel])
    expected = mass[1] / sum(mass) / (12 / 60)
    assert share_against_area(volume, region) == pytest.approx(expected)


def test_agreement_with_a_planted_truth():
    rng = np.random.default_rng(0)
    density, volume = rng.random((2, 3, 4)), rng.random((2, 3, 4))
    inside, outside = volume[density > density.max() / 2], volume[density <= density.max() / 2]
    wins = [first > second for first in inside for second in outside]
    assert agreement_with_truth(volume, density) == pytest.approx(np.mean(wins))


def test_full_resolution_maps_of_batches_equal_those_of_all(volumes, tmp_path):
    truth = np.zeros((SIZE, 2))
    truth[::3, 0] = truth[1::2, 1] = 1
    settings = AggregationSettings(part="signed")
    maps = FullResolutionMaps(("a", "b"), GRID.shape, truth, settings)
    for start in range(0, SIZE, 5):
        rows = list(range(start, min(start + 5, SIZE)))
        maps.observe(rows, volumes[rows], np.full((len(rows), 2), 0.5))
    maps.save(tmp_path / "moments.npz")
    again = FullResolutionMaps(("a", "b"), GRID.shape, truth, settings)
    again.load(tmp_path / "moments.npz")
    members = {label: np.flatnonzero(truth[:, at]) for at, label in enumerate("ab")}
    found = again.moments(members)
    for at, label in enumerate("ab"):
        chosen = volumes[members[label], at].astype(np.float64)
        np.testing.assert_allclose(found[label].mean, chosen.mean(axis=0), rtol=1e-9)
        np.testing.assert_allclose(found[label].sd(), chosen.std(axis=0, ddof=1), rtol=1e-9)
