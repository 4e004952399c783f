"""The search for differences between subgroups: oracles, error rate and power."""

import numpy as np
import pandas as pd
import pytest
from scipy.stats import permutation_test
from sklearn.metrics import roc_auc_score

from napari_globalxai.statistics.map_search import (
    Shuffles,
    compare_sides,
    corrected,
    exchanged,
    split_sides,
)
from napari_globalxai.statistics.query import parse_query
from napari_globalxai.statistics.subgroups import find_subgroups


def shuffles(patients, permutations=199, seed=0):
    return Shuffles(patients, permutations, np.random.default_rng(seed))


def compare(values, inside, owner, permutations=199, seed=0):
    sides = split_sides(values, inside, owner)
    return compare_sides(sides, shuffles(int(owner.max()) + 1, permutations, seed))


def test_superiority_is_the_auc_of_a_place():
    generator = np.random.default_rng(0)
    values, inside = generator.integers(0, 6, (40, 3)).astype(float), np.arange(40) % 3 == 0
    found = compare(values, inside, np.arange(40))
    expected = [roc_auc_score(inside, values[:, column]) for column in range(3)]
    np.testing.assert_allclose(found.superiority, expected, atol=1e-6)
    assert (found.patients_inside, found.patients_outside) == (14, 26)


def test_p_is_that_of_scipys_permutations():
    generator = np.random.default_rng(2)
    values, inside = generator.random((30, 1)), np.arange(30) < 12
    values[inside] += 0.25
    found = compare(values, inside, np.arange(30), 9999)
    ranked = pd.Series(values[:, 0]).rank().to_numpy()
    expected = permutation_test(
        (ranked[inside], ranked[~inside]),
        lambda a, b, axis: a.mean(axis=axis) - b.mean(axis=axis),
        vectorized=True, n_resamples=9999, rng=np.random.default_rng(0),
    ).pvalue  # fmt: skip
    assert corrected(found.statistic, found.highest)[0] == pytest.approx(expected, abs=0.02)


def test_patients_are_the_unit():
    """Each image listed twice: no statistic grows, no p falls."""
    generator = np.random.default_rng(1)
    values, owner = generator.random((60, 4)), np.arange(60) // 2
    inside = generator.random(60) < 0.5
    once = compare(values, inside, owner)
    twice = compare(np.repeat(values, 2, 0), np.repeat(inside, 2), np.repeat(owner, 2))
    np.testing.assert_allclose(twice.statistic, once.statistic, rtol=1e-6)
    np.testing.assert_allclose(twice.highest, once.highest, rtol=1e-6)


def test_what_is_exchangeable_is_exchanged():
    owner = np.array([0, 1, 2, 3, 4, 4, 5, 5])
    inside = np.array([1, 1, 0, 0, 1, 0, 1, 0], bool)
    sides = split_sides(np.arange(8.0)[:, None], inside, owner)
    drawn = exchanged(sides, shuffles(6, 400))
    assert (drawn[0] == sides.inside).all()
    assert (drawn.sum(axis=1) == 4).all()
    alone, both = sides.partner < 0, np.flatnonzero(sides.partner >= 0)
    assert (drawn[:, alone].sum(axis=1) == 2).all()
    assert (drawn[:, both] != drawn[:, sides.partner[both]]).all()
    # Everything happens about as often as it should.
    np.testing.assert_allclose(drawn[1:].mean(axis=0), 0.5, atol=0.1)


def false_findings(draw, runs=300):
    """How often the corrected p over several comparisons of noise reaches 5 %."""
    count = 0
    for seed in range(runs):
        generator = np.random.default_rng(seed)
        owner = np.arange(50) // 2
        values = generator.gamma(1, 1, (25, 12))[owner] + generator.gamma(1, 1, (50, 12))
        shared = shuffles(25, 99, seed)
        found = [
            compare_sides(split_sides(values, draw(generator, owner), owner), shared)
            for _ in range(3)
        ]
        highest = np.max([each.highest for each in found], axis=0)
        count += any((corrected(each.statistic, highest) <= 0.05).any() for each in found)
    return count


