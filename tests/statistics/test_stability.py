"""Stability of maps, against slow loops and what theory says of it."""

import numpy as np
import pytest
from scipy.stats import spearmanr

from napari_globalxai.statistics.ranks import row_spearman
from napari_globalxai.statistics.stability import (
    OverallMaps,
    PatientMaps,
    _resamples,
    bootstrap_bands,
    measure_stability,
    spearman_brown,
)

CELLS = 60


def patients_of(count, noise, seed=0, images=None):
    """Patients whose maps are one pattern and noise of this SD."""
    generator = np.random.default_rng(seed)
    pattern = np.random.default_rng(99).normal(0, 1, CELLS)
    sizes = np.ones(count, int) if images is None else generator.integers(1, images, count)
    means = pattern + generator.normal(0, noise, (count, CELLS))
    return PatientMaps(means * sizes[:, None], sizes)


def test_maps_of_weights_equal_a_loop():
    maps = patients_of(7, 1.0, images=4)
    other = PatientMaps(-2 * maps.sums[::-1] * (np.arange(7) > 2)[:, None], maps.sizes.copy())
    weights = np.random.default_rng(1).integers(0, 3, (5, 7)).astype(float)
    for draw in range(5):
        total, images, total_other = np.zeros(CELLS), 0, np.zeros(CELLS)
        for patient in range(7):
            for _ in range(int(weights[draw, patient])):
                total += maps.sums[patient]
                total_other += other.sums[patient]
                images += maps.sizes[patient]
        first, second = total / images, total_other / images
        np.testing.assert_allclose(maps(weights)[draw], first)
        overall = (first / abs(first).sum() + second / abs(second).sum()) / 2
        np.testing.assert_allclose(OverallMaps([maps, other])(weights)[draw], overall)


def test_overall_leaves_out_a_label_without_mass():
    maps, nothing = patients_of(3, 1.0), PatientMaps(np.zeros((3, CELLS)), np.zeros(3, int))
    weights = np.ones((1, 3))
    found = OverallMaps([maps, nothing])(weights)
    expected = maps(weights) / abs(maps(weights)).sum()
    np.testing.assert_allclose(found, expected)


def test_row_spearman_equals_scipy():
    generator = np.random.default_rng(0)
    first, second = generator.integers(0, 5, (2, 9, 12)).astype(float)
    first[3] = 2.0
    found = row_spearman(first, second)
    assert np.isnan(found[3])
    for row in [0, 1, 2, 4, 5, 6, 7, 8]:
        assert found[row] == pytest.approx(spearmanr(first[row], second[row]).statistic)


@pytest.mark.parametrize(
    ("correlation", "times", "expected"),
    [(0.5, 2, 2 / 3), (0.5, 3, 0.75), (1, 2, 1), (0, 2, 0), (-0.3, 2, -0.3)],
)
def test_spearman_brown(correlation, times, expected):
    assert spearman_brown(correlation, times) == pytest.approx(expected)


def test_spearman_brown_predicts_a_second_cohort():
    """The reliability is how alike the maps of two whole cohorts are."""
    inside = np.ones(CELLS, bool)
    between, said = [], []
    for seed in range(12):
        first, second = patients_of(40, 6.0, seed), patients_of(40, 6.0, 1000 + seed)
        whole = np.ones((1, 40))
        between.append(spearmanr(first(whole)[0], second(whole)[0]).statistic)
        said.append(measure_stability(first, 40, inside, splits=100, seed=seed).reliability)
    # Standard errors of the two means are about 0.03 each.
    assert np.mean(said) == pytest.approx(np.mean(between), abs=0.1)
    assert 0.4 < np.mean(between) < 0.8


