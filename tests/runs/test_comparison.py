"""Two runs compared: matching, performance against DeLong, maps against slow means."""

import json

import numpy as np
import pandas as pd
import pytest
import tifffile
import tiny
from scipy import stats

import napari_globalxai as gx
from napari_globalxai.errors import InputError
from napari_globalxai.faithfulness.scores.auc_scores import roc_auc
from napari_globalxai.faithfulness.scores.intervals import auc_change_interval
from napari_globalxai.maps.cell_grid import CellGrid
from napari_globalxai.maps.common_cells import on_cells
from napari_globalxai.maps.upsampling import upsample


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("comparison")
    tiny.write_cohort(folder / "cohort", size=24)
    table = pd.read_csv(folder / "cohort" / "cohort.csv")
    # The second run lacks two images, and has the others in another order.
    table.iloc[np.r_[5:24, 0:3]].to_csv(folder / "cohort" / "some.csv", index=False)
    return folder


@pytest.fixture(scope="module")
def runs(folder):
    models = [tiny.write_resnet(folder / f"model{seed}", seed) for seed in (0, 1)]
    return [
        gx.explain(folder / "cohort" / table, model, folder / name)
        for table, model, name in zip(
            ("cohort.csv", "some.csv"), models, ("first", "second"), strict=True
        )
    ]


@pytest.fixture(scope="module")
def found(runs, folder):
    return gx.compare(*runs, folder / "out", permutations=99)


def relative(run, label, files):
    """Maps of files in their order, each of mean 1."""
    row_of = {file: row for row, file in enumerate(run.images["file"])}
    maps = tiny.attributions(run)[[row_of[file] for file in files], run.labels.index(label)]
    maps = maps.clip(0).astype(float)
    mean = maps.mean(axis=(1, 2), keepdims=True)
    return maps / np.where(mean > 0, mean, 1)


def test_images_are_matched_by_what_they_are(found, runs, folder):
    stored = json.loads((folder / "out" / "comparison.json").read_text())
    assert stored["images"] == 22
    assert any("2 images of" in each and "003.png" in each for each in stored["warnings"])
    both = [file for file in runs[0].images["file"] if file in set(runs[1].images["file"])]
    truth = runs[0].images.set_index("file").loc[both]
    for label in runs[0].labels:
        carriers = truth.index[truth[label] == 1]
        facts = stored["labels"][label]
        assert facts["n"] == len(carriers)
        one, other = (relative(run, label, carriers).mean(0) for run in runs)
        grid = runs[0].store.grid
        read = tifffile.imread(folder / "out" / f"{label}.difference.tif")
        np.testing.assert_allclose(read, upsample(one - other, grid), rtol=1e-3, atol=1e-4)
        shares = [upsample(each, grid) for each in (one, other)]
        shares = [each / each.sum() for each in shares]
        assert facts["moved_share"] == pytest.approx(np.abs(shares[0] - shares[1]).sum() / 2, 1e-3)
        for run, name in zip(runs, ("auc_a", "auc_b"), strict=True):
            logits = run.images.set_index("file").loc[both, f"logit_{label}"].to_numpy()
            assert facts[name] == pytest.approx(roc_auc(truth[label].to_numpy() == 1, logits))
        assert facts["auc_difference"] == pytest.approx(facts["auc_a"] - facts["auc_b"])
        assert facts["ci_low"] <= facts["auc_difference"] <= facts["ci_high"]
        assert 0.01 <= facts["min_p"] <= 1


def test_answers_that_changed(found, runs):
    for row in found.changed.itertuples():
        values = [
            run.images.set_index("file").loc[row.file, f"probability_{row.label}"] for run in runs
        ]
        assert values == [row.probability_a, row.probability_b]
        assert (values[0] >= 0.5) != (values[1] >= 0.5)
    total = 0
    for label in runs[0].labels:
        one, other = (run.images.set_index("file")[f"probability_{label}"] for run in runs)
        total += int(((one[other.index] >= 0.5) != (other >= 0.5)).sum())
    assert len(found.changed) == total > 0


def test_the_page_escapes_and_stands_alone(found, folder):
    page = (folder / "out" / "comparison.html").read_text()
    assert page.count("data:image/png") == 2
    assert "What differs" in page
    assert "http" not in page.split("</style>")[1]


def test_a_run_against_itself(runs, folder):
    found = gx.compare(runs[0], runs[0], folder / "same", permutations=19)
    for each in found.labels.values():
        assert each.facts["spearman"] == pytest.approx(1)
        assert each.facts["moved_share"] == 0
        assert each.facts["min_p"] == 1
        assert each.facts["auc_difference"] == each.facts["ci_low"] == each.facts["ci_high"] == 0
    assert found.changed.empty


def test_whose_maps_are_compared_is_said(runs, folder):
    found = gx.compare(*runs, folder / "some", where="age > 60 or age == -1", permutations=19)
    assert any("maps are of those where age > 60 or" in each for each in found.remarks)
    assert any(each.startswith("No image has age -1, but ") for each in found.remarks)
    assert {each.facts["n"] for each in found.labels.values()} == {13}


def test_another_method_has_other_cells(runs, folder):
    other = gx.explain(
        folder / "cohort" / "cohort.csv", folder / "model0" / "model.yaml", folder / "pixels",
        method="saliency",
    )  # fmt: skip
    found = gx.compare(runs[0], other, folder / "methods", permutations=19)
    assert any("different parts" in each for each in found.remarks)
    for each in found.labels.values():
        assert each.difference.shape == (tiny.HEIGHT, tiny.WIDTH)
        assert each.facts["auc_difference"] == 0
        assert -1 <= each.facts["spearman"] < 1


