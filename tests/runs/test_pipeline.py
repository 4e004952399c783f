"""The run folder: its contract, provenance, resuming, and what it refuses."""

import json

import numpy as np
import pandas as pd
import pytest
import tifffile
import tiny
import torch
import yaml
import zarr
from PIL import Image
from scipy.ndimage import gaussian_filter

import napari_globalxai
from napari_globalxai.attribution.method import make_method
from napari_globalxai.cohort.table import read_cohort
from napari_globalxai.errors import Cancelled, InputError
from napari_globalxai.faithfulness.orders.map_orders import order_by_map
from napari_globalxai.maps.upsampling import upsample
from napari_globalxai.models.card.model_card import ModelCard
from napari_globalxai.models.classifier import Classifier
from napari_globalxai.models.loaders import load_model
from napari_globalxai.runs.inputs.check import check_inputs
from napari_globalxai.runs.peppr.evaluate import make_evaluation, peppr
from napari_globalxai.runs.pipeline import explain
from napari_globalxai.runs.run import open_run
from napari_globalxai.settings.explain_settings import ExplainSettings
from napari_globalxai.storage import hash_file

QUICK = {"steps": 4, "control_steps": 3, "controls": 1, "bootstrap": 20, "fewest_positives": 2}


@pytest.fixture(scope="module")
def inputs(tmp_path_factory):
    """A cohort of 40 images, of which the store holds 32 in its first chunk, and its models."""
    folder = tmp_path_factory.mktemp("inputs")
    tiny.write_cohort(folder / "cohort", size=40)
    tiny.write_resnet(folder / "resnet")
    tiny.write_linear(folder / "linear")
    return folder


@pytest.fixture(scope="module")
def finished(inputs, tmp_path_factory):
    """A finished run that tests only read."""
    out = tmp_path_factory.mktemp("finished") / "run"
    return explain(inputs / "cohort" / "cohort.csv", inputs / "resnet" / "model.yaml", out)


def run_linear(inputs, out, method="saliency", **options):
    return explain(
        inputs / "cohort" / "cohort.csv", inputs / "linear" / "linear.yaml", out, method, **options
    )


# ---------------------------------------------------------------- the contract


def test_files_of_the_run_folder(finished):
    names = {
        path.relative_to(finished.folder).as_posix()
        for path in finished.folder.rglob("*")
        if path.is_file() and ".zarr" not in path.as_posix()
    }
    assert names == {
        "run.json", "images.csv", "performance.csv", "coverage.tif", "attributions.jsonl",
        "maps/maps.csv",
        "maps/overall.tif", "maps/left.tif", "maps/left.sd.tif", "maps/right.tif",
        "maps/right.sd.tif",
    }  # fmt: skip
    for name in ("overall", "left", "left.sd", "right", "right.sd"):
        image = tifffile.imread(finished.folder / "maps" / f"{name}.tif")
        assert image.dtype == np.float32
        assert image.shape == (tiny.HEIGHT, tiny.WIDTH)
        assert np.isfinite(image).all()
    store = zarr.open_array(finished.folder / "attributions.zarr", mode="r")
    assert store.shape == (40, 2, *finished.store.grid.shape)
    assert store.dtype == np.float32
    assert zarr.open_group(finished.folder / "aligned.zarr")["0"].shape == (40, 2, 32, 48)


