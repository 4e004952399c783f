"""Maps of some of a run's images, kept under a name, against slow loops over its store."""

import json
import sys

import numpy as np
import pandas as pd
import pytest
import scipy.stats
import tifffile
import tiny

import napari_globalxai as gx
from napari_globalxai import cli
from napari_globalxai.errors import InputError
from napari_globalxai.maps.upsampling import upsample
from napari_globalxai.runs.questions.selections import open_selection, selection_names
from napari_globalxai.storage import read_json


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    folder = tmp_path_factory.mktemp("selections")
    tiny.write_cohort(folder / "cohort", size=24)
    table = pd.read_csv(folder / "cohort" / "cohort.csv", dtype=str)
    table["site"] = ["A", "B", "B"] * 8
    table["age"] = [str(40 + row) for row in range(24)]
    table.to_csv(folder / "cohort" / "cohort.csv", index=False)
    return gx.explain(
        folder / "cohort" / "cohort.csv", tiny.write_resnet(folder / "model"), folder / "run"
    )


def raw_maps(run, label, rows):
    """Maps of some images as they are stored, float64."""
    return tiny.attributions(run)[rows, run.labels.index(label)].astype(np.float64)


def rows_of(run, label, kind, threshold=0.5):
    truth, probability = run.images[label], run.images[f"probability_{label}"]
    found = []
    for row in range(len(run.images)):
        with_label, predicted = truth[row] == 1, probability[row] >= threshold
        if {
            "positives": with_label,
            "negatives": not with_label,
            "true-positives": with_label and predicted,
            "false-positives": not with_label and predicted,
            "false-negatives": with_label and not predicted,
            "true-negatives": not with_label and not predicted,
            "predicted-positives": predicted,
            "all": True,
        }[kind]:
            found.append(row)
    return found


KINDS = (
    *("positives", "negatives", "true-positives", "false-positives", "false-negatives"),
    *("true-negatives", "predicted-positives", "all"),
)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("threshold", [0.5, 0.502])
def test_by_prediction_and_column(kind, threshold, run):
    chosen = {"selection": kind, "threshold": threshold}
    found = run.maps_of(where="site == 'B' and age >= 45", **chosen)
    for label in run.labels:
        rows = [row for row in rows_of(run, label, kind, threshold) if row % 3 and 40 + row >= 45]
        assert found[label].selected.tolist() == rows
        if rows:
            mean = raw_maps(run, label, rows).clip(0).mean(axis=0)
            np.testing.assert_allclose(
                found[label].image, upsample(mean, run.store.grid), rtol=1e-5, atol=1e-9
            )


def test_the_four_outcomes_part_the_images(run):
    for label in run.labels:
        parts = [
            run.maps_of(selection=kind)[label].selected.tolist()
            for kind in ("true-positives", "false-positives", "false-negatives", "true-negatives")
        ]
        assert sorted(row for part in parts for row in part) == list(range(24))


def slow_cells(statistic, maps, patients):
    positive = maps.clip(0)
    if statistic == "standard-error":
        mean = positive.mean(axis=0)
        total = 0
        for patient in set(patients):
            mine = [positive[at] - mean for at, each in enumerate(patients) if each == patient]
            total = total + np.sum(mine, axis=0) ** 2
        count = len(set(patients))
        return np.sqrt(count / (count - 1) * total) / len(maps)
    return {
        "mean": lambda: positive.mean(axis=0),
        "signed-mean": lambda: maps.mean(axis=0),
        "median": lambda: np.median(positive, axis=0),
        "trimmed-mean": lambda: scipy.stats.trim_mean(positive, 0.1, axis=0),
        "sd": lambda: positive.std(axis=0, ddof=1),
        "positive-share": lambda: np.mean([image > 0 for image in maps], axis=0),
    }[statistic]()


@pytest.mark.parametrize(
    "statistic",
    ["mean", "signed-mean", "median", "trimmed-mean", "sd", "standard-error", "positive-share"],
)
def test_each_statistic(statistic, run):
    found = run.maps_of(statistic=statistic, selection="all")
    patients = run.images["patient"].tolist()
    for label in run.labels:
        maps = raw_maps(run, label, list(range(24)))
        expected = upsample(slow_cells(statistic, maps, patients), run.store.grid)
        np.testing.assert_allclose(found[label].image, expected, rtol=2e-5, atol=1e-9)
        assert found[label].statistic == statistic
    scaled = [found[label].image / np.abs(found[label].image).sum() for label in run.labels]
    np.testing.assert_allclose(found["overall"].image, np.mean(scaled, axis=0), rtol=1e-4)


def test_the_share_does_not_hang_on_the_part(run):
    found = [
        run.maps_of(statistic="positive-share", selection="all", part=part)["left"].image
        for part in ("positive", "absolute", "signed")
    ]
    assert np.array_equal(found[0], found[1])
    assert np.array_equal(found[0], found[2])


def test_standard_error_with_one_image_a_patient_is_that_of_a_mean(run):
    rows = run.images.drop_duplicates("patient").index.to_numpy()
    image = run.maps_of(rows, selection="all")["left"]
    np.testing.assert_allclose(
        image.standard_error, image.sd / np.sqrt(len(rows)), rtol=1e-4, atol=1e-9
    )


