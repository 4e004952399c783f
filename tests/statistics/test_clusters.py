"""Strategies: one cluster where there is one, the planted ones where there are several."""

import numpy as np
import pytest
from sklearn.cluster import SpectralClustering
from sklearn.metrics import adjusted_rand_score

from napari_globalxai.statistics.clusters import bisect, find_clusters
from napari_globalxai.statistics.modes import count_modes, critical_bandwidth, one_mode_p


def planted(places, seed=0, images=120, noise=0.3):
    """Shares over 30 tiles: most of the mass at one tile of `places`, and which of them."""
    generator = np.random.default_rng(seed)
    kind = generator.integers(len(places), size=images)
    maps = generator.gamma(1, noise, (images, 30))
    maps[np.arange(images), np.array(places)[kind]] += generator.gamma(20, 0.1, images)
    return maps / maps.sum(axis=1, keepdims=True), kind


OWNER = np.arange(120) // 2


def test_modes_of_drawn_densities_are_counted():
    generator = np.random.default_rng(0)
    one = generator.normal(size=2000)
    two = np.concatenate([one[:1000] - 4, one[1000:] + 4])
    assert count_modes(one[None], 0.5).tolist() == [1]
    assert count_modes(two[None], 0.5).tolist() == [2]
    # Two equal modes of SD s at distance d merge at a kernel of SD √(d²/4 − s²), here in SDs.
    expected = np.sqrt(16 - 1) / two.std()
    assert critical_bandwidth(two) == pytest.approx(expected, rel=0.1)


def test_silvermans_test_holds_its_level_and_finds_two_modes():
    found = {"one": 0, "skewed": 0, "two": 0}
    for seed in range(60):
        generator = np.random.default_rng(seed)
        samples = {
            "one": generator.normal(size=80),
            "skewed": generator.gamma(2, 1, 80),
            "two": np.concatenate([generator.normal(size=40), generator.normal(5, 1, 40)]),
        }
        for name, values in samples.items():
            found[name] += one_mode_p(values, 99, generator) <= 0.05
    assert found["one"] <= 8
    assert found["skewed"] <= 8
    assert found["two"] >= 57
    assert one_mode_p(np.ones(10), 99, np.random.default_rng(0)) == 1


def test_bisecting_is_spectral_clustering():
    scores = np.random.default_rng(0).normal(size=(60, 3))
    scores[:25] += 5
    square = ((scores[:, None] - scores[None]) ** 2).sum(axis=-1)
    plain = SpectralClustering(
        2, affinity="precomputed", assign_labels="cluster_qr", random_state=0
    ).fit_predict(np.exp(-square / 8) + 1e-9)
    assert adjusted_rand_score(bisect(scores), plain) == 1
    assert adjusted_rand_score(bisect(scores), np.arange(60) < 25) == 1


@pytest.mark.parametrize("places", [(3, 20), (3, 11, 20)])
def test_planted_strategies_are_found(places):
    shares, kind = planted(places)
    found = find_clusters(shares, OWNER, 0)
    assert found.count == len(places)
    assert adjusted_rand_score(found.cluster, kind) > 0.95
    assert found.stability > 0.9
    assert found.split_p <= 0.05
    sizes = np.bincount(found.cluster)[1:]
    assert sizes.tolist() == sorted(sizes, reverse=True)


def test_one_strategy_is_one_cluster():
    several = sum(find_clusters(planted((3,), seed)[0], OWNER, 0).count > 1 for seed in range(20))
    # The rule's level is 5 %; three of 20 happen by chance in fewer than 2 % of series.
    assert several <= 2


def test_many_images_are_clustered_as_few_are():
    shares, kind = planted((3, 20), images=1500)
    found = find_clusters(shares, np.arange(1500) // 2, 0)
    assert adjusted_rand_score(found.cluster, kind) > 0.95


@pytest.mark.parametrize("count", [1, 2, 5])
def test_few_or_equal_maps_are_one_cluster(count):
    shares = np.full((count, 30), 1 / 30)
    found = find_clusters(shares, np.arange(count), 0)
    assert found.cluster.tolist() == [1] * count
    assert np.isnan(found.stability)
    assert found.embedding.shape == (count, 2)


def test_the_same_seed_gives_the_same_clusters():
    shares, _ = planted((3, 20))
    first, second = (find_clusters(shares, OWNER, 4) for _ in range(2))
    assert np.array_equal(first.cluster, second.cluster)
    assert first.stability == second.stability
