"""Δ of PEPPR in two runs: against weights of every image, and runs that do not quite match."""

import json

import numpy as np
import pandas as pd
import pytest
import tiny

import napari_globalxai as gx
from napari_globalxai.faithfulness.scores.auc_scores import area, roc_auc, weighted_roc_auc
from napari_globalxai.faithfulness.scores.intervals import Resamples
from napari_globalxai.faithfulness.scores.left_out_patients import auc_without_each
from napari_globalxai.faithfulness.targets import MACRO, POOLED

QUICK = {"steps": 6, "control_steps": 3, "controls": 1, "bootstrap": 20, "device": "cpu"}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("peppr-difference")
    cohort = tiny.write_cohort(folder / "cohort", size=24)
    table = pd.read_csv(cohort)
    table.iloc[np.r_[4:24, 0:2]].to_csv(folder / "cohort" / "some.csv", index=False)
    return folder


@pytest.fixture(scope="module")
def runs(folder):
    models = [tiny.write_resnet(folder / f"model{seed}", seed) for seed in (0, 1)]
    made = [
        gx.explain(folder / "cohort" / table, model, folder / name)
        for table, model, name in zip(
            ("cohort.csv", "cohort.csv", "some.csv"), (*models, models[1]), "abc", strict=True
        )
    ]
    for run in made[:2]:
        gx.peppr(run, "left", folds=1, **QUICK)
        gx.peppr(run, "overall", folds=1, **QUICK)
    return made


@pytest.fixture(scope="module")
def stored(runs, folder):
    gx.compare(*runs[:2], folder / "out", permutations=19)
    return json.loads((folder / "out" / "comparison.json").read_text())


def entry(stored, name, label):
    (found,) = [each for each in stored["peppr"] if each["map"] == name and each["label"] == label]
    return found


def test_auc_without_each_patient_is_that_of_the_others():
    rng = np.random.default_rng(0)
    truth, scores = rng.random(60) < 0.4, rng.integers(0, 12, 60).astype(float)
    owner = rng.integers(0, 15, 60)
    # The last but one carries no case, the last all that are positive.
    owner[owner == 13], owner[truth & (owner == 14)] = 14, 3
    found = auc_without_each(truth, scores, owner, 15)
    assert found[0] == pytest.approx(roc_auc(truth, scores))
    for patient in range(15):
        left = owner != patient
        assert found[1 + patient] == pytest.approx(roc_auc(truth[left], scores[left]))
    one = np.where(truth, 0, owner)
    assert np.isnan(auc_without_each(truth, scores, one, 15)[1])


@pytest.mark.parametrize("label", ["left", "right", MACRO, POOLED])
def test_the_difference_is_over_the_same_patients(label, stored, runs):
    name = "left" if label == "left" else "overall"
    found = entry(stored, name, label)
    results = [run.peppr_result(name) for run in runs[:2]]
    truth = runs[0].truth(("left", "right"))[results[0].rows] == 1
    patients = runs[0].images["patient"].to_numpy()[results[0].rows]
    carries = (
        truth.any(axis=1) if label in (MACRO, POOLED) else truth[:, ["left", "right"].index(label)]
    )
    slow = Resamples.of(patients.tolist(), carries, 10, 0)
    deltas = []
    for result in results:
        curves = {
            arm: np.stack([auc(truth, step, slow.weights, label) for step in steps], axis=1)
            for arm, steps in result.probabilities.items()
        }
        deltas.append(area(result.fractions, curves["restore"] - curves["erase"]))
    one, other = deltas
    assert found["delta_a"] == pytest.approx(one[0])
    assert found["delta_b"] == pytest.approx(other[0])
    assert found["difference"] == pytest.approx(one[0] - other[0])
    if label not in (MACRO, POOLED):
        assert [found["ci_low"], found["ci_high"]] == pytest.approx(slow.interval(one - other))
    for result, side in zip(results, "ab", strict=True):
        assert found[f"delta_{side}"] == pytest.approx(result.areas[label]["delta"], abs=1e-6)
        assert found[f"ci_{side}"] == pytest.approx(result.areas[label]["delta_ci"], abs=1e-6)
    assert found["ci_low"] < found["difference"] < found["ci_high"]
    assert (found["images"], found["patients"]) == (24, 12)


def auc(truth, scores, weights, label):
    if label == POOLED:
        return weighted_roc_auc(
            truth.ravel(), scores.ravel().astype(float), weights.repeat(2, axis=1)
        )
    of_label = [
        weighted_roc_auc(truth[:, at], scores[:, at].astype(float), weights) for at in (0, 1)
    ]
    return np.mean(of_label, axis=0) if label == MACRO else of_label[["left", "right"].index(label)]


def test_maps_that_were_not_cross_fitted_are_said_to_be_so(stored, folder):
    assert entry(stored, "left", "left")["evaluated_on_a"] == "same images"
    assert any(
        each == "left: PEPPR of both runs is of a map that was not cross-fitted (same images)."
        for each in stored["warnings"]
    )
    page = (folder / "out" / "comparison.html").read_text()
    assert "Δ of PEPPR along its own map" in page


def test_images_in_common_count_and_what_differs_is_said(runs, folder):
    gx.peppr(runs[2], "left", folds=1, **{**QUICK, "steps": 4})
    found = gx.compare(runs[0], runs[2], folder / "some", permutations=19)
    each = next(one for one in found.peppr if one["label"] == "left")
    assert (each["images"], each["patients"]) == (22, 11)
    said = " ".join(found.remarks)
    assert "Δ of PEPPR is of the 22 images of which both runs tested left" in said
    assert "left: PEPPR of the runs differs in steps." in said


def test_a_run_against_itself_has_no_difference(runs, folder):
    found = gx.compare(runs[0], runs[0], folder / "same", permutations=19)
    assert {each["label"] for each in found.peppr} == {"left", "right", MACRO, POOLED}
    for each in found.peppr:
        assert each["difference"] == each["ci_low"] == each["ci_high"] == 0


def test_fold_maps_against_one_map_for_all(runs, folder):
    gx.peppr(runs[1], "left", folds=2, fewest_positives=2, **QUICK)
    found = gx.compare(*runs[:2], folder / "folds", permutations=19)
    each = next(one for one in found.peppr if one["map"] == "left" and one["label"] == "left")
    assert each["evaluated_on_b"] == "cross-fitted"
    assert any("that of B of maps of other patients (cross-fitted)" in one for one in found.remarks)


def test_a_damaged_result_is_one_sentence(runs, folder):
    path = runs[1].folder / "peppr" / "left.npz"
    whole = path.read_bytes()
    for content in (whole[:500], b"", b"no archive"):
        path.write_bytes(content)
        with pytest.raises(gx.InputError, match=r"left\.npz: is damaged"):
            gx.compare(*runs[:2], folder / "damaged", permutations=19)
    path.write_bytes(whole)
