"""Contrasts of a run: which images, which files, what is refused."""

import json

import numpy as np
import pandas as pd
import pytest
import tifffile
import tiny

import napari_globalxai as gx
from napari_globalxai.errors import InputError
from napari_globalxai.maps.upsampling import upsample


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    folder = tmp_path_factory.mktemp("contrasts")
    tiny.write_cohort(folder / "cohort", size=28)
    table = pd.read_csv(folder / "cohort" / "cohort.csv")
    table["site"] = ["A" if row // 2 % 2 else "B" for row in range(28)]
    table["camera"] = ["old", "new", "new", "old"] * 7
    table["note"] = ["", *["x"] * 27]
    table["day"] = [f"2026-01-{row + 1:02}" for row in range(28)]
    table["dose"] = [np.inf, *range(27)]
    table.to_csv(folder / "cohort" / "cohort.csv", index=False)
    (folder / "cohort" / "images" / "005.png").write_bytes(b"none")
    model = tiny.write_resnet(folder / "model")
    return gx.explain(folder / "cohort" / "cohort.csv", model, folder / "run")


def patient_means(run, chosen, label):
    images = run.images[chosen & (run.images["status"] == "ok")]
    maps = tiny.attributions(run)[images.index, run.labels.index(label)].clip(0)
    frame = pd.DataFrame(maps.reshape(len(maps), -1).astype(float))
    return frame.groupby(images["patient"].to_numpy()).mean(), len(images)


def test_sites(run):
    found = gx.contrast(run, "sites", "site == 'A'", "site == 'B'", permutations=99, seed=3)
    stored = json.loads((run.folder / "contrasts" / "sites" / "contrast.json").read_text())
    assert stored == json.loads(json.dumps(found.facts))
    assert stored["where_a"] == "site == 'A'"
    assert (stored["permutations"], stored["correction"], stored["seed"]) == (99, "max-t", 3)
    for label in run.labels:
        facts = stored["labels"][label]
        one, n_one = patient_means(run, run.images["site"] == "A", label)
        other, n_other = patient_means(run, run.images["site"] == "B", label)
        assert (facts["n_a"], facts["n_b"]) == (n_one, n_other) == (14, 13)
        assert (facts["patients_a"], facts["patients_b"]) == (7, 7)
        difference = (one.mean() - other.mean()).to_numpy().reshape(run.store.grid.shape)
        read = {
            kind: tifffile.imread(found.folder / f"{label}.{kind}.tif")
            for kind in ("difference", "t", "p")
        }
        expected = upsample(difference, run.store.grid)
        np.testing.assert_allclose(read["difference"], expected, rtol=1e-4, atol=1e-8)
        assert read["p"].min() == np.float32(facts["min_p"])
        assert facts["significant_share"] == np.mean(read["p"] <= 0.05)
        assert 0.01 <= facts["min_p"] <= facts["min_p_over_labels"] <= 1
        size = np.abs(read["t"])
        row, column = facts["peak"]
        assert size[row, column] == pytest.approx(size.max(), rel=1e-4)
        assert read["p"][row, column] == np.float32(facts["min_p"])


def test_the_same_seed_gives_the_same_p(run):
    made = [
        gx.contrast(run, "again", "site == 'A'", "site == 'B'", permutations=49, seed=seed).facts
        for seed in (1, 1, 2)
    ]
    assert made[0] == made[1]
    assert made[0] != made[2]


def test_a_contrast_made_anew_keeps_no_older_maps(run):
    sides = ("site == 'A'", "site == 'B'")
    folder = gx.contrast(run, "anew", *sides, permutations=19).folder
    assert len(list(folder.glob("*.tif"))) == 6
    gx.contrast(run, "anew", *sides, permutations=19, labels=("right",))
    assert {path.name for path in folder.glob("*.tif")} == {
        f"right.{kind}.tif" for kind in ("difference", "t", "p")
    }


def test_sides_by_truth_and_prediction_with_patients_on_both(run):
    found = gx.contrast(
        run, "with", "left == 1", "left == 0", correction="tfce", labels=("left",), permutations=19
    )
    facts = found.facts["labels"]["left"]
    # Each patient has one image with the sign, but for the one whose file is none, and one without.
    assert (facts["patients_a"], facts["patients_b"]) == (13, 14)
    assert facts["patients_both"] == 13
    middle = run.images.loc[run.images["left"] == 1, "probability_left"].median()
    right = f"left == 1 and probability_left >= {middle}"
    wrong = f"left == 1 and probability_left < {middle}"
    facts = gx.contrast(run, "right", right, wrong, permutations=19).facts
    assert sum(facts["labels"]["left"][name] for name in ("n_a", "n_b")) == 13


def test_label_against_label(run):
    found = gx.contrast(run, "labels", label_a="left", label_b="right", permutations=19)
    (title,) = found.labels
    assert title == "left against right"
    facts = found.facts["labels"][title]
    assert facts["patients_both"] == facts["patients_a"] == facts["patients_b"] == 14
    every = run.images["status"] == "ok"
    one, other = (patient_means(run, every, label)[0] for label in ("left", "right"))
    difference = (one - other).mean().to_numpy().reshape(run.store.grid.shape)
    read = tifffile.imread(found.folder / "left_against_right.difference.tif")
    np.testing.assert_allclose(read, upsample(difference, run.store.grid), rtol=1e-4, atol=1e-8)


def test_covariates(run):
    sides = ("site == 'A'", "site == 'B'")
    plain = gx.contrast(run, "plain", *sides, permutations=19)
    adjusted = gx.contrast(run, "adjusted", *sides, permutations=19, covariates=("age", "camera"))
    assert adjusted.facts["statistic"] == "freedman-lane"
    assert not np.allclose(plain.labels["left"].difference, adjusted.labels["left"].difference)
    constant = gx.contrast(run, "constant", *sides, permutations=19, covariates=("status",))
    assert any("status has one value only" in each for each in constant.facts["warnings"])
    assert np.allclose(plain.labels["left"].difference, constant.labels["left"].difference)


def test_a_value_that_no_image_has_is_told(run):
    found = gx.contrast(run, "told", "site in ['A', 'C']", "site == 'B'", permutations=19)
    assert "--a: no image has site 'C', but 'B', 'A'." in found.facts["warnings"]
    few = gx.contrast(run, "few", "age < 54", "age >= 54 and age < 58", permutations=19)
    assert any("in 6 ways only" in each for each in few.facts["warnings"])


@pytest.mark.parametrize(
    ("a", "b", "more", "why"),
    [
        ("site == 'C'", "site == 'B'", {}, "chooses no explained image .*no image has site 'C'"),
        ("age > 60", "age > 70", {}, "images are on both sides"),
        ("age == 50", "age > 60", {}, "--a: has 1 patient for left"),
        ("age > 60", "", {}, "give both --a and --b"),
        ("age > 60", "age <= 60", {"labels": ("nose",)}, "has no label 'nose'"),
        ("age > 60", "age <= 60", {"covariates": ("weight",)}, "has no column 'weight'"),
        ("age > 49", "age <= 49", {}, "--b: .* chooses no explained image"),
        ("site == 'A'", "site == 'B'", {"covariates": ("site",)}, "tell the sides apart"),
        ("site == 'A'", "site == 'B'", {"covariates": ("note",)}, "note is missing for 1 of"),
        ("site == 'A'", "site == 'B'", {"covariates": ("day",)}, "27 different words for 27 image"),
        ("site == 'A'", "site == 'B'", {"covariates": ("dose",)}, "dose is infinite for some"),
        ("age > 60", "age <= 60", {"label_a": "left"}, "are given together"),
        ("age > 60", "age <= 60", {"correction": "holm"}, "correction"),
    ],
)
def test_what_cannot_be_compared_is_refused(a, b, more, why, run):
    with pytest.raises(InputError, match=why):
        gx.contrast(run, "refused", a, b, **{"permutations": 19, **more})
    assert not (run.folder / "contrasts" / "refused").exists()