def test_images_csv(finished, inputs):
    table = pd.read_csv(finished.folder / "images.csv")
    assert list(table.columns) == [
        "row", "file", "path", "laterality", "laterality_source", "patient", "left", "right",
        "probability_left", "probability_right", "logit_left", "logit_right", "similarity_left",
        "similarity_right", "percentile_left", "percentile_right", "status", "error",
        # Those of the cohort table that are not ours.
        "filename", "ID", "LR", "age",
    ]  # fmt: skip
    cohort = read_cohort(inputs / "cohort" / "cohort.csv")
    assert list(table["file"]) == list(cohort.names)
    assert list(table["laterality"]) == list(cohort.laterality)
    np.testing.assert_array_equal(table[["left", "right"]], cohort.truth(tiny.LABELS))
    assert (table["status"] == "ok").all()
    logits = load_model(inputs / "resnet" / "model.yaml", device="cpu").predict(
        finished.stack.read(range(40))
    )
    np.testing.assert_allclose(table[["logit_left", "logit_right"]], logits, rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(
        table[["probability_left", "probability_right"]], 1 / (1 + np.exp(-logits)), rtol=1e-4
    )


def test_provenance(finished, inputs):
    info = json.loads((finished.folder / "run.json").read_text())
    assert info["version"] == napari_globalxai.__version__
    assert info["status"] == "finished"
    assert info["started"] <= info["finished"]
    assert len(info["code_sha256"]) == 64
    assert info["cohort"]["sha256"] == hash_file(inputs / "cohort" / "cohort.csv")
    assert info["cohort"]["columns"]["laterality"] == "LR"
    assert info["model"]["sha256"] == hash_file(inputs / "resnet" / "resnet.safetensors")
    assert info["model"]["cam_layer"] == "layer4"
    assert info["frame"] == {"height": 32, "width": 48, "channels": ["red", "green"]}
    assert info["packages"]["torch"] == torch.__version__
    assert info["device"]
    assert info["counts"] == {
        "images": 40, "explained": 40, "failed": 0,
        "constant_maps": info["counts"]["constant_maps"],
    }  # fmt: skip
    settings = info["settings"]
    assert settings["seed"] == 0
    assert settings["method"] == {"name": "grad-cam"}
    assert settings["aggregation"]["part"] == "positive"
    assert settings["aggregation"]["selection"] == "positives"


def test_numbers_of_the_maps(finished):
    table = finished.statistics.set_index("map")
    assert list(table.index) == ["overall", "left", "right"]
    assert table.loc["left", "n"] == table.loc["right", "n"] == 20
    assert table.loc["overall", "n"] == 30
    truth = finished.truth(tiny.LABELS)
    patients = finished.images["patient"]
    for index, label in enumerate(tiny.LABELS):
        assert table.loc[label, "n_patients"] == patients[truth[:, index] == 1].nunique()


# ---------------------------------------------------------------- what the maps are


def test_maps_equal_a_slow_loop_over_images(finished, inputs):
    classifier = load_model(inputs / "resnet" / "model.yaml", device="cpu")
    truth = finished.truth(tiny.LABELS)
    scaled = []
    for index, label in enumerate(tiny.LABELS):
        maps = []
        for row in np.flatnonzero(truth[:, index] == 1):
            image = classifier.to_input(finished.stack.read([row]))
            native = make_method("grad-cam").attribute(classifier, image, [index]).maps[0, 0]
            maps.append(np.maximum(native.numpy().astype(np.float64), 0))
        expected = upsample(np.mean(maps, axis=0), classifier.cell_grid)
        np.testing.assert_allclose(finished.maps[label], expected, rtol=1e-4, atol=1e-7)
        spread = upsample(np.std(maps, axis=0, ddof=1), classifier.cell_grid)
        found = tifffile.imread(finished.folder / "maps" / f"{label}.sd.tif")
        np.testing.assert_allclose(found, spread, rtol=1e-4, atol=1e-7)
        if expected.sum():
            scaled.append(expected / expected.sum())
    np.testing.assert_allclose(finished.maps["overall"], np.mean(scaled, axis=0), rtol=1e-4)


def test_linear_model_end_to_end(inputs, tmp_path):
    """Saliency: the weights themselves. Integrated gradients: weight times deviation, averaged."""
    weight = tiny.sign_weights().sum(dim=1).numpy()
    run = run_linear(inputs, tmp_path / "s")
    for index, label in enumerate(tiny.LABELS):
        np.testing.assert_allclose(run.maps[label], weight[index], atol=1e-7)
    run = run_linear(
        inputs, tmp_path / "ig", "integrated-gradients", aggregation={"part": "signed"}
    )
    truth = run.truth(tiny.LABELS)
    stack = (run.stack.read(range(40)) / 255 - 0.3) / 0.1
    for index, label in enumerate(tiny.LABELS):
        deviation = stack[truth[:, index] == 1].sum(axis=1).mean(axis=0)
        expected = weight[index] / 2 * deviation
        size = np.abs(expected).max()
        np.testing.assert_allclose(run.maps[label], expected, atol=1e-5 * size)


@pytest.mark.parametrize("method", ["saliency", "integrated-gradients"])
def test_maps_are_smoothed_where_asked_for_and_it_is_recorded(inputs, tmp_path, method):
    plain = run_linear(inputs, tmp_path / "plain", method)
    smoothed = run_linear(inputs, tmp_path / "smoothed", method, aggregation={"smoothing": 2.0})
    for run, asked in ((plain, 0.0), (smoothed, 2.0)):
        assert run.info["settings"]["aggregation"]["smoothing"] == asked
        assert set(pd.read_csv(run.folder / "maps" / "maps.csv")["smoothing"]) == {asked}
    for label in tiny.LABELS:
        expected = gaussian_filter(plain.maps[label].astype(float), 2.0, mode="nearest")
        size = np.abs(expected).max()
        np.testing.assert_allclose(smoothed.maps[label], expected, atol=1e-5 * size)


def test_the_map_over_one_image_is_that_images_map(inputs, tmp_path):
    lines = (inputs / "cohort" / "cohort.csv").read_text().splitlines()
    table = inputs / "cohort" / "one.csv"
    table.write_text("\n".join([lines[0], lines[1], lines[4]]) + "\n")  # left 0 and 1
    run = explain(table, inputs / "resnet" / "model.yaml", tmp_path / "run")
    assert list(run.truth(tiny.LABELS)[:, 0]) == [0, 1]
    np.testing.assert_allclose(run.image_map(1, "left"), run.maps["left"], rtol=1e-6)
    assert np.isnan(run.statistics.set_index("map").loc["left", "reliability"])
    assert any("left: only 1 image:" in warning for warning in run.info["warnings"])


@pytest.mark.parametrize("choice", [["right"], ["RIGHT", "right"]])
def test_labels_can_be_chosen(choice, inputs, tmp_path):
    run = run_linear(inputs, tmp_path / "run", labels=choice)
    assert run.labels == ("right",)
    assert list(run.maps) == ["overall", "right"]
    assert run.store.labels == ("right",)
    assert "Not explained: left." in run.info["warnings"]


def test_a_class_called_none_is_a_class(inputs, tmp_path):
    """pandas would take it for a missing value, here and wherever the run is read again."""
    folder = tmp_path / "cohort"
    tiny.write_cohort(folder, size=12)
    names = sorted(path.name for path in (folder / "images").iterdir())
    rows = [f"images/{name},{('None', 'AMD')[n % 2]},None" for n, name in enumerate(names)]
    (folder / "classes.csv").write_text("\n".join(["filename,diagnosis,ID", *rows]) + "\n")
    tiny.write_linear(tmp_path)
    card = yaml.safe_load((tmp_path / "linear.yaml").read_text())
    card.update(labels=["None", "AMD"], activation="softmax")
    (tmp_path / "linear.yaml").write_text(yaml.safe_dump(card))
    run = explain(folder / "classes.csv", tmp_path / "linear.yaml", tmp_path / "run", "saliency")
    run = open_run(run.folder)
    assert list(run.maps) == ["overall", "None", "AMD"]
    assert (run.statistics["n"] == [12, 6, 6]).all()
    # For a class it is a name, for a patient it says that nobody knows.
    assert set(run.images["patient"]) == {f"image-{row}" for row in range(12)}
    result = peppr(run, "None", device="cpu", **QUICK)
    assert result.verdict["None"].word
    assert set(run.peppr_result("None").curves["label"]) == {"None", "AMD"}


# ---------------------------------------------------------------- images that fail


def test_images_that_fail_are_listed_and_the_rest_goes_on(inputs, tmp_path):
    folder = tmp_path / "cohort"
    table = tiny.write_cohort(folder, size=12)
    (folder / "images" / "002.png").unlink()
    (folder / "images" / "005.png").write_text("no picture")
    Image.fromarray(np.zeros((32, 48, 3), np.uint8)).save(folder / "images" / "007.png")
    run = explain(table, inputs / "resnet" / "model.yaml", tmp_path / "run")
    assert run.finished_rows.tolist() == [0, 1, 3, 4, 6, 7, 8, 9, 10, 11]
    failed = run.images[run.images["status"] == "failed"]
    assert failed.index.tolist() == [2, 5]
    assert failed["error"].tolist()[0] == "images/002.png: the file does not exist."
    assert failed["error"].tolist()[1].startswith("images/005.png: cannot be read as an image")
    assert failed[["probability_left", "logit_left", "similarity_left"]].isna().all(axis=None)
    assert run.info["counts"]["failed"] == 2
    assert np.isnan(run.store.read(2, 0)).all()
    assert np.isnan(run.image_map(5, "left")).all()
    # Row 7 is black: it counts as an image, but has no field of view.
    assert run.coverage.max() == pytest.approx(0.9)
    ok = run.truth(tiny.LABELS)[run.finished_rows]
    assert run.statistics.set_index("map").loc["left", "n"] == ok[:, 0].sum()
    for label in run.maps:
        assert np.isfinite(run.maps[label]).all()
    assert peppr(run, "left", device="cpu", **QUICK).settings["images"] == 10


def test_no_image_at_all(inputs, tmp_path):
    table = tiny.write_cohort(tmp_path / "cohort", size=3)
    for path in (tmp_path / "cohort" / "images").iterdir():
        path.unlink()
    with pytest.raises(InputError, match="none of the 3 images could be read; the first: images"):
        explain(table, inputs / "resnet" / "model.yaml", tmp_path / "run")


def test_a_valid_area_that_is_empty(inputs, tmp_path):
    folder = tmp_path / "cohort"
    table = tiny.write_cohort(folder, size=8)
    Image.fromarray(np.zeros((32, 48, 3), np.uint8)).save(folder / "images" / "007.png")
    run = explain(table, inputs / "resnet" / "model.yaml", tmp_path / "run", valid_share=1.0)
    assert run.images["similarity_left"].isna().all()
    with pytest.raises(InputError, match="No pixel lies in the field of view of enough images"):
        peppr(run, "left", device="cpu", **QUICK)
    assert peppr(run, "left", device="cpu", valid_share=0.5, **QUICK).settings["valid_share"] == 0.5


# ---------------------------------------------------------------- resuming


class StopAt:
    """Cancels when a stage has done so much."""

    def __init__(self, stage, done):
        self.stage, self.done = stage, done

    def __call__(self, progress):
        if self.stage in progress.stage and progress.done >= self.done:
            raise Cancelled


def test_a_batch_of_no_images_is_refused_before_the_work(inputs, tmp_path):
    table, model = inputs / "cohort" / "cohort.csv", tiny.counting_classifier()
    with pytest.raises(InputError, match="batch_size: 0 is not 1 or more"):
        explain(table, model, tmp_path / "run", batch_size=0)
    assert not (tmp_path / "run").exists()


@pytest.fixture(scope="module")
def undisturbed(inputs, tmp_path_factory):
    out = tmp_path_factory.mktemp("undisturbed") / "run"
    return explain(inputs / "cohort" / "cohort.csv", tiny.counting_classifier(), out, batch_size=8)


@pytest.mark.parametrize(
    ("stage", "done", "repeated"),
    [
        ("Aligning", 16, 0),
        ("Explaining", 0, 0),
        ("Explaining", 8, 8),
        ("Explaining", 32, 32),  # the chunk is not written yet
        ("Explaining", 40, 8),
        ("Averaging", 1, 0),
        ("Comparing", 1, 0),
    ],
)
def test_a_resumed_run_is_bit_identical(stage, done, repeated, inputs, undisturbed, tmp_path):
    table = inputs / "cohort" / "cohort.csv"
    classifier = tiny.counting_classifier()
    _ = classifier.split, classifier.cell_grid
    classifier.network.seen.clear()
    with pytest.raises(Cancelled):
        explain(table, classifier, tmp_path / "run", batch_size=8, progress=StopAt(stage, done))
    with pytest.raises(InputError, match="not finished; explain it again with --resume"):
        open_run(tmp_path / "run")
    run = explain(table, classifier, tmp_path / "run", batch_size=8, resume=True)
    assert np.array_equal(tiny.attributions(run), tiny.attributions(undisturbed))
    for name in ("overall", "left", "left.sd", "right", "right.sd"):
        files = [folder / "maps" / f"{name}.tif" for folder in (run.folder, undisturbed.folder)]
        assert np.array_equal(*(tifffile.imread(path) for path in files))
    pd.testing.assert_frame_equal(run.images, undisturbed.images)
    pd.testing.assert_frame_equal(run.statistics, undisturbed.statistics)
    # Once every image, and again those whose chunk had not been written.
    frames = [frame.tobytes() for frame in classifier.to_input(run.stack.read(range(40))).numpy()]
    passed = [classifier.network.seen.count(frame) for frame in frames]
    assert min(passed) == 1
    assert sum(passed) == 40 + repeated


def test_a_journal_cut_short_repeats_one_chunk(inputs, undisturbed, tmp_path):
    """As after a power cut while the journal was being written."""
    table = inputs / "cohort" / "cohort.csv"
    with pytest.raises(Cancelled):
        explain(
            table, tiny.counting_classifier(), tmp_path / "run", batch_size=8,
            progress=StopAt("Averaging", 0),
        )  # fmt: skip
    journal = tmp_path / "run" / "attributions.jsonl"
    journal.write_bytes(journal.read_bytes()[:-30])
    run = explain(table, tiny.counting_classifier(), tmp_path / "run", batch_size=8, resume=True)
    assert np.array_equal(tiny.attributions(run), tiny.attributions(undisturbed))
    pd.testing.assert_frame_equal(run.images, undisturbed.images)


def test_resuming_a_finished_run_computes_nothing(inputs, tmp_path):
    table = inputs / "cohort" / "cohort.csv"
    classifier = tiny.counting_classifier()
    first = explain(table, classifier, tmp_path / "run")
    before = first.maps["left"].copy()
    classifier.network.seen.clear()
    again = explain(table, classifier, tmp_path / "run", resume=True)
    assert classifier.network.seen == []
    assert np.array_equal(again.maps["left"], before)


def test_batch_size_may_change_on_resume(inputs, tmp_path):
    run_linear(inputs, tmp_path / "run", batch_size=4)
    assert run_linear(inputs, tmp_path / "run", batch_size=9, resume=True).info["status"]


@pytest.mark.parametrize(
    ("changes", "what"),
    [
        ({"method": "integrated-gradients"}, "settings"),
        ({"method_settings": {"channel_reduction": "max"}}, "settings"),
        ({"labels": ["left"]}, "settings"),
        ({"aggregation": {"scale": "max"}}, "settings"),
        ({"valid_share": 0.4}, "settings"),
        ({"seed": 1}, "settings"),
    ],
)
def test_a_run_of_other_settings_is_refused(changes, what, inputs, tmp_path):
    with pytest.raises(Cancelled):
        run_linear(inputs, tmp_path / "run", progress=StopAt("Aligning", 0))
    with pytest.raises(InputError, match=f"run was made with another {what}"):
        run_linear(inputs, tmp_path / "run", resume=True, **changes)


def test_a_run_of_another_model_is_refused(inputs, tmp_path):
    """Also where the model came from no file, and where only the CAM layer differs."""
    table = inputs / "cohort" / "cohort.csv"
    explain(table, tiny.counting_classifier(), tmp_path / "run")
    other_layer = tiny.counting_classifier()
    other_layer.card = other_layer.card.model_copy(update={"cam_layer": "network.layer3"})
    for other in (tiny.counting_classifier(seed=1), other_layer):
        with pytest.raises(InputError, match="run was made with another model"):
            explain(table, other, tmp_path / "run", resume=True)


def test_a_run_of_another_cohort_is_refused(inputs, tmp_path):
    """Its maps would stand beside the PEPPR results of this one."""
    run_linear(inputs, tmp_path / "run")
    other = tiny.write_cohort(tmp_path / "other", size=8)
    with pytest.raises(InputError, match="run was made with another cohort"):
        explain(other, inputs / "linear" / "linear.yaml", tmp_path / "run", "saliency", resume=True)


def test_a_folder_that_is_taken_is_refused(inputs, tmp_path):
    run_linear(inputs, tmp_path / "run")
    with pytest.raises(InputError, match="holds a run already"):
        run_linear(inputs, tmp_path / "run")
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.txt").write_text("years of work")
    (tmp_path / "file").write_text("")
    for name in ("mine", "file"):
        for resume in (False, True):
            with pytest.raises(InputError, match="is not empty and not a run"):
                run_linear(inputs, tmp_path / name, resume=resume)
    assert [path.name for path in (tmp_path / "mine").iterdir()] == ["thesis.txt"]


# ---------------------------------------------------------------- bad input


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"method": "grad-cam"}, "No layer with a spatial output was found|cannot be split"),
        ({"method": "gradcam"}, "no attribution method 'gradcam'"),
        ({"labels": ["DR"]}, "The model has no label 'DR'; its labels are left, right"),
        ({"labels": []}, "No label was chosen"),
        ({"aggregation": {"part": "negative"}}, "aggregation setting part"),
        ({"aggregation": {"colour": "red"}}, "aggregation setting colour"),
    ],
)
def test_bad_options_are_refused_before_anything_is_made(options, message, inputs, tmp_path):
    with pytest.raises(InputError, match=message):
        run_linear(inputs, tmp_path / "run", **options)
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    "names", [("overall", "b"), ("a/b", "a:b"), ("a", "a.sd"), ("OVERALL", "b")]
)
def test_labels_whose_files_would_overwrite_each_other(names, tmp_path):
    folder = tmp_path / "cohort"
    tiny.write_cohort(folder, size=4)
    text = (folder / "cohort.csv").read_text()
    (folder / "cohort.csv").write_text(text.replace("left,right", ",".join(names), 1))
    card = ModelCard(weights="", labels=names, input=tiny.input_card())
    classifier = Classifier(tiny.LinearNet(tiny.sign_weights()), card, device="cpu")
    with pytest.raises(InputError, match="is taken by a file of the run folder"):
        explain(folder / "cohort.csv", classifier, tmp_path / "run", "saliency")


