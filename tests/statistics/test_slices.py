"""Slices: AUC and calibration against scikit-learn, the error rate over patients, and power."""

import numpy as np
import pandas as pd
import pytest
from scipy.stats import binomtest
from sklearn.calibration import calibration_curve
from sklearn.metrics import confusion_matrix, roc_auc_score

from napari_globalxai.audit.reliability_tables import calibration_table, threshold_table
from napari_globalxai.statistics.query import parse_query
from napari_globalxai.statistics.slices import (
    auc_gap,
    calibration_gap,
    conjunctions,
    holm,
    placements,
)
from napari_globalxai.statistics.subgroups import find_subgroups


def drawn(images=200, seed=0, strength=2.0):
    generator = np.random.default_rng(seed)
    owner = np.arange(images) // 2
    truth = generator.random(images) < 0.4
    shared = generator.normal(0, 0.7, images)[owner]
    return truth, truth * strength + shared + generator.normal(0, 1, images), owner, generator


def delong_variance(truth, score):
    """DeLong's variance for independent cases, pair by pair."""
    wins = np.sign(score[truth][:, None] - score[~truth][None]) / 2 + 0.5
    return (
        wins.mean(axis=1).var(ddof=1) / truth.sum() + wins.mean(axis=0).var(ddof=1) / (~truth).sum()
    )


def test_placements_are_wins_over_the_other_class():
    truth, score, _, generator = drawn()
    score = np.round(score + generator.normal(0, 0.1, len(score)))
    area, placed = placements(truth, score)
    assert area == pytest.approx(roc_auc_score(truth, score))
    assert placed[~truth].mean() == pytest.approx(area)


def test_the_interval_is_delongs_where_cases_are_independent():
    truth, score, _, _ = drawn(600)
    owner, inside = np.arange(600), np.arange(600) < 300
    gap = auc_gap(truth, score, owner, inside, ~inside)
    areas = [roc_auc_score(truth[side], score[side]) for side in (inside, ~inside)]
    assert (gap.inside, gap.outside) == pytest.approx(tuple(areas))
    error = np.sqrt(sum(delong_variance(truth[side], score[side]) for side in (inside, ~inside)))
    assert (gap.high - gap.low) / 2 == pytest.approx(1.98 * error, rel=0.05)


def test_listing_every_image_twice_lowers_no_p():
    truth, score, owner, _ = drawn()
    inside = np.arange(len(truth)) < 100
    probability = 1 / (1 + np.exp(-score))
    twice = [np.repeat(each, 2) for each in (truth, score, owner, inside)]
    for compare, values in ((auc_gap, score), (calibration_gap, probability)):
        once = compare(truth, values, owner, inside, ~inside)
        again = compare(twice[0], np.repeat(values, 2), twice[2], twice[3], ~twice[3])
        assert again.p == pytest.approx(once.p, rel=1e-6)


# The last is an AUC of 0.998, where a slice may have no error at all.
@pytest.mark.parametrize("strength", [2.0, 5.0])
def test_the_error_rate_holds_and_a_worse_slice_is_found(strength):
    false, found = 0, 0
    for seed in range(200):
        truth, score, owner, generator = drawn(160, seed, strength)
        inside = (generator.random(80) < 0.4)[owner]
        false += auc_gap(truth, score, owner, inside, ~inside).p <= 0.05
        worse = np.where(inside, generator.normal(0, 1, 160), score)
        found += auc_gap(truth, worse, owner, inside, ~inside).p <= 0.05
    # 5 % of 200 is 10; three SDs above it are 19.
    assert 2 <= false <= 19
    assert found >= 190


def test_calibration_is_compared_by_the_mean_excess():
    truth, score, owner, _ = drawn()
    probability, inside = 1 / (1 + np.exp(-score)), np.arange(200) < 80
    shifted = np.where(inside, np.minimum(1, probability + 0.3), probability)
    gap = calibration_gap(truth, shifted, owner, inside, ~inside)
    assert gap.inside == pytest.approx(shifted[inside].mean() - truth[inside].mean())
    assert gap.p < 0.001
    assert gap.low < gap.inside - gap.outside < gap.high


def test_no_errors_at_all_are_no_failing():
    truth = np.arange(40) % 2 == 0
    inside = np.arange(40) < 20
    gap = auc_gap(truth, truth.astype(float), np.arange(40), inside, ~inside)
    assert (gap.inside, gap.outside, gap.p) == (1, 1, 1)


def test_holm_is_the_slow_rule():
    p = np.array([0.01, 0.04, 0.03, 0.005])
    np.testing.assert_allclose(holm(p), [0.03, 0.06, 0.06, 0.02])


def test_conjunctions_are_queries_for_just_their_images():
    table = pd.DataFrame(
        {"site": ["A", "B"] * 20, "age": np.arange(40.0), "view": list("xyzz") * 10}
    )
    groups = find_subgroups(table, list(table), [f"P{row}" for row in range(40)], 3).groups
    found = list(conjunctions(groups, 2))
    assert len({each.query for each in found}) == len(found)
    assert max(len(each.conditions) for each in found) == 2
    for each in found:
        assert np.array_equal(parse_query(each.query).mask(table), each.inside), each.query


def test_the_calibration_curve_is_that_of_scikit_learn():
    truth, score, _, _ = drawn(500)
    probability = 1 / (1 + np.exp(-score))
    table = calibration_table([("one", truth, probability)])
    observed, predicted = calibration_curve(truth, probability, n_bins=10, strategy="quantile")
    np.testing.assert_allclose(table["observed"], observed)
    np.testing.assert_allclose(table["mean_probability"], predicted)
    assert table["images"].sum() == 500
    for row in table.itertuples():
        count = round(row.observed * row.images)
        wilson = binomtest(count, row.images).proportion_ci(method="wilson")
        assert (row.ci_low, row.ci_high) == pytest.approx(tuple(wilson), abs=1e-6)


def test_the_table_of_thresholds_is_the_confusion_matrix():
    truth, score, _, _ = drawn()
    probability = 1 / (1 + np.exp(-score))
    table = threshold_table([("one", truth, probability)])
    for row in table.itertuples():
        tn, fp, fn, tp = confusion_matrix(truth, probability >= row.threshold).ravel()
        assert (row.tn, row.fp, row.fn, row.tp) == (tn, fp, fn, tp)
        assert row.sensitivity == pytest.approx(tp / (tp + fn))
        assert row.specificity == pytest.approx(tn / (tn + fp))
    assert np.isnan(threshold_table([("none", truth & False, probability)])["sensitivity"]).all()
