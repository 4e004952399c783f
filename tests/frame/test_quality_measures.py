"""Measures of quality, held against slow second computations."""

import itertools

import numpy as np
import pandas as pd
import pytest
import tiny

from napari_globalxai.errors import Cancelled
from napari_globalxai.frame.quality_measures import (
    MEASURES,
    comparable_detail,
    measure_quality,
    measure_sides,
    modified_z_scores,
    score_outliers,
)


@pytest.fixture
def pictures():
    """Nine noisy images that share a pattern, with fields of different size."""
    rng = np.random.default_rng(5)
    shared = rng.normal(0, 30, (1, 2, 40, 60))
    images = np.clip(110 + shared + rng.normal(0, 30, (9, 2, 40, 60)), 0, 255).astype(np.uint8)
    fields = np.ones((9, 40, 60), bool)
    for index in range(9):
        fields[index, :, :index] = False
    images[~np.repeat(fields[:, None], 2, axis=1)] = 0
    return images, fields


def test_mean_spread_and_coverage(pictures, tmp_path):
    images, fields = pictures
    rows = [0, 2, 3, 4, 5, 8]
    found = measure_quality(tiny.make_stack(tmp_path / "s", images, fields), rows)
    np.testing.assert_allclose(found.mean, images[rows].mean(axis=0), rtol=1e-6)
    np.testing.assert_allclose(found.sd, images[rows].std(axis=0), rtol=1e-5, atol=1e-5)
    np.testing.assert_allclose(found.coverage, fields[rows].mean(axis=0), rtol=1e-6)
    assert list(found.measures.index) == rows


def test_sharpness_is_the_mean_product_of_two_images_over_that_of_one(pictures, tmp_path):
    images, fields = pictures
    stack = tiny.make_stack(tmp_path / "s", images, fields)
    found = measure_quality(stack, range(9))
    details = [
        comparable_detail(image[stack.channels.index("green")], field)
        for image, field in zip(images, fields, strict=True)
    ]
    seen = np.sum([detail.inside for detail in details], axis=0)
    pairs, singles = np.zeros(seen.shape), np.zeros(seen.shape)
    for first, second in itertools.permutations(details, 2):
        pairs += first.values.astype(float) * second.values
    for detail in details:
        singles += detail.values.astype(float) ** 2
    where = seen >= 4.5
    expected = (pairs[where] / (seen * (seen - 1))[where]).mean() / (
        singles[where] / seen[where]
    ).mean()
    assert found.sharpness == pytest.approx(expected, rel=1e-9)
    assert 0.3 < found.sharpness < 0.7  # half of the variance is shared


def test_sharpness_of_equal_and_of_unrelated_images(tmp_path):
    rng = np.random.default_rng(0)
    one = rng.integers(20, 235, (1, 2, 40, 60), dtype=np.uint8)
    equal = tiny.make_stack(tmp_path / "equal", np.repeat(one, 6, axis=0))
    assert measure_quality(equal, range(6)).sharpness == pytest.approx(1, abs=1e-6)
    noise = rng.integers(20, 235, (40, 2, 40, 60), dtype=np.uint8)
    unrelated = tiny.make_stack(tmp_path / "noise", noise)
    # However few or many images there are.
    assert abs(measure_quality(unrelated, range(40)).sharpness) < 0.01
    assert abs(measure_quality(unrelated, range(4)).sharpness) < 0.03


def test_distance_is_to_the_mean_of_the_others(pictures, tmp_path):
    images, fields = pictures
    stack = tiny.make_stack(tmp_path / "s", images, fields)
    found = measure_quality(stack, range(9)).measures["distance"]
    green = stack.channels.index("green")
    details = [comparable_detail(i[green], f) for i, f in zip(images, fields, strict=True)]
    for row in range(9):
        others = [detail for index, detail in enumerate(details) if index != row]
        count = np.sum([detail.inside for detail in others], axis=0)
        where = details[row].inside & (count >= 4)
        mean = np.sum([detail.values for detail in others], axis=0)[where] / count[where]
        expected = 1 - np.corrcoef(details[row].values[where], mean)[0, 1]
        assert found[row] == pytest.approx(expected, abs=1e-5)


def test_other_measures_of_single_images(pictures, tmp_path):
    images, fields = pictures
    stack = tiny.make_stack(tmp_path / "s", images, fields)
    found = measure_quality(stack, range(9)).measures
    green = images[:, stack.channels.index("green")].astype(float)
    valid = fields.mean(axis=0) >= 0.5
    for row in range(9):
        inside = green[row][fields[row]]
        assert found["brightness"][row] == pytest.approx(inside.mean(), rel=1e-5)
        assert found["contrast"][row] == pytest.approx(inside.std(), rel=1e-4)
        assert found["field_share"][row] == pytest.approx((fields[row] & valid).sum() / valid.sum())


def test_scores_are_robust():
    values = np.array([1.0, 2.0, 3.0, 4.0, 100.0])
    # Median 3, median absolute deviation 1.
    np.testing.assert_allclose(modified_z_scores(values, 0.1), 0.6745 * (values - 3))
    np.testing.assert_allclose(modified_z_scores(values, 10), (values - 3) / 10)
    np.testing.assert_array_equal(modified_z_scores(np.full(4, 7.0), 0.1), 0)
    assert np.isnan(modified_z_scores(np.full(4, np.nan), 0.1)).all()


def test_only_faults_are_scored_and_the_worst_is_named_first():
    table = pd.DataFrame({measure.name: np.full(30, 50.0) for measure in MEASURES})
    table += np.random.default_rng(0).normal(0, 0.5, table.shape) * [
        measure.least_spread for measure in MEASURES
    ]
    table.loc[3, ["brightness", "focus"]] = [20.0, 0.0]
    table.loc[4, "distance"] = 10.0  # unusually like the others
    table.loc[5, "field_share"] = 90.0  # an unusually wide field
    table.loc[6, "distance"] = np.nan
    found = score_outliers(table)
    assert found["outlier_reasons"][3] == "blurred; dark"
    assert not found["outlier_reasons"].drop(3).any()
    assert found["outlier_score"].idxmax() == 3


def test_an_image_without_a_field_of_view_is_an_outlier_not_an_error(tmp_path):
    rng = np.random.default_rng(0)
    images = np.clip(rng.normal(100, 20, (12, 2, 40, 60)), 0, 255).astype(np.uint8)
    fields = np.ones((12, 40, 60), bool)
    images[7], fields[7] = 0, False
    found = measure_quality(tiny.make_stack(tmp_path / "s", images, fields), range(12))
    assert found.outliers.index[0] == 7
    assert "field of view small or hidden" in found.outliers["outlier_reasons"][7]
    assert np.isfinite(found.sharpness)


def test_one_image_alone(tmp_path):
    stack = tiny.make_stack(tmp_path / "s", np.full((1, 2, 40, 60), 90, np.uint8))
    found = measure_quality(stack, [0])
    assert np.isnan(found.sharpness)
    assert np.isnan(found.measures["distance"][0])
    assert len(found.outliers) == 0
    assert measure_sides(stack, [0]) == {}


def test_it_can_be_cancelled(pictures, tmp_path):
    def stop(progress):
        raise Cancelled

    stack = tiny.make_stack(tmp_path / "s", *pictures)
    with pytest.raises(Cancelled):
        measure_quality(stack, range(9), stop)