def test_open_run_refuses_other_folders(tmp_path):
    with pytest.raises(InputError, match=r"is not a run folder, it has no run\.json"):
        open_run(tmp_path)


# ---------------------------------------------------------------- PEPPR on a run


@pytest.fixture(scope="module")
def linear_run(inputs, tmp_path_factory):
    return run_linear(inputs, tmp_path_factory.mktemp("linear") / "run")


def test_peppr_along_the_runs_own_maps(linear_run):
    run = open_run(linear_run.folder)
    result = peppr(run, "left", device="cpu", **QUICK)
    assert list(result.verdict) == ["left"]
    assert (result.evaluated_on, result.folds) == ("cross-fitted", 5)
    assert list(peppr(run.folder, device="cpu", **QUICK).verdict) == ["macro mean"]
    everything = peppr(run, judge_labels=True, device="cpu", **QUICK)
    assert list(everything.verdict) == [*tiny.LABELS, "macro mean"]
    for name in ("left.csv", "left.json", "left.npz", "overall.csv", "overall.json"):
        assert (run.folder / "peppr" / name).is_file()
    assert run.peppr_names == ["overall", "left"]
    assert run.peppr_result("left").verdict == result.verdict
    with pytest.raises(InputError, match="PEPPR was not run along 'right'"):
        run.peppr_result("right")
    table = pd.read_csv(run.folder / "peppr" / "left.csv")
    assert set(table["order"]) == {
        "map", "shifted", "surrogate", "random", "reversed", "centre-distance", "mean-intensity",
        "sd-image", "map of right", "map of images without left", "map of random weights",
    }  # fmt: skip
    assert set(table["metric"]) == {
        "roc_auc", "average_precision", "mean_probability", "mean_logit", "logit_gap_share",
        "sensitivity", "specificity",
    }  # fmt: skip
    assert set(table["arm"]) == {"erase", "restore"}
    verdicts = pd.read_csv(run.folder / "peppr" / "verdicts.csv")
    assert verdicts["map"].tolist() == ["overall"] * 3 + ["left"]
    assert (verdicts["p_holm"] >= verdicts["p"]).all()


