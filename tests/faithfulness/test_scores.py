"""Scores, resampling, p-values and verdict words."""

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from napari_globalxai.faithfulness.scores import (
    area,
    patient_resamples,
    roc_auc,
    score,
    weighted_roc_auc,
)
from napari_globalxai.faithfulness.verdict import (
    Evidence,
    control_p_value,
    judge,
    necessary_fraction,
    sufficient_fraction,
)


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
    restored = np.array([0.5, 0.7, 0.89, 0.88, 0.9])  # 95 % of the way to 0.9 is 0.88
    erased = np.array([0.9, 0.75, 0.7, 0.8, 0.5])  # half is lost at 0.7
    assert sufficient_fraction(fractions, restored, 0.9) == 0.3
    assert necessary_fraction(fractions, erased, 0.9) == 0.3
    for intact in (0.5, 0.4, np.nan):
        assert np.isnan(sufficient_fraction(fractions, restored, intact))
        assert np.isnan(necessary_fraction(fractions, erased, intact))


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
    assert control_p_value(delta, controls) == pytest.approx(p)


GOOD = {
    "delta": 0.3,
    "delta_low": 0.1,
    "intact_low": 0.7,
    "p_values": {"random": 0.05, "shifted": 0.05},
    "controls": 19,
    "positives": 10,
    "negatives": 10,
}


@pytest.mark.parametrize(
    ("changes", "word"),
    [
        ({}, "faithful"),
        ({"p_values": {"random": 0.05, "shifted": 0.1}}, "not faithful"),
        ({"p_values": {"random": 0.1, "shifted": 0.05}}, "not faithful"),
        ({"delta_low": 0.0}, "not faithful"),
        ({"delta": -0.2, "delta_low": -0.4}, "not faithful"),
        ({"positives": 9}, "not enough data"),
        ({"negatives": 9}, "not enough data"),
        ({"intact_low": 0.5}, "not enough data"),
        ({"intact_low": float("nan")}, "not enough data"),
        ({"controls": 18}, "not enough data"),
        ({"controls": 0, "p_values": {}}, "not enough data"),
    ],
)
def test_verdict_words(changes, word):
    verdict = judge(Evidence(**{**GOOD, **changes}), fewest=10)
    assert verdict.word == word
    assert verdict.reason
    assert "\n" not in verdict.reason
