"""Scores, resampling, p-values and verdict words."""

import numpy as np
import pytest
from scipy import optimize, stats
from scipy.stats import beta, binom, norm
from sklearn.metrics import average_precision_score, roc_auc_score

from napari_globalxai.faithfulness.orders.sequential import (
    Count,
    clopper_pearson,
    exceedances,
    fewest_draws,
    holm,
    lies_far,
)
from napari_globalxai.faithfulness.scores.auc_scores import (
    area,
    early_area,
    patient_resamples,
    roc_auc,
    score,
    weighted_average_precision,
    weighted_roc_auc,
)
from napari_globalxai.faithfulness.scores.crossings import (
    crossing,
    necessary_fraction,
    sufficient_fraction,
)
from napari_globalxai.faithfulness.scores.intervals import (
    Resamples,
    auc_interval,
    jackknife_error,
    mean_interval,
    plain_interval,
    plain_p,
    share_interval,
)
from napari_globalxai.faithfulness.scores.left_out_patients import auc_without_each
from napari_globalxai.faithfulness.verdict.verdicts import Evidence, Lead, judge


@pytest.mark.parametrize("ties", [False, True])
def test_weighted_auc_equals_scikit_learn(ties):
    rng = np.random.default_rng(0)
    truth = rng.random(60) < 0.3
    scores = rng.normal(size=60) + truth
    if ties:
        scores = np.round(scores)
    weights = rng.integers(0, 4, (25, 60)).astype(float)
    expected = [roc_auc_score(truth, scores, sample_weight=row) for row in weights]
    np.testing.assert_allclose(weighted_roc_auc(truth, scores, weights), expected, rtol=1e-12)
    assert roc_auc(truth, scores) == pytest.approx(roc_auc_score(truth, scores))


def test_equal_scores_give_exactly_one_half():
    rng = np.random.default_rng(0)
    truth = rng.random(37) < 0.4
    weights = rng.integers(1, 9, (50, 37)).astype(float)
    assert (weighted_roc_auc(truth, np.full(37, 0.1), weights) == 0.5).all()


def test_one_class_has_no_auc():
    scores = np.array([0.1, 0.2, 0.3])
    assert np.isnan(roc_auc(np.array([True] * 3), scores))
    truth, weights = np.array([True, False, False]), np.array([[1.0, 0, 0], [1, 1, 0]])
    found = weighted_roc_auc(truth, scores, weights)
    assert np.isnan(found[0])
    assert found[1] == 0


def test_metrics_of_positives():
    truth = np.array([True, False, True])
    probability, logit = np.array([0.2, 0.9, 0.6]), np.array([-2.0, 5.0, 1.0])
    assert score("mean_probability", truth, logit, probability, logit) == pytest.approx(0.4)
    assert score("mean_logit", truth, logit, probability, logit) == pytest.approx(-0.5)


# ---------------------------------------------------------------- patients


def test_resamples_keep_the_images_of_a_patient_together_and_the_strata_whole():
    rng = np.random.default_rng(0)
    patients = [f"P{number}" for number in rng.integers(0, 20, 70)]
    sick = {f"P{number}" for number in range(6)}
    # A patient with any positive image belongs to the positive stratum.
    truth = np.array([patient in sick and rng.random() < 0.6 for patient in patients])
    positive = {patient for patient, value in zip(patients, truth, strict=True) if value}
    weights = patient_resamples(patients, truth, 300, seed=0)
    assert weights.shape == (300, 70)
    assert (weights == np.rint(weights)).all()
    assert (weights >= 0).all()
    drawn = {}
    for patient in sorted(set(patients)):
        columns = weights[:, [place for place, who in enumerate(patients) if who == patient]]
        assert (columns == columns[:, :1]).all()
        drawn[patient] = columns[:, 0]
    for stratum in (positive, set(patients) - positive):
        totals = sum(drawn[patient] for patient in stratum)
        assert (totals == len(stratum)).all()
    everything = np.array([drawn[patient] for patient in sorted(drawn)])
    assert abs(everything.mean() - 1) < 1e-9
    # As drawing with replacement does: about 1/e of the patients are missing.
    assert abs((everything == 0).mean() - np.exp(-1)) < 0.05