def test_each_fold_is_tested_along_a_map_of_the_other_patients(linear_run):
    """Against maps made of rows that are picked by hand."""
    run = open_run(linear_run.folder)
    for name, judged in (("left", "left"), ("overall", "macro mean")):
        result = peppr(run, name, device="cpu", folds=3, **QUICK)
        patients = run.images["patient"].to_numpy()
        assert list(result.verdict) == [judged]
        for fold in range(3):
            inside = result.rows[result.fold_of == fold]
            others = ~np.isin(np.arange(len(run.images)), inside)
            assert not set(patients[others]) & set(patients[inside])
            image = run.maps_of(others)[name].mean
            assert np.array_equal(result.order_for(inside[0]), order_by_map(image, run.valid, 0))
    same = peppr(run, "left", device="cpu", folds=1, **QUICK)
    assert (same.evaluated_on, same.folds) == ("same images", 1)
    assert "the same that the map is made of" in same.verdict["left"].tested
    # A map of too few patients is not made.
    few = peppr(run, "left", device="cpu", **{**QUICK, "fewest_positives": 17})
    assert few.evaluated_on == "same images"


def test_a_map_of_another_run_is_an_honest_one_too(linear_run, inputs, tmp_path):
    other = run_linear(inputs, tmp_path / "other")
    result = peppr(linear_run, "left", map_from=other.folder, device="cpu", **QUICK)
    assert (result.map_name, result.evaluated_on) == ("left-of-other", "another run")
    assert "along a map of another run" in result.verdict["left"].tested
    assert np.array_equal(result.order, order_by_map(other.maps["left"], linear_run.valid, 0))
    with pytest.raises(InputError, match="has no map 'none'"):
        peppr(linear_run, "none", map_from=other.folder, device="cpu", **QUICK)


