"""What cannot be told of too few patients is said, also of what was read from a file."""

import math

import numpy as np
import pytest

from napari_globalxai.faithfulness.numbers_in_words import in_interval
from napari_globalxai.faithfulness.verdict.outside_share import outside_sentence
from napari_globalxai.faithfulness.verdict.verdicts import (
    FAITHFUL,
    FAITHFUL_INSIDE,
    FAITHFUL_WITH_A_CAUTION,
    WELL_PLACED,
    Evidence,
    Lead,
    is_faithful,
    judge,
)
from napari_globalxai.plain_text import numeral
from napari_globalxai.runs.performance import measure_performance

NAN = math.nan


@pytest.mark.parametrize("ends", [(None, None), (NAN, NAN), (0.1, None), (NAN, 0.2)])
def test_no_interval_is_no_number(ends):
    assert in_interval(*ends) == "no interval, of too few patients"
    sentence = outside_sentence(
        {
            "area_share": 0.2,
            "auc_intact": 0.9,
            "auc_erased": 0.8,
            "auc_change": -0.1,
            "auc_change_ci": [-0.2, -0.05],
            "logit_change": 0.5,
            "logit_change_ci": list(ends),
        }
    )
    assert "(change −0.100, 95 % interval −0.200 to −0.050)" in sentence
    assert sentence.endswith("by 0.50 (no interval, of too few patients)")


@pytest.mark.parametrize(
    ("value", "form", "text"),
    [
        (-0.0412, ".3f", "−0.041"), (-0.0001, ".3f", "0.000"), (-0.001, "+.2f", "0.00"),
        (0.5, "+.2f", "+0.50"), (2e-7, ".2g", "2e−07"), (-12, "d", "−12"), (-0.0, "g", "0"),
        (NAN, ".3f", "nan"), (-math.inf, ".3f", "−inf"),
    ],
)  # fmt: skip
def test_people_read_a_minus_where_there_is_one(value, form, text):
    assert numeral(value, form) == text


def test_a_verdict_has_no_hyphen_before_a_number():
    lead = Lead("random", -0.0011, -0.2, -0.0004)
    assert str(lead) == "random, −0.001 (−0.200 to 0.000)"
    evidence = Evidence(30, 30, 0.8, -0.01, -0.02, judged=-0.003, controls=99, up_to=0.2)
    said = judge(evidence, 10)
    assert "Δ = −0.010" in said.reason
    assert "begins at −0.020" in said.reason


def test_the_performance_on_one_patient_has_no_interval():
    truth, scores = np.array([[[1.0], [0.0], [0.0]], [[0.3], [0.1], [0.2]]])
    (found,) = measure_performance(["A"], truth, scores, ["P"] * 3)
    assert str(found) == "A: ROC AUC 1.000 (no interval: too few patients; 1 with, 2 without)"


@pytest.mark.parametrize(
    ("word", "is_so"),
    [
        (FAITHFUL, True),
        (FAITHFUL_WITH_A_CAUTION, True),
        # Of version 0.1.
        ("faithful", True),
        ("faithful, with a caution", True),
        (FAITHFUL_INSIDE, False),
        (f"{WELL_PLACED} map of random weights", False),
        ("not faithful", False),
    ],
)
def test_what_is_counted_as_faithful(word, is_so):
    assert is_faithful(word) == is_so