def test_a_clear_pattern_settles_and_noise_does_not():
    inside = np.ones(CELLS, bool)
    clear = measure_stability(patients_of(100, 1.0), 100, inside, splits=100)
    assert clear.has_settled
    assert clear.low <= clear.reliability <= clear.high
    assert 2 < clear.settles_at <= 50
    sizes = [point.patients for point in clear.growth]
    assert (sizes[0], sizes[-1]) == (2, 50)
    # More patients, more agreement.
    assert clear.growth[0].correlation < clear.growth[3].correlation < clear.growth[-1].correlation
    generator = np.random.default_rng(0)
    noise = PatientMaps(generator.normal(0, 1, (100, CELLS)), np.ones(100, int))
    found = measure_stability(noise, 100, inside, splits=100)
    assert not found.has_settled
    assert found.settles_at is None or found.settles_at > 300


def test_how_many_patients_would_be_needed():
    """With half the reliability that is wanted, theory tells how many patients are missing."""
    inside = np.ones(CELLS, bool)
    few = measure_stability(patients_of(30, 3.0, seed=5), 30, inside, splits=300)
    assert not few.has_settled
    enough = patients_of(few.settles_at, 3.0, seed=6)
    found = measure_stability(enough, few.settles_at, inside, splits=300)
    assert found.reliability == pytest.approx(0.9, abs=0.06)


def test_only_cells_inside_are_compared():
    maps = patients_of(20, 1.0)
    maps.sums[:, 30:] = 1e6 * np.arange(30)  # the same for everybody
    inside = np.arange(CELLS) < 30
    found = measure_stability(maps, 20, inside, splits=100)
    cut = PatientMaps(maps.sums[:, :30], maps.sizes)
    assert found == measure_stability(cut, 20, np.ones(30, bool), splits=100)


def test_listing_every_image_twice_changes_nothing():
    maps, inside = patients_of(25, 2.0, images=3), np.ones(CELLS, bool)
    twice = PatientMaps(2 * maps.sums, 2 * maps.sizes)
    assert measure_stability(maps, 25, inside, splits=100) == measure_stability(
        twice, 25, inside, splits=100
    )
    for one, two in zip(
        bootstrap_bands(maps, 25, 200), bootstrap_bands(twice, 25, 200), strict=True
    ):
        np.testing.assert_allclose(one, two)


@pytest.mark.parametrize("patients", [0, 1, 2, 3])
def test_few_patients(patients):
    maps = patients_of(patients, 1.0)
    found = measure_stability(maps, patients, np.ones(CELLS, bool), splits=100)
    assert np.isnan(found.reliability) == (patients < 2)
    assert not found.growth
    low, high = bootstrap_bands(maps, patients, 100)
    assert np.isnan(low).all() == (patients < 2)
    assert low.shape == high.shape == (CELLS,)


def test_constant_maps_say_nothing():
    maps = PatientMaps(np.zeros((10, CELLS)), np.ones(10, int))
    found = measure_stability(maps, 10, np.ones(CELLS, bool), splits=100)
    assert np.isnan(found.reliability)
    assert found.settles_at is None
    assert found.split_half.draws == 0


def test_bands_equal_a_loop():
    maps = patients_of(9, 1.0, images=3)
    weights = np.concatenate(list(_resamples(9, 150, 3)))
    assert weights.shape == (150, 9)
    assert (weights.sum(axis=1) == 9).all()
    drawn = []
    for times in weights.astype(int):
        picked = np.repeat(np.arange(9), times)
        drawn.append(maps.sums[picked].sum(axis=0) / maps.sizes[picked].sum())
    low, high = bootstrap_bands(maps, 9, 150, 3)
    np.testing.assert_allclose(low, np.percentile(drawn, 2.5, axis=0))
    np.testing.assert_allclose(high, np.percentile(drawn, 97.5, axis=0))


def test_bands_hold_the_truth_as_often_as_they_say():
    """Coverage of the true pattern by the bands of 60 patients, over cells and cohorts."""
    pattern = np.random.default_rng(99).normal(0, 1, CELLS)
    held = []
    for seed in range(20):
        low, high = bootstrap_bands(patients_of(60, 2.0, seed), 60, 400, seed)
        held.append((low <= pattern) & (pattern <= high))
    # 1 200 cells; percentile intervals of 60 values hold a little less than they say.
    assert 0.92 < np.mean(held) < 0.97