@pytest.mark.parametrize("of_patients", [True, False])
def test_the_error_rate_holds_with_several_images_a_patient(of_patients):
    def draw(generator, owner):
        while True:
            inside = generator.random(25)[owner] < 0.4
            if not of_patients:
                inside = generator.random(50) < 0.4
            if 4 <= inside.sum() <= 40:
                return inside

    # 5 % of 300 is 15, three SDs above it are 26; fewer than 3 would be a test that finds nothing.
    assert 3 <= false_findings(draw) <= 26


def test_a_planted_difference_is_found():
    found = 0
    for seed in range(20):
        generator = np.random.default_rng(seed)
        values, inside = generator.random((60, 50)), np.arange(60) % 2 == 0
        values[inside, 7] += 0.5
        result = compare(values, inside, np.arange(60), 199, seed)
        p = corrected(result.statistic, result.highest)
        found += p[7] <= 0.05 and int(np.nanargmin(p)) == 7
    assert found >= 19


def test_a_place_where_all_maps_are_the_same_says_nothing():
    values = np.random.default_rng(0).random((20, 2))
    values[:, 1] = 0.25
    result = compare(values, np.arange(20) < 8, np.arange(20))
    assert np.isnan(corrected(result.statistic, result.highest)[1])
    assert result.superiority[1] == 0.5


TABLE = pd.DataFrame(
    {
        "site name": ["A", "B", "B", None] * 8,
        "mark": [0, 1, 1, 0] * 8,
        "age": np.arange(32) % 11 + 0.5,
        "three": ["x", "y", "z", "z"] * 8,
        "gaps": ["u", "v", "w", None] * 8,
        "same": ["n", "m", "m", "n"] * 8,
        "constant": ["c"] * 32,
        "number": [f"n{row}" for row in range(32)],
        "flag": [True, False, True, False] * 8,
    }
)


def test_each_subgroup_is_a_query_for_just_its_images():
    found = find_subgroups(TABLE, list(TABLE), [f"P{row}" for row in range(32)], 4)
    assert {each.column for each in found.groups} == {
        "site name",
        "mark",
        "age",
        "three",
        "gaps",
        "flag",
    }
    for each in found.groups:
        assert np.array_equal(parse_query(each.query).mask(TABLE), each.inside), each.query
        turned = each.turned()
        rest = parse_query(turned.query).mask(TABLE)
        assert np.array_equal(rest, turned.inside), turned.query
    queries = [each.query for each in found.groups]
    assert "`site name` == 'B'" in queries
    assert "mark == 1" in queries
    assert [query for query in queries if "three" in query] == [
        "three == 'x'", "three == 'y'", "three == 'z'"
    ]  # fmt: skip


def test_a_column_with_a_backtick_is_searched():
    table = TABLE.rename(columns={"mark": "o`clock", "age": "`"})
    found = find_subgroups(table, ["o`clock", "`"], [f"P{row}" for row in range(32)], 4)
    assert {each.column for each in found.groups} == {"o`clock", "`"}
    assert found.left_out == {}
    for each in found.groups:
        assert np.array_equal(parse_query(each.query).mask(table), each.inside), each.query


def test_what_is_not_searched_is_said():
    found = find_subgroups(TABLE, list(TABLE), [f"P{row}" for row in range(32)], 4)
    assert found.left_out["constant"] == "has one value only"
    assert "32 values" in found.left_out["number"]
    (mark,) = [each for each in found.groups if each.column == "mark"]
    assert mark.same_as == ("same",)
    few = find_subgroups(TABLE, ["mark"], ["P"] * 32, 4)
    assert few.groups == ()
    assert "4 patients" in few.left_out["mark"]