def test_resamples_are_seeded():
    patients, truth = ["a", "b", "c", "d"], np.array([True, False, True, False])
    first, second, third = (patient_resamples(patients, truth, 9, seed) for seed in (1, 1, 2))
    assert np.array_equal(first, second)
    assert not np.array_equal(first, third)


def test_intervals_by_patient_are_wider_than_by_image():
    """Ten equal images of a patient are one observation."""
    rng = np.random.default_rng(0)
    truth = np.repeat(np.arange(20) % 2 == 0, 10)
    scores = np.repeat(rng.normal(size=20), 10) + truth
    by_patient = patient_resamples([f"P{n // 10}" for n in range(200)], truth, 400, 0)
    by_image = patient_resamples([f"P{n}" for n in range(200)], truth, 400, 0)
    spread = [weighted_roc_auc(truth, scores, weights).std() for weights in (by_patient, by_image)]
    assert spread[0] > 2 * spread[1]


# ---------------------------------------------------------------- areas, fractions, p


def test_area_by_hand():
    fractions = np.array([0, 0.1, 0.5, 1])
    assert area(fractions, np.array([1, 0.8, 0.6, 0.5])) == pytest.approx(
        0.1 * 0.9 + 0.4 * 0.7 + 0.5 * 0.55
    )
    assert area(fractions, np.array([fractions, 1 - fractions])) == pytest.approx([0.5, 0.5])


def test_fractions_by_hand():
    fractions = np.array([0, 0.1, 0.3, 0.6, 1])
    restored = np.array([0.5, 0.7, 0.89, 0.87, 0.9])  # 95 % of the way to 0.9 is 0.88
    erased = np.array([0.9, 0.75, 0.6, 0.7, 0.5])  # half is lost at 0.7
    # The nearest curves that only rise or fall have 0.88 twice, and 0.65 twice.
    assert sufficient_fraction(fractions, restored, 0.9) == pytest.approx(0.3)
    assert necessary_fraction(fractions, erased, 0.9) == pytest.approx(0.1 + 0.2 * 0.05 / 0.1)
    assert sufficient_fraction(fractions, 0.5 + 0.4 * fractions, 0.9) == pytest.approx(0.95)
    for intact in (0.5, 0.4, np.nan):
        assert np.isnan(sufficient_fraction(fractions, restored, intact))
        assert np.isnan(necessary_fraction(fractions, erased, intact))
    assert np.isnan(crossing(fractions, restored, 0.95))


def test_early_area_by_hand():
    fractions, values = np.array([0, 0.1, 0.3, 1]), np.array([0, 1, 0, 5.0])
    assert early_area(fractions, values, 0.2) == pytest.approx(0.05 + 0.1 * 0.75)
    assert early_area(fractions, values, 0.3) == pytest.approx(0.05 + 0.1)
    assert early_area(fractions, values, 1) == pytest.approx(area(fractions, values))


def test_weighted_average_precision_equals_scikit_learn():
    rng = np.random.default_rng(0)
    truth = rng.random(60) < 0.3
    scores = np.round(rng.normal(size=60) + truth, 1)
    weights = rng.integers(0, 4, (25, 60)).astype(float)
    expected = [average_precision_score(truth, scores, sample_weight=row) for row in weights]
    found = weighted_average_precision(truth, scores, weights)
    np.testing.assert_allclose(found, expected, rtol=1e-12)


# ---------------------------------------------------------------- intervals


def test_intervals_of_a_mean_are_students():
    """One image a patient: leaving one out gives the textbook's standard error."""
    rng = np.random.default_rng(0)
    values, truth = rng.normal(size=30), np.arange(30) % 2 == 0
    resamples = Resamples.of([f"P{n:02}" for n in range(30)], truth, 50, 0)
    means = resamples.weights @ values / resamples.weights.sum(axis=1)
    low, high = resamples.interval(means)
    error = values.std(ddof=1) / np.sqrt(30)
    assert (high - low) / (2 * error) == pytest.approx(2.1447866879)  # t with 14 degrees
    assert (high + low) / 2 == pytest.approx(values.mean())


def test_the_interval_of_a_plain_share_is_wilsons():
    """One image a patient: the jackknife's error of a mean is √(p(1−p)/(n−1)), so n − 1 cases."""
    right = np.arange(200) < 130
    left_out = (right.sum() - right) / 199
    low, high = share_interval(0.65, left_out, 100, 200)
    wilson = proportion_by_score(0.65, 199, stats.t.ppf(0.975, 99))
    assert [low, high] == pytest.approx(wilson, abs=1e-12)


