"""The same images give the same answers, in whatever order they come."""

from __future__ import annotations

import numpy as np
import pytest
import tiny
from scipy.stats import binom

import napari_globalxai as gx
from napari_globalxai.attribution import precision as choosing
from napari_globalxai.attribution import precision_check as checking
from napari_globalxai.attribution.precision import Precision, choose_precision
from napari_globalxai.attribution.precision_check import PrecisionCheck
from napari_globalxai.runs import stages

BFLOAT16 = Precision("bfloat16", "a test")


def shuffled(table, seed):
    """The same table beside it, with its rows in another order."""
    head, *rows = table.read_text().splitlines()
    path = table.with_name(f"shuffled-{seed}.csv")
    order = np.random.default_rng(seed).permutation(len(rows))
    path.write_text("\n".join([head, *(rows[place] for place in order)]) + "\n")
    return path


def test_a_number_format_is_tried_on_the_same_images_in_any_order(tmp_path, monkeypatch):
    tried = []

    def choose(model, method, images, labels, size, more):
        tried.append((images.tobytes(), [image.tobytes() for image in more]))
        return Precision("float32", "a test")

    monkeypatch.setattr(stages, "choose_precision", choose)
    table = tiny.write_cohort(tmp_path / "cohort", 24)
    model = tiny.linear_classifier()
    for number, each in enumerate((table, shuffled(table, 1), shuffled(table, 2))):
        gx.explain(each, model, tmp_path / str(number), "saliency")
    assert tried[0] == tried[1] == tried[2]
    assert len(tried[0][1]) == 24


def test_maps_and_predictions_do_not_depend_on_the_order_of_rows(tmp_path):
    table = tiny.write_cohort(tmp_path / "cohort", 12)
    model = tiny.linear_classifier()
    one, other = (
        gx.explain(each, model, tmp_path / f"run-{number}", "saliency", batch_size=1)
        for number, each in enumerate((table, shuffled(table, 1)))
    )
    names = other.images["file"].tolist()
    order = [names.index(name) for name in one.images["file"]]
    np.testing.assert_array_equal(tiny.attributions(one), tiny.attributions(other)[order])
    for label in tiny.LABELS:
        # Means are added up in another order.
        np.testing.assert_allclose(one.maps[label], other.maps[label], rtol=1e-6)


def test_one_image_of_many_that_changes_too_much_is_found(monkeypatch):
    """Beyond those whose maps are compared, probabilities of more are."""
    monkeypatch.setattr(choosing, "fastest_format", lambda device: "bfloat16")
    model = tiny.linear_classifier()
    images = np.full((2, 2, tiny.HEIGHT, tiny.WIDTH), 77, np.uint8)
    method = gx_method()
    few = choose_precision(model, method, images, [0, 1], 1000, more=[images[:1]])
    assert few.name == "bfloat16"
    odd = np.random.default_rng(0).integers(0, 256, images[:1].shape, dtype=np.uint8)
    change = max_change(model, odd)
    monkeypatch.setattr(choosing, "PROBABILITY_TOLERANCE", change * 0.9)
    assert max_change(model, images) < change * 0.9
    more = choose_precision(model, method, images, [0, 1], 1000, more=[images[:1], odd])
    assert more.name == "float32"
    assert more.reason.startswith("not bfloat16: it changed a probability of 2 by")


@pytest.mark.parametrize("tolerance", [1.0, 0.0])
def test_a_format_is_held_against_float32_on_images_of_the_cohort(tolerance, tmp_path, monkeypatch):
    monkeypatch.setattr(choosing, "fastest_format", lambda device: "bfloat16")
    monkeypatch.setattr(stages, "choose_precision", lambda *args, **more: BFLOAT16)
    monkeypatch.setattr(checking, "PROBABILITY_TOLERANCE", tolerance)
    monkeypatch.setattr(stages, "TRIED_PREDICTIONS", 4)
    table = tiny.write_cohort(tmp_path / "cohort", 24)
    model = tiny.linear_classifier()

    def go_on():
        return gx.explain(table, model, tmp_path / "run", "input-x-gradient", resume=True)

    run = go_on()
    exact = model.working_with(precision="float32")
    own = [f"probability_{label}" for label in tiny.LABELS]
    images = run.images[own].to_numpy()
    change = np.abs(model.probabilities(exact.predict(run.stack.read(range(24)))) - images)
    beyond = int((change.max(axis=1) > tolerance).sum()) if tolerance else 20
    words = f"of 20 other images {beyond} changed a probability by more than {tolerance:g}"
    assert run.record.precision_reason.startswith(f"a test; held against float32, {words}")
    assert any(words in each for each in run.record.warnings) == (tolerance == 0)
    assert go_on().record.precision_reason == run.record.precision_reason


def test_the_bound_on_the_cohort_is_the_exact_one():
    none, all_of_them = (PrecisionCheck(np.full(64, value)) for value in (0.0, float("nan")))
    assert none.bound == pytest.approx(1 - 0.05 ** (1 / 64))
    assert all_of_them.bound == 1
    # The share at which so few are seen in 1 of 20 cohorts.
    some = PrecisionCheck(np.array([0.02, 0.03] + [0.001] * 62))
    assert binom.cdf(2, 64, some.bound) == pytest.approx(0.05)


def gx_method():
    from napari_globalxai.attribution.method import make_method

    return make_method("input-x-gradient")


def max_change(model, images):
    exact, rough = (
        model.probabilities(model.working_with(precision=name).predict(images))
        for name in ("float32", "bfloat16")
    )
    return float(np.abs(exact - rough).max())
