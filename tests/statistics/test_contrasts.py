"""Contrasts against scipy, slow loops and what permutations must do."""

import math

import numpy as np
import pytest
from scipy import ndimage, stats

from napari_globalxai.statistics.cluster_enhancement import enhance
from napari_globalxai.statistics.contrasts import (
    AdjustedDifference,
    Arrangements,
    MeanDifference,
    Sides,
    corrected_p,
    mean_by_patient,
    permute,
)

CELLS = 7


def sides(only_first, only_second, both, seed=0, shift=0.0):
    rng = np.random.default_rng(seed)
    level = rng.normal(2, 1, (only_first + only_second + both, 1))
    maps = rng.gamma(2, 1, (len(level), CELLS)) + level
    alone = maps[: only_first + only_second].copy()
    alone[:only_first] += shift
    first, second = maps[only_first + only_second :] + shift, rng.gamma(2, 1, (both, CELLS))
    return Sides(alone, np.arange(len(alone)) < only_first, first, second + level[len(alone) :])


def arranged(given, ways, number):
    """One arrangement, patient by patient."""
    taken = given.alone[np.argsort(ways.order[number])]
    swapped = ways.swapped[number][:, None]
    return (
        taken,
        np.where(swapped, given.second, given.first),
        np.where(swapped, given.first, given.second),
    )


def test_patients_on_one_side_give_welchs_t():
    given = sides(6, 9, 0)
    difference, t = MeanDifference(given).of(Arrangements.as_it_is(given))
    one, other = given.alone[:6], given.alone[6:]
    np.testing.assert_allclose(difference[0], one.mean(0) - other.mean(0))
    np.testing.assert_allclose(t[0], stats.ttest_ind(one, other, equal_var=False).statistic)


def test_patients_on_both_sides_give_the_paired_t():
    given = sides(0, 0, 8)
    difference, t = MeanDifference(given).of(Arrangements.as_it_is(given))
    np.testing.assert_allclose(difference[0], (given.first - given.second).mean(0))
    np.testing.assert_allclose(t[0], stats.ttest_rel(given.first, given.second).statistic)


def slow_t(alone, in_first, first, second):
    """The formula, patient by patient."""
    one = np.concatenate([alone[in_first], first])
    other = np.concatenate([alone[~in_first], second])
    n, m = len(one), len(other)
    variance = 0.0
    own = math.sqrt(n / (n - 1)) / n
    others = math.sqrt(m / (m - 1)) / m
    for row, is_first in zip(alone, in_first, strict=True):
        part = own * (row - one.mean(0)) if is_first else others * (row - other.mean(0))
        variance += part**2
    for a, b in zip(first, second, strict=True):
        variance += (own * (a - one.mean(0)) - others * (b - other.mean(0))) ** 2
    difference = one.mean(0) - other.mean(0)
    return difference, difference / np.sqrt(variance)


@pytest.mark.parametrize("counts", [(5, 7, 4), (6, 5, 0), (0, 0, 6), (4, 0, 5)])
def test_arrangements_equal_a_slow_loop(counts):
    given = sides(*counts)
    (ways,) = Arrangements.draw(given, 20, seed=3)
    found = MeanDifference(given).of(ways)
    for number in range(20):
        expected = slow_t(*_with_sides(given, ways, number))
        for each, due in zip(found, expected, strict=True):
            np.testing.assert_allclose(each[number], due, rtol=1e-8)


def _with_sides(given, ways, number):
    swapped = ways.swapped[number][:, None]
    return (
        given.alone,
        given.in_first[ways.order[number]],
        np.where(swapped, given.second, given.first),
        np.where(swapped, given.first, given.second),
    )


def least_squares(maps, side, nuisance):
    design = np.column_stack([side, nuisance])
    fitted, *_ = np.linalg.lstsq(design, maps, rcond=None)
    rest = maps - design @ fitted
    variance = (rest**2).sum(0) / (len(maps) - np.linalg.matrix_rank(design))
    return fitted[0], fitted[0] / np.sqrt(variance * np.linalg.inv(design.T @ design)[0, 0])