def proportion_by_score(share, cases, quantile):
    """Where a share's distance from what was seen is as many standard errors, by root finding."""

    def distance(expected):
        return abs(expected - share) - quantile * np.sqrt(expected * (1 - expected) / cases)

    return [optimize.brentq(distance, *between) for between in ((0, share), (share, 1))]


def test_where_all_is_right_or_wrong_patients_are_few_all_the_same():
    """Wilson's interval of n out of n begins at n / (n + t²)."""
    due = 10 / (10 + stats.t.ppf(0.975, 9) ** 2)
    assert share_interval(1.0, np.ones(40), 10, 40).tolist() == pytest.approx([due, 1])
    assert share_interval(0.0, np.zeros(40), 10, 40).tolist() == pytest.approx([0, 1 - due])


def test_one_miss_leaves_no_more_certainty_than_its_patients_give():
    """Of 12 000 pairs one is the wrong way round: that is not one error in 12 000 patients."""
    truth = np.arange(220) < 100
    scores = np.where(truth, 2.0, 1.0) + np.arange(220) / 1000
    scores[0] = 1.219
    patients = [f"P{n:03}" for n in range(220)]
    assert 1 - 1e-4 < weighted_roc_auc(truth, scores, np.ones((1, 220)))[0] < 1
    low, high = auc_interval(truth, scores, patients)
    assert 0.95 < low < 0.985
    assert high <= 1


@pytest.mark.parametrize(
    ("distance", "missed"), [(0.8, 0), (2.0, 0), (3.5, 0), (6.0, 0), (6.0, 0.05)]
)
def test_intervals_of_auc_hold_the_truth(distance, missed):
    """Also near 1, where percentiles of a bootstrap hold it in a third of the cases or none."""
    patients, held = 40, 0
    rng = np.random.default_rng(3)
    due = (1 - missed) * stats.norm.cdf(distance / np.sqrt(2)) + missed / 2
    owners = np.repeat([f"P{n:02}" for n in range(patients)], 2)
    for _ in range(200):
        carries = np.repeat(np.arange(patients) < 12, 2)
        seen = carries & np.repeat(rng.random(patients) >= missed, 2)
        common = np.repeat(rng.normal(0, np.sqrt(0.6), patients), 2)
        scores = distance * seen + common + rng.normal(0, np.sqrt(0.4), 2 * patients)
        low, high = auc_interval(carries, scores, owners)
        held += low <= due <= high
    # The binomial's 0.1 % quantile of 200 draws at 0.95 is 0.895.
    assert held / 200 >= 0.895


def test_the_interval_of_a_mean_is_that_of_a_t_test_over_patients():
    values = np.random.default_rng(4).normal(0.3, 1, 12)
    names = [f"P{n}" for n in range(12)]
    due = stats.ttest_1samp(values, 0).confidence_interval()
    assert mean_interval(values, names).tolist() == pytest.approx([due.low, due.high])
    again = mean_interval(np.repeat(values, 3), np.repeat(names, 3))
    assert again.tolist() == pytest.approx([due.low, due.high])
    assert np.isnan(mean_interval(values, ["P0"] * 12)).all()


def test_the_p_of_a_difference_is_that_of_a_t_test_and_agrees_with_its_interval():
    for seed, shift in enumerate((0, 0.3, 0.6, 0.9, 2)):
        values = np.random.default_rng(seed).normal(shift, 1, 15)
        left_out = (values.sum() - values) / 14
        p = plain_p(values.mean(), left_out, 15)
        assert p == pytest.approx(stats.ttest_1samp(values, 0).pvalue)
        low, high = plain_interval(values.mean(), left_out, 15)
        assert (p < 0.05) == (not low <= 0 <= high)
    assert plain_p(0.0, np.zeros(5), 5) == 1
    assert plain_p(0.1, np.full(5, 0.1), 5) == 0
    assert plain_p(0.1, np.array([0.1, np.nan]), 2) == 1


