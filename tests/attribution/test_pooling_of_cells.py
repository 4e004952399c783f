"""Maps are made coarser block by block, along any number of axes."""

import itertools

import numpy as np
import pytest
import torch

from napari_globalxai.attribution.pooling import pool_cells
from napari_globalxai.maps.cell_grid import CellGrid
from napari_globalxai.statistics.prepared_cells import pooled


@pytest.mark.parametrize("cells", [(7,), (7, 5), (6, 4), (5, 7, 4), (3, 5, 2, 4)])
@pytest.mark.parametrize("side", [1, 2, 3])
def test_each_cell_is_the_mean_of_its_block(cells: tuple[int, ...], side: int) -> None:
    maps = np.random.default_rng(0).normal(0, 1, (2, 3, *cells)).astype(np.float32)
    found = pool_cells(torch.from_numpy(maps), side).numpy()
    assert (
        found.shape[2:]
        == CellGrid.tiling(cells, tuple(8 * each for each in cells)).pooled(side).shape
    )
    for place in itertools.product(*map(range, found.shape[2:])):
        block = tuple(slice(at * side, (at + 1) * side) for at in place)
        expected = maps[(..., *block)].reshape(2, 3, -1).mean(axis=2)
        np.testing.assert_allclose(found[(..., *place)], expected, rtol=1e-5, atol=1e-6)


def test_it_averages_as_questions_to_the_store_do() -> None:
    maps = np.random.default_rng(1).normal(0, 1, (4, 1, 5, 7, 6)).astype(np.float32)
    found = pool_cells(torch.from_numpy(maps), 2).numpy()
    np.testing.assert_allclose(found[:, 0], pooled(maps[:, 0], 2), rtol=1e-5, atol=1e-6)