@pytest.mark.parametrize("counts", [(9, 11, 6), (9, 11, 0), (0, 0, 12)])
def test_freedman_and_lane_equal_a_slow_loop(counts):
    """Residuals of the model without sides are exchanged, and the whole model is fitted anew."""
    given = sides(*counts)
    rng = np.random.default_rng(5)
    ages = Sides(
        rng.normal(60, 9, (len(given.alone), 2)),
        given.in_first,
        rng.normal(60, 9, (len(given.first), 2)),
        rng.normal(60, 9, (len(given.first), 2)),
    )
    found = AdjustedDifference(given, ages)
    n = len(given.alone)
    maps = np.concatenate([given.alone, (given.first - given.second) / math.sqrt(2)])
    nuisance = np.concatenate([ages.alone, (ages.first - ages.second) / math.sqrt(2)])
    if n:
        nuisance = np.column_stack([np.arange(len(maps)) < n, nuisance])
    side = np.concatenate([np.where(given.in_first, 0.5, -0.5), np.full(counts[2], 0.5**0.5)])
    beginning = found.of(Arrangements.as_it_is(given))
    for each, due in zip(beginning, least_squares(maps, side, nuisance), strict=True):
        np.testing.assert_allclose(each[0], due, rtol=1e-8)
    fitted, *_ = np.linalg.lstsq(nuisance, maps, rcond=None)
    rest = maps - nuisance @ fitted
    (ways,) = Arrangements.draw(given, 10, seed=2)
    differences, t = found.of(ways)
    for number in range(10):
        signs = np.where(ways.swapped[number], -1.0, 1.0)[:, None]
        exchanged = np.concatenate([rest[:n][np.argsort(ways.order[number])], signs * rest[n:]])
        due = least_squares(nuisance @ fitted + exchanged, side, nuisance)
        np.testing.assert_allclose(differences[number], due[0], rtol=1e-7, atol=1e-9)
        np.testing.assert_allclose(t[number], due[1], rtol=1e-7, atol=1e-9)


def test_all_arrangements_give_the_exact_p():
    """Enough draws come to the share of all arrangements whose greatest t is as large."""
    given = sides(3, 3, 2, shift=1.5)
    comparison = MeanDifference(given)
    maxima = []
    for code in range(2**6):
        dealt = np.array([code >> bit & 1 for bit in range(6)], dtype=bool)
        if dealt.sum() != 3:
            continue
        for swaps in range(4):
            swapped = np.array([swaps & 1, swaps & 2], dtype=bool)[:, None]
            maxima.append(
                np.abs(
                    slow_t(
                        given.alone,
                        dealt,
                        np.where(swapped, given.second, given.first),
                        np.where(swapped, given.first, given.second),
                    )[1]
                ).max()
            )
    assert len(maxima) == given.arrangements == 80
    found = permute(given, comparison, permutations=4000, seed=1)
    t = np.abs(comparison.of(Arrangements.as_it_is(given))[1][0])
    exact = (np.array(maxima)[:, None] >= t * (1 - 1e-9)).mean(0)
    np.testing.assert_allclose(found.p, exact, atol=4 * np.sqrt(0.25 / 4000))


def test_cells_in_which_nothing_varies_are_left_out():
    given = sides(5, 5, 3)
    for each in (given.alone, given.first, given.second):
        each[:, 2] = 0.1
    found = permute(given, MeanDifference(given), permutations=50, seed=0)
    assert found.varies.tolist() == [True, True, False, *[True] * 4]
    assert found.p[2] == 1
    assert found.t[2] == 0
    assert np.isfinite(found.maxima).all()


def test_corrected_p():
    maxima = np.array([1.0, 2.0, 3.0, 4.0])
    assert corrected_p(np.array([0.0, 0.5, 2.0, 3.5, 5.0]), maxima).tolist() == [
        1,
        1,
        0.8,
        0.4,
        0.2,
    ]