def test_groups_of_patients_give_the_error_that_single_ones_do():
    rng = np.random.default_rng(2)
    truth = rng.random(3000) < 0.2
    scores = rng.normal(size=3000) + 1.5 * truth
    patients = [f"P{n:04}" for n in range(3000)]
    resamples = Resamples.of(patients, truth, 20, 0)
    assert len(resamples.weights) == 1 + 20 + 500
    assert (resamples.weights[21:].sum(axis=0) == 499).all()
    of_groups = jackknife_error(weighted_roc_auc(truth, scores, resamples.weights)[21:])
    single = jackknife_error(auc_without_each(truth, scores, np.arange(3000), 3000)[1:])
    assert of_groups == pytest.approx(single, rel=0.1)


@pytest.mark.parametrize("scale", ["plain", "share", "average", "crossing"])
def test_intervals_hold_their_estimate_and_no_doubt_is_no_width(scale):
    rng = np.random.default_rng(1)
    truth = np.arange(40) % 3 == 0
    resamples = Resamples.of([f"P{n:02}" for n in range(40)], truth, 100, 0)
    auc = weighted_roc_auc(truth, rng.normal(size=40) + 2 * truth, resamples.weights)
    low, high = resamples.interval(auc, scale)
    assert low < auc[0] < high
    assert scale == "plain" or high <= 1
    assert resamples.interval(np.full(len(auc), 0.5), scale).tolist() == [0.5, 0.5]


# ---------------------------------------------------------------- p


@pytest.mark.parametrize(
    ("delta", "controls", "p"),
    [
        (0.5, [0.1] * 19, 1 / 20),
        (0.5, [0.1] * 18 + [0.5], 2 / 20),  # as good counts against the map
        (0.5, [0.9] * 19, 1.0),
        (0.5, [], 1.0),
        (-0.5, [-0.9, -0.1, 0.3], 3 / 4),
    ],
)
def test_p_values(delta, controls, p):
    values = np.array(controls, float)[:, None]
    (reached,) = exceedances(np.array([delta]), values, together=False)
    assert Count(int(reached), len(controls)).p == pytest.approx(p)


def test_the_largest_of_several_labels_counts():
    rng = np.random.default_rng(0)
    own, controls = np.array([2.0, 0.2, 1.0]), rng.normal(size=(40, 3)) * [1, 2, 0.5]
    found = exceedances(own, controls, together=True)
    every = [*controls, own]
    middle = np.mean(every, axis=0)
    spread = np.std(every, axis=0)
    for label in range(3):
        score_of_map = (own[label] - middle[label]) / spread[label]
        slow = sum(
            max((row[k] - middle[k]) / spread[k] for k in range(3)) >= score_of_map
            for row in controls
        )
        assert found[label] == slow
    assert (found >= exceedances(own, controls, together=False)).all()


def test_holm_by_hand():
    found = holm(np.array([0.01, 0.04, 0.03, 0.5]))
    assert found.tolist() == pytest.approx([0.04, 0.09, 0.09, 0.5])
    assert holm(np.array([0.6, 0.9])).tolist() == [1.0, 1.0]


@pytest.mark.parametrize(("hits", "draws"), [(0, 72), (3, 40), (40, 40), (0, 0)])
def test_the_interval_of_p_is_exact(hits, draws):
    low, high = clopper_pearson(hits, draws)
    if hits:
        assert binom.sf(hits - 1, draws, low) == pytest.approx(0.025)
        assert low == pytest.approx(beta.ppf(0.025, hits, draws - hits + 1))
    if hits < draws:
        assert binom.cdf(hits, draws, high) == pytest.approx(0.025)
    assert 0 <= low <= high <= 1


def test_how_few_controls_can_decide():
    assert fewest_draws() == 72
    assert Count(0, 72).decision is True
    assert Count(0, 71).decision is None
    assert Count(0, 19).decision is None
    assert Count(9, 24).decision is False
    # Of controls that can all be tested, nothing is left to luck.
    assert Count(0, 19, 19).decision is True
    assert Count(1, 19, 19).decision is False
    assert Count(1, 39, 39).decision is True
    assert Count(0, 10, 39).decision is None
    assert Count(3, 10, 39).decision is False
    assert Count(0, 19, 19).is_exact
    assert not Count(0, 19).is_exact


