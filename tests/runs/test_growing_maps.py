"""Global maps while a run is computed: at every moment the mean over what is explained."""

from __future__ import annotations

import numpy as np
import pytest
import tiny
from sklearn.metrics import roc_auc_score

from napari_globalxai import explain
from napari_globalxai.cohort.table import read_cohort
from napari_globalxai.errors import Cancelled
from napari_globalxai.maps.store import AttributionStore
from napari_globalxai.maps.upsampling import upsample
from napari_globalxai.runs.opened.growing_maps import GrowingMaps


@pytest.fixture
def small_chunks(monkeypatch):
    """A chunk of four images, so that a small cohort comes in several."""
    monkeypatch.setattr("napari_globalxai.maps.store._MOST_IMAGES_A_CHUNK", 4)


def slow_mean(folder, truth, label, rows):
    """The mean of the label's positive part over the explained images that carry it."""
    store = AttributionStore(folder / "attributions.zarr")
    at = store.labels.index(label)
    maps = [np.maximum(store.read(row, at), 0) for row in rows if truth[row] == 1]
    maps = [each for each in maps if each.max() != each.min()]
    return upsample(np.mean(maps, axis=0), store.grid), len(maps)


def test_maps_grow_with_the_images_and_end_as_the_runs_own(tmp_path, small_chunks):
    table = tiny.write_cohort(tmp_path / "cohort", size=40)
    model = tiny.write_linear(tmp_path / "model")
    folder, cohort = tmp_path / "run", read_cohort(table)
    growing, seen = GrowingMaps(folder, cohort), []
    assert growing.update() is None

    def look(progress):
        grown = growing.update() if progress.stage.startswith("Explaining") else None
        if grown is not None and len(grown.rows) > (len(seen[-1].rows) if seen else 0):
            seen.append(grown)
            for label, image in grown.maps.items():
                if label != "overall":
                    truth = cohort.truth([label])[:, 0]
                    expected, count = slow_mean(folder, truth, label, grown.rows)
                    np.testing.assert_allclose(image, expected, rtol=1e-5, atol=1e-7)
                    assert grown.counts[label] == count
                    known = truth[list(grown.rows)]
                    if len(set(known)) < 2:
                        assert np.isnan(grown.roc_auc[label])

    run = explain(cohort, model, folder, "saliency", part="positive", progress=look)
    assert len(seen) > 2
    assert all(len(grown.rows) < grown.total for grown in seen)
    last = growing.update()
    assert len(last.rows) == last.total == len(cohort)
    assert set(last.maps) == set(run.maps)
    for name, image in run.maps.items():
        np.testing.assert_allclose(last.maps[name], image, rtol=1e-5, atol=1e-7)
    # By scikit-learn, of what the run wrote in the end.
    for label in run.labels:
        told = run.images[f"probability_{label}"].to_numpy(float)
        truth = cohort.truth([label])[:, 0]
        assert last.roc_auc[label] == pytest.approx(roc_auc_score(truth, told))


def test_a_run_that_is_gone_on_with_begins_with_what_was_there(tmp_path, small_chunks):
    table = tiny.write_cohort(tmp_path / "cohort", size=40)
    model = tiny.write_linear(tmp_path / "model")
    folder = tmp_path / "run"

    def stop(progress):
        if progress.stage.startswith("Explaining") and progress.done >= 6:
            raise Cancelled

    with pytest.raises(Cancelled):
        explain(table, model, folder, "saliency", selection="predicted-positives", progress=stop)
    half = GrowingMaps(folder, read_cohort(table)).update()
    assert 0 < len(half.rows) < half.total
    run = explain(table, model, folder, "saliency", selection="predicted-positives", resume=True)
    whole = GrowingMaps(folder, read_cohort(table)).update()
    for label in run.labels:
        assert whole.counts[label] == run.statistics.set_index("map").loc[label, "n"]
        np.testing.assert_allclose(whole.maps[label], run.maps[label], rtol=1e-5, atol=1e-7)
