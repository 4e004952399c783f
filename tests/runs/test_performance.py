"""Performance is told wherever there are predictions; it exposes what a model was fed."""

from __future__ import annotations

import csv
import tracemalloc

import numpy as np
import pytest
import tiny
from sklearn.metrics import average_precision_score, roc_auc_score

import napari_globalxai as gx
from napari_globalxai.faithfulness.scores.auc_scores import log_odds
from napari_globalxai.models.card.model_card import ModelCard
from napari_globalxai.models.classifier import Classifier
from napari_globalxai.runs.inputs.check import check_inputs
from napari_globalxai.runs.performance import arg_max_warning, measure_performance


def sample(count=200, labels=3, seed=0):
    rng = np.random.default_rng(seed)
    truth = np.eye(labels)[rng.integers(0, labels, count)]
    logits = truth * 2 + rng.normal(0, 1.5, (count, labels))
    return truth, logits, [f"P{row // 2}" for row in range(count)]


def test_numbers_are_those_of_scikit_learn():
    truth, logits, patients = sample()
    truth[:5, 1], logits[5:8, 1] = np.nan, np.nan
    for index, found in enumerate(measure_performance("abc", truth, logits, patients)):
        known = np.isfinite(truth[:, index]) & np.isfinite(logits[:, index])
        answer, score = truth[known, index], logits[known, index]
        assert found.roc_auc == pytest.approx(roc_auc_score(answer, score))
        assert found.average_precision == pytest.approx(average_precision_score(answer, score))
        assert (found.positives, found.negatives) == (answer.sum(), (1 - answer).sum())
        assert found.ci_low < found.roc_auc < found.ci_high
        assert not found.warning
    assert measure_performance("abc", truth, logits, patients)[1].unknown == 5


def test_the_interval_is_of_patients_not_of_images():
    truth, logits, _ = sample(100, 2)
    alone = measure_performance("ab", truth, logits, [f"P{row}" for row in range(100)])
    # Each image listed twice, of the same patient: no interval may shrink.
    twice = measure_performance(
        "ab",
        np.repeat(truth, 2, 0),
        np.repeat(logits, 2, 0),
        [f"P{row // 2}" for row in range(200)],
    )
    for one, two in zip(alone, twice, strict=True):
        assert two.roc_auc == pytest.approx(one.roc_auc)
        assert two.ci_high - two.ci_low == pytest.approx(one.ci_high - one.ci_low, rel=0.15)


def test_one_class_only_gives_no_number():
    (found,) = measure_performance(["a"], np.ones((4, 1)), np.arange(4.0)[:, None], list("wxyz"))
    assert np.isnan(found.roc_auc)
    assert str(found) == "a: no ROC AUC (4 with, 0 without)"
    assert not found.warning


def test_below_chance_is_said_plainly():
    truth, logits, patients = sample()
    found = measure_performance("abc", truth, -logits, patients)
    assert all("is below chance; is the model fed" in each.warning for each in found)


def test_an_arg_max_at_chance_is_said_plainly():
    truth, logits, _ = sample(300, 5)
    assert arg_max_warning("abcde", truth, logits) == ""
    assert "chance is 20 %" in arg_max_warning("abcde", truth, np.roll(logits, 1, axis=1))
    # A rare label counts as much as a frequent one: answering the frequent one is no skill.
    often = np.eye(2)[(np.arange(100) < 4).astype(int)]
    assert "chance is 50 %" in arg_max_warning("ab", often, np.tile([1.0, 0.0], (100, 1)))


