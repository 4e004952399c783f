"""Median and trimmed mean of tall matrices, beside NumPy's and scipy's."""

import numpy as np
import pytest
from scipy.stats import trim_mean

from napari_globalxai.statistics.order_statistics import medians, trimmed_means


def _columns(kind: str, count: int) -> np.ndarray:
    drawn = np.random.default_rng(count).normal(0.3, 1, (count, 20)).astype(np.float32)
    return {
        "dense": drawn,
        "cut at 0": np.maximum(drawn - np.linspace(-3, 3, 20, dtype=np.float32), 0),
        "few values": np.round(drawn),
        "one value": np.full_like(drawn, 0.25),
        "one value but some": np.where(np.arange(count)[:, None] < count // 20, drawn, 0.5),
    }[kind]


@pytest.mark.parametrize("count", [1, 2, 7, 999, 1000, 1001, 2500])
@pytest.mark.parametrize(
    "kind", ["dense", "cut at 0", "few values", "one value", "one value but some"]
)
def test_they_are_those_of_libraries(kind: str, count: int) -> None:
    values = _columns(kind, count)
    before = values.copy()
    np.testing.assert_array_equal(medians(values), np.median(values, axis=0))
    expected = trim_mean(values.astype(np.float64), 0.1, axis=0)
    np.testing.assert_allclose(trimmed_means(values, 0.1), expected, rtol=1e-6, atol=1e-9)
    np.testing.assert_array_equal(values, before)


@pytest.mark.parametrize("count", [11, 2000])
def test_what_is_not_a_number_is_not_ranked(count: int) -> None:
    values = _columns("dense", count)
    values[3, 2] = np.nan
    assert np.flatnonzero(np.isnan(medians(values))).tolist() == [2]
