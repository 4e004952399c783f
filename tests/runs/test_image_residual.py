"""An image's map less the mean of the others, against a mean over the others."""

from __future__ import annotations

import numpy as np
import pytest
import tiny

from napari_globalxai import explain
from napari_globalxai.maps.preparing import prepare_maps
from napari_globalxai.maps.upsampling import smooth, upsample
from napari_globalxai.runs.questions.image_residual import image_residual


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    folder = tmp_path_factory.mktemp("residual")
    table = tiny.write_cohort(folder / "cohort", size=12)
    # One that looks elsewhere in every image.
    return explain(table, tiny.write_resnet(folder / "model"), folder / "run", "grad-cam")


@pytest.mark.parametrize("row", [1, 6, 11])
def test_residual_is_the_image_less_the_mean_of_the_others(finished, row):
    others = np.setdiff1d(np.arange(len(finished.images)), [row])
    for label in finished.labels:
        raw = finished.store.read(row, finished.store.labels.index(label))
        prepared = prepare_maps(raw[None], finished.aggregation)[0]
        own = smooth(upsample(prepared, finished.store.grid), finished.aggregation.smoothing)
        expected = own - finished.maps_of(others)[label].image
        found = image_residual(finished, row, label)
        assert np.abs(expected).max() > 0.05 * np.abs(own).max()
        np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-6 * np.abs(own).max())
