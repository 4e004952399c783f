"""Agreement of maps with those of random models: slow loops, verdicts, and p on null data."""

import numpy as np
import pytest
from scipy import stats

from napari_globalxai.statistics.random_model_maps import (
    Halves,
    cross_agreement,
    judge_dependence,
    rank_correlations,
    rank_p,
    self_agreement,
    structural_similarity,
)

CELLS = 12


def test_halves_hold_whole_patients():
    patients = [f"P{number % 7}" for number in range(15)]
    halves = Halves.draw(patients, 30, seed=2)
    for first, second in zip(halves.first, halves.second, strict=True):
        sides = [{patients[row] for row in np.flatnonzero(each)} for each in (first, second)]
        assert not sides[0] & sides[1]
        assert abs(len(sides[0]) - len(sides[1])) == 1
        assert (first ^ second).all()


def test_agreements_equal_slow_loops():
    rng = np.random.default_rng(0)
    patients = [f"P{number % 6}" for number in range(14)]
    own, random = rng.random((2, 14, CELLS))
    keep = np.arange(14) != 3
    halves = Halves.draw(patients, 12, seed=0)
    one, other = halves.means(own, keep), halves.means(random, np.ones(14, bool))
    self_, cross = [], []
    for first, second in zip(halves.first, halves.second, strict=True):
        means = [own[each & keep].mean(0) for each in (first, second)]
        others = [random[each].mean(0) for each in (first, second)]
        self_.append(stats.spearmanr(*means).statistic)
        cross += [stats.spearmanr(means[0], others[1]).statistic]
        cross += [stats.spearmanr(means[1], others[0]).statistic]
    assert self_agreement(one) == pytest.approx(np.mean(self_))
    assert cross_agreement(one, other) == pytest.approx(np.mean(cross))
    assert rank_correlations(np.ones((1, 4)), np.arange(4.0)[None])[0] == 0


def test_p_on_maps_that_no_weight_changes():
    """Every model draws the same picture with noise of its own: 5 % at most are told apart."""
    rejected, repeats = 0, 200
    patients = [f"P{number // 2}" for number in range(24)]
    everyone = np.ones(24, bool)
    for seed in range(repeats):
        rng = np.random.default_rng(seed)
        picture = rng.normal(size=CELLS)
        of_patient = np.repeat(rng.normal(0, 0.5, (12, CELLS)), 2, axis=0)
        models = picture + of_patient + rng.normal(0, 2, (20, 24, CELLS))
        halves = Halves.draw(patients, 20, seed)
        means = [halves.means(each, everyone) for each in models]
        own = self_agreement(means[0])
        p = rank_p(own, [cross_agreement(means[0], each) for each in means[1:]])
        rejected += p <= 0.05
    assert rejected <= stats.binom.ppf(0.999, repeats, 0.05)


def test_words():
    dependent = judge_dependence(30, 0.9, [0.1] * 19, rank_p(0.9, [0.1] * 19))
    assert dependent.verdict == "model-dependent"
    assert "0.90" in dependent.reason
    assert "p = 0.05" in dependent.reason
    assert judge_dependence(30, 0.9, [0.8] * 19, 0.05).verdict == "partly model-dependent"
    assert judge_dependence(30, 0.9, [0.9] * 19, 0.6).verdict == "survives random weights"
    assert judge_dependence(30, 0.9, [0.1] * 3, 0.25).verdict == "undecided"
    assert judge_dependence(30, 0.1, [0.0] * 19, 0.05).verdict == "not enough data"
    assert judge_dependence(3, 0.9, [0.0] * 19, 0.05).verdict == "not enough data"


def test_structural_similarity():
    rng = np.random.default_rng(0)
    image, other = rng.random((2, 8, 10))
    assert structural_similarity(image, image * 3) == pytest.approx(1)
    assert structural_similarity(image, image.max() - image) < 0
    assert abs(structural_similarity(image, other)) < 0.5
    assert np.isnan(structural_similarity(image[:2], other[:2]))