def test_new_cells_are_means_over_what_lies_nearest():
    rng = np.random.default_rng(0)
    maps = rng.random((2, 8, 12))
    found = on_cells(maps, CellGrid.pixels((8, 12)), CellGrid.tiling((2, 3), (8, 12)))
    expected = maps.reshape(2, 2, 4, 3, 4).mean(axis=(2, 4))
    np.testing.assert_allclose(found, expected)


def delong(carries, first, second):
    """Standard error of the difference of two AUC, pair by pair (DeLong et al., 1988)."""
    parts = []
    for scores in (first, second):
        with_, without = scores[carries], scores[~carries]
        above = (with_[:, None] > without).astype(float) + 0.5 * (with_[:, None] == without)
        parts.append((above.mean(1), above.mean(0)))
    variance = 0
    for own, other in zip(*parts, strict=True):
        variance += np.var(own - other, ddof=1) / len(own)
    return np.sqrt(variance)


def test_the_interval_of_the_difference_is_delongs():
    rng = np.random.default_rng(4)
    carries = rng.random(600) < 0.4
    shared = rng.normal(size=600)
    first = shared + 1.2 * carries + rng.normal(0, 0.5, 600)
    second = shared + 0.8 * carries + rng.normal(0, 0.5, 600)
    patients = [f"P{row}" for row in range(600)]
    low, high = auc_change_interval(carries, second, first, patients)
    difference = roc_auc(carries, first) - roc_auc(carries, second)
    half = stats.norm.ppf(0.975) * delong(carries, first, second)
    assert low == pytest.approx(difference - half, abs=0.03 * half)
    assert high == pytest.approx(difference + half, abs=0.03 * half)
    # Each image twice: the interval must not shrink.
    twice = [np.repeat(each, 2) for each in (carries, second, first)]
    again = auc_change_interval(*twice, np.repeat(patients, 2).tolist())
    assert again == pytest.approx((low, high), abs=1e-9)


@pytest.mark.parametrize(
    ("more", "why"),
    [
        ({"labels": ("nose",)}, "'nose' is not a label of both"),
        ({"scale": "wide"}, "scale"),
        ({"where": "site =="}, "cannot be read"),
    ],
)
def test_what_cannot_be_compared_is_refused(more, why, runs, folder):
    with pytest.raises(InputError, match=why):
        gx.compare(*runs, folder / "refused", **more)
    assert not (folder / "refused").exists()


def test_other_images_and_folders_are_refused(runs, folder, tmp_path):
    tiny.write_cohort(tmp_path / "cohort", size=8, seed=3)
    other = gx.explain(tmp_path / "cohort" / "cohort.csv", folder / "model0" / "model.yaml",
                       tmp_path / "run")  # fmt: skip
    with pytest.raises(InputError, match="has no image in common"):
        gx.compare(runs[0], other, tmp_path / "out")
    with pytest.raises(InputError, match="holds something else"):
        gx.compare(runs[0], runs[1], tmp_path / "cohort")


def test_another_frame_is_refused_by_its_size(runs, folder, tmp_path):
    model = tiny.with_card(folder / "model0" / "model.yaml", tmp_path / "large",
                      input={"height": 2 * tiny.HEIGHT})  # fmt: skip
    other = gx.explain(folder / "cohort" / "cohort.csv", model, tmp_path / "run")
    sizes = f"{tiny.HEIGHT} × {tiny.WIDTH} and {2 * tiny.HEIGHT} × {tiny.WIDTH} pixels"
    with pytest.raises(InputError, match=f"has another frame than .*{sizes}"):
        gx.compare(runs[0], other, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_labels_of_one_run_alone_are_named_and_left_out(runs, folder, tmp_path):
    table = pd.read_csv(folder / "cohort" / "cohort.csv")
    table["nose"] = table["right"]
    table.to_csv(folder / "cohort" / "renamed.csv", index=False)
    model = tiny.with_card(
        folder / "model1" / "model.yaml", tmp_path / "renamed", labels=["left", "nose"]
    )
    other = gx.explain(folder / "cohort" / "renamed.csv", model, tmp_path / "run")
    known = gx.explain(folder / "cohort" / "cohort.csv", folder / "model1" / "model.yaml",
                       tmp_path / "known")  # fmt: skip
    found = gx.compare(runs[0], other, tmp_path / "out", permutations=19)
    assert list(found.labels) == ["left"]
    # As if both had the same labels.
    whole = gx.compare(runs[0], known, tmp_path / "whole", permutations=19)
    assert found.labels["left"].facts == whole.labels["left"].facts
    said = " ".join(found.remarks)
    assert f"1 label of {runs[0].folder} is not in the other run (right)" in said
    assert f"1 label of {other.folder} is not in the other run (nose)" in said
    assert not any("label of" in each for each in whole.remarks)
    strange = tiny.with_card(
        folder / "model1" / "model.yaml", tmp_path / "strange", labels=["nose", "ear"]
    )
    table.rename(columns={"left": "ear"}).to_csv(folder / "cohort" / "strange.csv", index=False)
    third = gx.explain(folder / "cohort" / "strange.csv", strange, tmp_path / "third")
    with pytest.raises(InputError, match=r"has no label in common with .*\(nose, ear and left"):
        gx.compare(runs[0], third, tmp_path / "none")