def test_each_eye_twice_changes_nothing():
    rng = np.random.default_rng(0)
    patients = [f"P{number % 9}" for number in range(20)]
    maps = rng.normal(size=(20, CELLS))
    once = mean_by_patient(maps, patients)
    twice = mean_by_patient(np.repeat(maps, 2, axis=0), np.repeat(patients, 2).tolist())
    for name in once:
        np.testing.assert_allclose(once[name], twice[name])
        own = [row for row, each in zip(maps, patients, strict=True) if each == name]
        np.testing.assert_allclose(once[name], np.mean(own, axis=0))


def test_null_cohorts_with_several_images_a_patient_hold_5_per_cent():
    """Sites differ in nothing; some patients were seen at both. See benchmarks for more."""
    rejected, repeats = 0, 200
    for seed in range(repeats):
        rng = np.random.default_rng(seed)
        patient = rng.integers(0, 24, 70)
        site = np.where(rng.random(70) < 0.8, patient % 2, rng.integers(0, 2, 70))
        of_patient = rng.normal(0, 2, (24, CELLS))
        maps = np.maximum(of_patient[patient] + rng.normal(0, 1, (70, CELLS)), 0)
        names = np.char.add("P", patient.astype(str))
        given = Sides.of(
            *(mean_by_patient(maps[site == each], names[site == each].tolist()) for each in (0, 1))
        )
        assert min(len(given.first), len(given.alone)) > 0
        found = permute(given, MeanDifference(given), permutations=99, seed=seed)
        rejected += found.p.min() <= 0.05
    low, high = stats.binom.interval(0.998, repeats, 0.05)
    assert low <= rejected <= high


def slow_enhancement(values, step):
    result = np.zeros_like(values)
    for sign in (1, -1):
        for number in range(1, 1000):
            clusters, count = ndimage.label(sign * values >= number * step)
            for cluster in range(1, count + 1):
                inside = clusters == cluster
                result[inside] += sign * inside.sum() ** 0.5 * (number * step) ** 2 * step
    return result


def test_cluster_enhancement_equals_a_slow_loop():
    maps = ndimage.gaussian_filter(np.random.default_rng(0).normal(size=(4, 6, 8)), (0, 1, 1)) * 5
    found = enhance(maps.reshape(4, -1), (6, 8), 0.05)
    for each, due in zip(found, maps, strict=True):
        np.testing.assert_allclose(each.reshape(6, 8), slow_enhancement(due, 0.05), rtol=1e-9)


def test_enhancement_favours_what_is_broad():
    narrow, broad = np.zeros((6, 8)), np.zeros((6, 8))
    narrow[2, 2] = 3
    broad[2:5, 2:5] = 3
    found = enhance(np.stack([narrow, broad]).reshape(2, -1), (6, 8), 0.03).max(axis=1)
    assert found[1] == pytest.approx(3 * found[0])
    assert found[0] == pytest.approx(3**3 / 3, rel=0.02)


@pytest.mark.parametrize("kind", ["two groups", "paired", "covariates"])
def test_nilearn_gives_the_same(kind):
    """Where its model is the same: sides of one size, or all patients on both."""
    permuted_ols = pytest.importorskip("nilearn.mass_univariate").permuted_ols
    rng = np.random.default_rng(0)
    none, ages = np.zeros((0, CELLS)), rng.normal(size=(24, 2))
    given = sides(0, 0, 14, shift=1.0) if kind == "paired" else sides(12, 12, 0, shift=1.0)
    comparison = MeanDifference(given)
    tested, maps = given.in_first.astype(float)[:, None], given.alone
    if kind == "paired":
        tested, maps = np.ones((14, 1)), given.first - given.second
    if kind == "covariates":
        empty = none[:, :2]
        comparison = AdjustedDifference(given, Sides(ages, given.in_first, empty, empty))
    found = permute(given, comparison, permutations=1000, seed=0)
    due = permuted_ols(
        tested,
        maps,
        confounding_vars=ages if kind == "covariates" else None,
        model_intercept=kind != "paired",
        n_perm=1000,
        random_state=1,
        output_type="dict",
    )
    np.testing.assert_allclose(found.t, due["t"][0], rtol=1e-9)
    np.testing.assert_allclose(found.p, 10 ** -due["logp_max_t"][0], atol=0.08)