def test_log_odds_do_not_tie_where_probabilities_do():
    rng = np.random.default_rng(1)
    truth = rng.integers(0, 2, 400)
    score = truth * 2 + rng.normal(0, 1, 400)
    # A gap of 60 between the labels' logits: the probabilities of a softmax are 0 and 1.
    logits = np.stack([-30 * score, 30 * score], axis=1)
    probability = np.exp(logits - logits.max(axis=1, keepdims=True))
    probability /= probability.sum(axis=1, keepdims=True)
    expected = roc_auc_score(truth, score)
    assert roc_auc_score(truth, log_odds(logits, "softmax")[:, 1]) == pytest.approx(expected)
    assert roc_auc_score(truth, probability[:, 1]) < expected - 0.005
    three = rng.normal(0, 3, (50, 3))
    shares = np.exp(three) / np.exp(three).sum(axis=1, keepdims=True)
    np.testing.assert_allclose(log_odds(three, "softmax"), np.log(shares / (1 - shares)))
    np.testing.assert_array_equal(log_odds(three, "sigmoid"), three)


def test_images_that_failed_have_no_log_odds_and_warn_of_nothing():
    logits = np.array([[1.0, 2.0, 3.0], [np.nan] * 3])
    found = log_odds(logits, "softmax")
    np.testing.assert_array_equal(np.isnan(found), np.isnan(logits))


@pytest.fixture(scope="module")
def table(tmp_path_factory):
    return tiny.write_cohort(tmp_path_factory.mktemp("cohort") / "cohort")


def fed(weight):
    card = ModelCard(weights="none", labels=tiny.LABELS, input=tiny.input_card())
    return Classifier(tiny.LinearNet(weight), card, device="cpu")


def test_explain_writes_and_carries_it(table, tmp_path):
    run = gx.explain(table, fed(tiny.sign_weights()), tmp_path / "run", "saliency")
    with (run.folder / "performance.csv").open(newline="") as stream:
        rows = list(csv.DictReader(stream))
    assert list(rows[0]) == [
        *("label", "positives", "negatives", "unknown"),
        *("roc_auc", "ci_low", "ci_high", "average_precision"),
    ]
    for row, index in zip(rows, (0, 1), strict=True):
        truth, logit = run.truth(tiny.LABELS)[:, index], run.images[f"logit_{row['label']}"]
        assert float(row["roc_auc"]) == pytest.approx(roc_auc_score(truth, logit))
    assert [each.label for each in gx.open_run(run.folder).performance] == list(tiny.LABELS)
    assert not any("chance" in warning for warning in run.record.warnings)


@pytest.mark.parametrize("fault", ["labels exchanged", "upside down in brightness"])
def test_a_fault_of_the_input_is_warned_of(table, tmp_path, fault):
    weight = tiny.sign_weights()
    wrong = -weight if "brightness" in fault else weight
    labels = tiny.LABELS
    model = fed(wrong)
    if fault == "labels exchanged":
        # The signs are independent of each other: an exchange brings chance, not less.
        model = fed(weight - weight.flip(0) * 3)
        labels = labels[:1]
    run = gx.explain(table, model, tmp_path / "run", "saliency")
    said = [warning for warning in run.record.warnings if "below chance" in warning]
    assert len(said) >= len(labels) - 1
    found = check_inputs(gx.read_cohort(table), fed(-weight))
    assert sum("below chance" in problem for problem in found.problems) == 2


def test_check_tells_what_explain_would(table, tmp_path):
    model = fed(tiny.sign_weights())
    found = check_inputs(gx.read_cohort(table), model)
    run = gx.explain(table, model, tmp_path / "run", "saliency")
    assert [str(each) for each in found.performance] == [str(each) for each in run.performance]
    assert all(str(each) in found.facts for each in run.performance)


def test_memory_for_an_interval_is_small_for_each_image():
    """A weight of each image in each resample would be 8 kB an image."""
    size = 4000
    rng = np.random.default_rng(0)
    truth = (rng.random((size, 1)) < 0.3).astype(float)
    patients = [f"P{row // 2}" for row in range(size)]
    tracemalloc.start()
    try:
        measure_performance(["AMD"], truth, rng.normal(size=(size, 1)), patients)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 7500 * size
