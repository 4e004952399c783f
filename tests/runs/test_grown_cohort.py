"""A run goes on with a table that has got more rows, and only with such a one."""

import shutil

import numpy as np
import pandas as pd
import pytest
import tiny

from napari_globalxai.errors import InputError
from napari_globalxai.models.classifier import Classifier
from napari_globalxai.runs.peppr.evaluate import peppr
from napari_globalxai.runs.pipeline import explain

QUICK = {"steps": 4, "control_steps": 3, "controls": 1, "bootstrap": 20, "fewest_positives": 2}
FIRST = 37  # the chunk that holds 32 images is full, the next one is not


@pytest.fixture
def tables(tmp_path):
    """Tables of the first images and of all."""
    full = tiny.write_cohort(tmp_path / "cohort", size=50)
    start = full.with_name("start.csv")
    start.write_text("".join(full.read_text().splitlines(keepends=True)[: FIRST + 1]))
    return start, full


def test_new_images_cost_their_own_price_only(tables, tmp_path):
    start, full = tables
    classifier = tiny.counting_classifier()
    explain(start, classifier, tmp_path / "run", batch_size=8)
    classifier.network.seen.clear()
    grown = explain(full, classifier, tmp_path / "run", resume=True)
    assert len(classifier.network.seen) == 50 - FIRST
    fresh = explain(full, tiny.counting_classifier(), tmp_path / "fresh", batch_size=8)
    # New images go in batches of their own; float32 sums differ in the last place.
    np.testing.assert_allclose(tiny.attributions(grown), tiny.attributions(fresh), atol=1e-6)
    for name in ("overall", "left", "right"):
        np.testing.assert_allclose(grown.maps[name], fresh.maps[name], rtol=1e-4, atol=1e-7)
    same = ["file", "patient", "left", "right", "status"]
    pd.testing.assert_frame_equal(grown.images[same], fresh.images[same])
    assert grown.info["counts"]["images"] == 50


def test_what_was_tested_on_fewer_images_is_put_by(tables, tmp_path):
    start, full = tables
    run = explain(start, tiny.write_resnet(tmp_path / "model"), tmp_path / "run")
    peppr(run, "left", **QUICK)
    grown = explain(full, tmp_path / "model" / "model.yaml", tmp_path / "run", resume=True)
    assert grown.peppr_names == []
    assert (tmp_path / "run" / f"peppr-of-{FIRST}-images" / "left.csv").is_file()


def test_other_truth_makes_other_maps_without_the_model(tables, tmp_path):
    """The images are the same, so only means are computed again."""
    start, _ = tables
    classifier = tiny.counting_classifier()
    before = explain(start, classifier, tmp_path / "run").maps["left"].copy()
    classifier.network.seen.clear()
    start.write_text(start.read_text().replace(",0,0\n", ",1,0\n"))
    after = explain(start, classifier, tmp_path / "run", resume=True)
    assert classifier.network.seen == []
    assert not np.array_equal(after.maps["left"], before)


def test_an_image_that_changed_is_explained_again(tables, tmp_path):
    start, _ = tables
    classifier = tiny.counting_classifier()
    before = tiny.attributions(explain(start, classifier, tmp_path / "run"))
    classifier.network.seen.clear()
    images = start.parent / "images"
    shutil.copy(images / "001.png", images / "005.png")
    start.write_text(start.read_text() + "\n")
    with pytest.raises(InputError, match="only rows at the end of its table may be new"):
        explain(start, classifier, tmp_path / "run", resume=True)
    start.write_text(start.read_text()[:-1])
    after = tiny.attributions(explain(start, classifier, tmp_path / "run", resume=True))
    assert len(classifier.network.seen) == 1
    changed = [row for row in range(FIRST) if not np.array_equal(before[row], after[row])]
    assert changed == [5]
    np.testing.assert_allclose(after[5], after[1], atol=1e-6)


def test_an_image_that_is_gone_loses_its_map(tables, tmp_path):
    start, _ = tables
    classifier = tiny.counting_classifier()
    explain(start, classifier, tmp_path / "run")
    (start.parent / "images" / "003.png").unlink()
    run = explain(start, classifier, tmp_path / "run", resume=True)
    assert run.info["counts"]["failed"] == 1
    empty = np.isnan(tiny.attributions(run)).all(axis=(1, 2, 3))
    assert np.flatnonzero(empty).tolist() == [3]


@pytest.mark.parametrize("change", ["other order", "fewer rows", "row in between"])
def test_any_other_table_is_refused(change, tables, tmp_path):
    start, full = tables
    lines = full.read_text().splitlines()
    explain(start, tiny.counting_classifier(), tmp_path / "run")
    changed = {
        "other order": [lines[0], *reversed(lines[1 : FIRST + 1])],
        "fewer rows": lines[: FIRST - 3],
        "row in between": [lines[0], lines[-1], *lines[1 : FIRST + 1]],
    }[change]
    start.write_text("\n".join(changed) + "\n")
    with pytest.raises(InputError, match="only rows at the end of its table may be new"):
        explain(start, tiny.counting_classifier(), tmp_path / "run", resume=True)


def test_maps_of_two_precisions_are_not_mixed(tables, tmp_path):
    start, full = tables
    explain(start, tiny.counting_classifier(), tmp_path / "run")
    rough: Classifier = tiny.counting_classifier().working_with(precision="bfloat16")
    with pytest.raises(InputError, match="another model, method, precision or settings"):
        explain(full, rough, tmp_path / "run", resume=True)
