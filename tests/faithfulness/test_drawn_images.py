"""PEPPR on fewer images than there are: who is drawn, and that nothing else changes."""

import shutil

import numpy as np
import pytest
import tiny

import napari_globalxai as gx
from napari_globalxai.faithfulness.predictions.drawn_images import draw_images

QUICK = {"steps": 4, "step_tolerance": 0, "control_steps": 3, "controls": 1, "bootstrap": 20}
QUICK |= {"fewest_positives": 2, "random_weights": False}


def sample(patients=4000, seed=0):
    """One to three images a patient; a frequent label and one of 2 %."""
    rng = np.random.default_rng(seed)
    owner = np.repeat(np.arange(patients), rng.integers(1, 4, patients))
    carries = rng.random((patients, 2)) < (0.3, 0.02)
    truth = carries[owner].astype(float)
    truth[rng.random(len(owner)) < 0.01] = np.nan
    return [f"P{each}" for each in owner], truth


@pytest.mark.parametrize("most", [500, 2000, 6500])
def test_whole_patients_are_drawn_evenly_over_the_labels(most):
    patients, truth = sample()
    places = draw_images(patients, truth, most, 0)
    assert most - 3 <= len(places) <= most
    names = np.array(patients)
    chosen = set(names[places])
    assert np.isin(names, list(chosen)).sum() == len(places)
    for label in range(2):
        carrying = {name for name, has in zip(names, truth[:, label] == 1, strict=True) if has}
        due = len(carrying) * len(chosen) / len(set(patients))
        # At random a 2 % label of 250 patients would be off by this half of the time.
        assert abs(len(chosen & carrying) - due) <= 2.5


def test_a_seed_draws_the_same_and_another_one_others():
    patients, truth = sample(300)
    first, again, other = (draw_images(patients, truth, 200, seed) for seed in (0, 0, 1))
    assert first.tolist() == again.tolist()
    assert len(np.intersect1d(first, other)) < 0.8 * len(first)
    assert draw_images(patients, truth, 1, 0).size in (1, 2, 3)


@pytest.fixture(scope="module")
def explained(tmp_path_factory):
    folder = tmp_path_factory.mktemp("explained")
    cohort = tiny.write_cohort(folder / "cohort", size=40)
    return gx.explain(cohort, tiny.write_linear(folder), folder / "run", "saliency").folder


@pytest.mark.parametrize("settings", [{}, {"folds": 1}, {"fill": "neighbour"}])
def test_predictions_are_those_of_the_same_images_among_all(explained, tmp_path, settings):
    """Along maps of all patients, not of those that were drawn."""
    run = gx.open_run(shutil.copytree(explained, tmp_path / "run"))
    whole = gx.peppr(run, "left", **QUICK, **settings)
    part = gx.peppr(run, "left", most_images=17, **QUICK, **settings)
    assert 14 <= len(part.rows) <= 17
    places = np.searchsorted(whole.rows, part.rows)
    for arm, values in part.probabilities.items():
        np.testing.assert_allclose(values, whole.probabilities[arm][:, places], atol=2e-6)
    assert part.settings["images"] == len(part.rows)
    assert (part.settings["drawn_from"], whole.settings["drawn_from"]) == (40, 40)
    assert "(drawn out of 40 images)" in part.verdict["left"].tested
    assert "drawn" not in whole.verdict["left"].tested


def test_the_other_questions_are_asked_of_drawn_images_too(explained, tmp_path):
    run = gx.open_run(shutil.copytree(explained, tmp_path / "run"))
    chosen = {"most_images": 17, "steps": 4, "bootstrap": 20}
    (single,) = gx.peppr_images(run, "left", **chosen)
    whole = gx.peppr_images(run, "left", steps=4, bootstrap=20)[0]
    assert 0 < len(single.rows) < len(whole.rows)
    assert set(single.rows) <= set(whole.rows)
    compared = gx.compare_maps(run, ["left", "right"], **chosen)
    assert compared.settings["images"] <= 17