def test_peppr_evaluates_the_finished_images(linear_run):
    evaluation = make_evaluation(linear_run)
    assert np.array_equal(evaluation.rows, np.arange(40))
    np.testing.assert_allclose(
        evaluation.fill.image, linear_run.stack.read(range(40)).mean(axis=0), rtol=1e-5
    )
    assert evaluation.valid.all()


def test_peppr_along_a_file(linear_run, tmp_path):
    image = np.zeros((32, 48), np.float32)
    image[tiny.SIGNS["right"]] = 1
    tifffile.imwrite(tmp_path / "my map.tif", image)
    result = peppr(linear_run, str(tmp_path / "my map.tif"), device="cpu", **QUICK)
    assert result.map_name == "my_map"
    assert set(result.verdict) == set(tiny.LABELS)
    assert result.evaluated_on == "a map from a file"
    assert set(result.order[: 8 * 8]) == set(np.flatnonzero(image))
    # A file of the name of the run's own map does not take the place of its result.
    tifffile.imwrite(tmp_path / "left.tif", image)
    assert (
        peppr(linear_run, str(tmp_path / "left.tif"), device="cpu", **QUICK).map_name == "file-left"
    )


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, r"is neither a map of the run \(overall, left, right\) nor a TIFF file"),
        (b"no tiff", "cannot be read as a TIFF file"),
        (np.zeros((3, 32, 48), np.float32), "a map is one grey image"),
        (np.zeros((10, 10), np.float32), "is 10 × 10 pixels, but the frame is 32 × 48"),
    ],
)
def test_maps_that_cannot_be_used(content, message, linear_run, tmp_path):
    path = tmp_path / "x.tif"
    if isinstance(content, bytes):
        path.write_bytes(content)
    elif content is not None:
        tifffile.imwrite(path, content, photometric="minisblack")
    with pytest.raises(InputError, match=message):
        peppr(linear_run, str(path), device="cpu", **QUICK)