def test_like_the_paper(run):
    found = run.maps_of(like_the_paper=True)
    for label in run.labels:
        maps = raw_maps(run, label, rows_of(run, label, "positives")).clip(0)
        scaled = [image / image.max() if image.max() > 0 else image for image in maps]
        expected = upsample(np.mean(scaled, axis=0), run.store.grid)
        np.testing.assert_allclose(found[label].image, expected, rtol=1e-5)
    with pytest.raises(InputError, match="Like the paper means scale max, but mass was asked for"):
        run.maps_of(like_the_paper=True, scale="mass")
    with pytest.raises(InputError, match="but part absolute was asked for"):
        run.maps_of(statistic="signed-mean", part="absolute")


# ---------------------------------------------------------------- what is kept


def test_the_folder_of_a_selection(run):
    kept = gx.make_maps(run, "site B", where="site == 'B'", statistic="median", smoothing=1.0)
    folder = run.folder / "selections" / "site_B"
    assert kept.folder == folder
    names = {path.name for path in folder.iterdir()}
    assert names == {"selection.json", "maps.csv", "overall.tif"} | {
        f"{label}{kind}.tif" for label in run.labels for kind in ("", ".sd", ".se")
    }
    made = run.maps_of(where="site == 'B'", statistic="median", smoothing=1.0)
    for label in run.labels:
        assert np.array_equal(tifffile.imread(folder / f"{label}.tif"), made[label].image)
        assert np.array_equal(tifffile.imread(folder / f"{label}.sd.tif"), made[label].sd)
        assert np.array_equal(
            tifffile.imread(folder / f"{label}.se.tif"), made[label].standard_error
        )
        assert kept.record["labels"][label]["n"] == made[label].n
    table = pd.read_csv(folder / "maps.csv")
    assert table["map"].tolist() == ["overall", *run.labels]
    assert set(table["statistic"]) == {"median"}
    assert set(table["smoothing"]) == {1.0}
    record = read_json(folder / "selection.json")
    assert (record["where"], record["images"]) == ("site == 'B'", 16)
    assert record["settings"]["selection"] == "positives"
    again = open_selection(run, "site B")
    assert np.array_equal(again.maps["left"], made["left"].image)
    assert "site B" in selection_names(run)


def test_a_selection_takes_the_place_of_an_older_one(run):
    gx.make_maps(run, "twice")
    kept = gx.make_maps(run, "twice", labels=["right"])
    assert {path.stem for path in kept.folder.glob("*.tif")} == {
        "overall", "right", "right.sd", "right.se",
    }  # fmt: skip


def test_two_names_of_one_folder(run):
    gx.make_maps(run, "a b", labels=["left"])
    with pytest.raises(InputError, match="is taken by the selection 'a b'"):
        gx.make_maps(run, "a:b", labels=["left"])


def test_empty_and_single_selections_are_stated(run):
    kept = gx.make_maps(run, "none", where="age > 200 or site == 'b'")
    assert [each for each in kept.warnings if "no image" in each.lower()] == [
        "No image has site 'b', but 'A', 'B'.",
        "No image of the run matches \"age > 200 or site == 'b'\"; all maps are empty.",
        *(f"{label}: no image: this map is empty" for label in run.labels),
    ]
    assert not kept.maps["left"].any()
    assert kept.statistics["n"].tolist() == [0, 0, 0]
    row = int(np.flatnonzero(run.images["left"] == 1)[0])
    kept = gx.make_maps(run, "one", where=f"row == {row}", labels=["left"], fewest_images=1)
    assert kept.warnings == ["left: only 1 image: this is its map, and no global one"]
    assert np.isnan(tifffile.imread(kept.folder / "left.sd.tif")).all()


@pytest.mark.parametrize(
    ("name", "settings", "says"),
    [
        (" ", {}, "has no name"),
        ("x", {"where": "colour == 1"}, "names the column 'colour'"),
        ("x", {"where": "__import__('os')"}, "leave it out"),
        ("x", {"labels": ["up"]}, "has no label 'up'"),
        ("x", {"statistic": "mode"}, "'mode' is not one of mean"),
    ],
)
def test_what_is_refused(name, settings, says, run):
    with pytest.raises(InputError, match=says):
        gx.make_maps(run, name, **settings)


def test_the_command(run, monkeypatch, capsys):
    arguments = [
        "maps", str(run.folder), "--name", "../odd name", "--where", "`site` == 'A'",
        "--select", "all", "--scale", "mass", "--part", "absolute", "--statistic", "trimmed-mean",
        "--json",
    ]  # fmt: skip
    monkeypatch.setattr(sys, "argv", ["napari-globalxai", *arguments])
    with pytest.raises(SystemExit) as end:
        cli.main()
    assert not end.value.code
    found = json.loads(capsys.readouterr().out)
    assert found["labels"]["left"]["n"] == 8
    assert found["folder"] == str(run.folder / "selections" / ".._odd_name")
    kept = open_selection(run, "../odd name")
    expected = run.maps_of(
        where="site == 'A'", selection="all", scale="mass", part="absolute",
        statistic="trimmed-mean",
    )  # fmt: skip
    assert np.array_equal(kept.maps["right"], expected["right"].image)