def test_a_growing_count_decides_alike_in_nearly_all_seeds():
    """What `_judge_by` does, on shares that are known."""
    for share, due in ((0.0, True), (0.015, True), (0.15, False), (0.5, False)):
        words = []
        for seed in range(200):
            hits = np.cumsum(np.random.default_rng(seed).random(480) < share)
            found = [Count(int(hits[n - 1]), n).decision for n in range(24, 481, 24)]
            words.append(next((word for word in found if word is not None), None))
        assert words.count(not due) <= 4
        assert words.count(due) >= 190


# ---------------------------------------------------------------- words

NO_DOUBT = {"shifted": Count(0, 19, 19), "surrogate": Count(0, 72)}
GOOD = {
    "delta": 0.3,
    "delta_low": 0.1,
    "intact_low": 0.7,
    "counts": NO_DOUBT,
    "controls": 19,
    "positives": 10,
    "negatives": 10,
    "leads": (Lead("centre-distance", 0.1, 0.05, 0.15), Lead("sd-image", 0.2, 0.1, 0.3)),
    "mass_outside": 0.02,
}


@pytest.mark.parametrize(
    ("changes", "word"),
    [
        ({}, "faithful and specific to this model"),
        ({"mass_outside": float("nan")}, "faithful and specific to this model"),
        ({"mass_outside": 0.48}, "faithful inside the field of view, untested outside"),
        ({"leads": (Lead("centre-distance", 0.1, -0.01, 0.2),)},
         "well placed, but no better than distance from the centre"),
        ({"leads": (Lead("mean-intensity", 0, 0, 0), Lead("sd-image", 0, 0, 0))},
         "well placed, but no better than mean intensity and the SD image"),
        ({"label_leads": (Lead("map of B", 0, -1, 1),)}, "faithful and specific to this model"),
        ({"counts": {**NO_DOUBT, "shifted": Count(1, 19, 19)}}, "no better than its shifts"),
        ({"counts": {**NO_DOUBT, "surrogate": Count(30, 72)}},
         "no better than its surrogates"),
        ({"counts": {**NO_DOUBT, "surrogate": Count(4, 72)}}, "undecided"),
        ({"counts": {**NO_DOUBT, "surrogate": Count(0, 19)}}, "undecided"),
        ({"corrected": {"shifted": Count(2, 19, 19)}}, "no better than its shifts"),
        ({"delta_low": 0.0}, "undecided"),
        ({"positives": 9}, "not enough data"),
        ({"negatives": 9}, "not enough data"),
        ({"intact_low": 0.5}, "not enough data"),
        ({"intact_low": float("nan")}, "not enough data"),
        ({"controls": 18}, "not enough data"),
        ({"controls": 0, "counts": {}}, "not enough data"),
    ],
)  # fmt: skip
def test_verdict_words(changes, word):
    verdict = judge(Evidence(**{**GOOD, **changes}), fewest=10, on_whom="Tested on us")
    assert verdict.word == word
    assert word.startswith(verdict.kind)
    assert verdict.reason
    assert "\n" not in verdict.reason
    assert verdict.tested.startswith("Tested on us")
    outside = changes.get("mass_outside", 0) == 0.48
    assert ("48 % of the map's mass lie outside" in verdict.tested) == outside
    if word.startswith("faithful"):
        assert "whether it should is for you to judge" in verdict.reason
    assert ("does not beat map of B" in verdict.reason) == ("label_leads" in changes)


@pytest.mark.parametrize(("count", "factor"), [(24, 2.4646), (48, 2.1693)])
def test_the_tolerance_limit_holds_its_share_in_simulations(count, factor):
    rng = np.random.default_rng(0)
    samples = rng.normal(size=(4000, count))
    limits = samples.mean(axis=1) + factor * samples.std(axis=1, ddof=1)
    # How often less than 95 % of all lie below it: 2.5 %, within three standard errors.
    short = (norm.cdf(limits) < 0.95).mean()
    assert abs(short - 0.025) < 3 * np.sqrt(0.025 * 0.975 / 4000)
    sample = samples[0]
    limit = sample.mean() + factor * sample.std(ddof=1)
    assert lies_far(limit + 0.01, sample)
    assert not lies_far(limit - 0.01, sample)
    assert not lies_far(1e9, sample[:19])


def test_a_map_far_above_its_controls_is_settled_unless_one_did_as_well():
    assert Count(0, 24).decision is None
    assert Count(0, 24, is_far=True).decision is True
    assert Count(1, 24, is_far=True).decision is None