@pytest.mark.parametrize(
    "settings", [{"fill": "white"}, {"steps": 1}, {"controls": -1}, {"colour": 1}]
)
def test_peppr_settings_that_do_not_exist(settings, linear_run):
    (name,) = settings
    with pytest.raises(InputError, match=f"PEPPR setting {name}") as why:
        peppr(linear_run, "left", **settings)
    assert "\n" not in str(why.value)


def copy_model(inputs, folder, **changes):
    folder.mkdir()
    for path in (inputs / "linear").iterdir():
        (folder / path.name).write_bytes(path.read_bytes())
    card = yaml.safe_load((folder / "linear.yaml").read_text())
    (folder / "linear.yaml").write_text(yaml.safe_dump({**card, **changes}))
    return folder / "linear.yaml"


def test_a_model_that_has_moved_or_changed(inputs, tmp_path):
    card = copy_model(inputs, tmp_path / "old")
    table = inputs / "cohort" / "cohort.csv"
    explain(table, card, tmp_path / "run", "saliency")
    (tmp_path / "old").rename(tmp_path / "new")
    with pytest.raises(InputError, match=r"linear\.yaml: the model does not exist"):
        peppr(tmp_path / "run", "left", **QUICK)
    moved = tmp_path / "new" / "linear.yaml"
    assert peppr(tmp_path / "run", "left", model=moved, device="cpu", **QUICK).verdict
    other_card = copy_model(inputs, tmp_path / "card", activation="softmax")
    tiny.write_linear(tmp_path / "weights", tiny.sign_weights() * 2)
    for other in (other_card, tmp_path / "weights" / "linear.yaml"):
        with pytest.raises(InputError, match="is not the model that"):
            peppr(tmp_path / "run", "left", model=other, device="cpu", **QUICK)


