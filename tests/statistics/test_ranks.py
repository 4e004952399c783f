"""Ranks and their correlation: the very numbers of scipy."""

import numpy as np
import pytest
from scipy.stats import rankdata, spearmanr

from napari_globalxai.statistics.ranks import ranks, spearman


def draw(kind, shape, seed):
    values = np.random.default_rng(seed).normal(0, 1, shape)
    return {"distinct": values, "ties": np.round(values, 1), "half nought": values.clip(0)}[kind]


@pytest.mark.parametrize("kind", ["distinct", "ties", "half nought"])
@pytest.mark.parametrize("cells", [1, 7, 192, 5000])
def test_ranks(kind, cells):
    values = draw(kind, (9, cells), cells)
    assert np.array_equal(ranks(values), rankdata(values, axis=1))
    # Sums along rows come out the same to the last bit only if rows lie in one piece.
    assert ranks(values).flags.c_contiguous


@pytest.mark.parametrize("kind", ["distinct", "ties", "half nought"])
@pytest.mark.parametrize("shape", [(8,), (12, 16), (5, 24, 32)])
def test_spearman(kind, shape):
    for seed in range(20):
        first = draw(kind, shape, seed)
        second = draw(kind, shape, 100 + seed) + 0.3 * first
        assert spearman(first, second) == spearmanr(first.ravel(), second.ravel()).statistic