def test_a_run_of_a_model_without_a_file_can_be_evaluated_while_it_is_there(inputs, tmp_path):
    run = explain(
        inputs / "cohort" / "cohort.csv", tiny.linear_classifier(), tmp_path / "run", "saliency"
    )
    assert peppr(run, "left", **QUICK).verdict
    with pytest.raises(InputError, match="does not know its model; name it with --model"):
        peppr(tmp_path / "run", "left", **QUICK)


# ---------------------------------------------------------------- check


def test_check_lists_every_problem_at_once(inputs, tmp_path):
    folder = tmp_path / "cohort"
    table = tiny.write_cohort(folder, size=6)
    (folder / "images" / "000.png").unlink()
    (folder / "images" / "001.png").write_text("no picture")
    lines = table.read_text().splitlines()
    lines[3] = lines[3].replace(",L,", ",middle,")
    lines += [lines[4], ",P9,L,70,0,0"]
    table.write_text("\n".join(lines) + "\n")
    found = check_inputs(read_cohort(table), inputs / "linear" / "linear.yaml", device="cpu")
    text = "\n".join(found.problems)
    for part in (
        "laterality that is not understood ('middle')",
        "methods that need no split: saliency, input-x-gradient",
        "row 7 repeats an earlier row",
        "1 image has no laterality",
        "1 of 6 files does not exist (images/000.png)",
        "images/001.png: cannot be read as an image",
        "row 8 of cohort.csv names no file",
    ):
        assert part in text
    assert any("left: 4 images with it, 4 without" in fact for fact in found.facts)


@pytest.mark.parametrize("method", ["saliency", "grad-cam"])
def test_check_lists_that_there_is_no_cam_layer_where_one_is_needed(inputs, method):
    found = check_inputs(
        read_cohort(inputs / "cohort" / "cohort.csv"), inputs / "linear" / "linear.yaml",
        ExplainSettings(method=method), device="cpu",
    )  # fmt: skip
    needs = [each for each in found.problems if "methods that need no split" in each]
    assert len(needs) == (method == "grad-cam")
    assert not any("Grad-CAM" in fact for fact in found.facts)


def test_check_finds_nothing_where_nothing_is_wrong(inputs):
    cohort = read_cohort(inputs / "cohort" / "cohort.csv")
    seen = []
    found = check_inputs(
        cohort, inputs / "resnet" / "model.yaml", device="cpu", progress=seen.append
    )
    assert list(found.problems) == []
    assert "Grad-CAM layer: layer4" in found.facts
    assert (seen[-1].done, seen[-1].total) == (40, 40)
