"""The command `peppr` and what it writes."""

import json
import shutil
import sys

import numpy as np
import pandas as pd
import pytest
import tifffile
import tiny

import napari_globalxai as gx
from napari_globalxai import cli
from napari_globalxai.errors import Cancelled
from napari_globalxai.progress import ignore_progress, stopped_by
from napari_globalxai.report.more_tables import more_tables
from napari_globalxai.runs.peppr.compare_maps import compare_maps
from napari_globalxai.runs.peppr.evaluate import make_evaluation
from napari_globalxai.runs.peppr.evaluate_otherwise import peppr_as_published
from napari_globalxai.runs.peppr.evaluate_regions import peppr_regions

QUICK = ["--steps", "4", "--control-steps", "3", "--controls", "1", "--bootstrap", "20"]
QUICK += ["--device", "cpu"]


@pytest.fixture(scope="module")
def explained(tmp_path_factory):
    folder = tmp_path_factory.mktemp("explained")
    cohort = tiny.write_cohort(folder / "cohort", size=24)
    return gx.explain(cohort, tiny.write_linear(folder), folder / "run", "saliency").folder


@pytest.fixture
def run(explained, tmp_path):
    return shutil.copytree(explained, tmp_path / "run")


@pytest.fixture
def command(monkeypatch, capsys):
    def call(*arguments):
        monkeypatch.setattr(sys, "argv", ["napari-globalxai", *map(str, arguments)])
        with pytest.raises(SystemExit) as end:
            cli.main()
        captured = capsys.readouterr()
        return end.value.code or 0, captured.out, captured.err

    return call


def test_images_are_tested_with_each_fill_and_maps_say_that_they_are_not(run, command):
    fills = ("--fill", "black", "--fill", "mean-image")
    status, out, _ = command("peppr", run, "--per-image", "--map", "left", *fills, *QUICK, "--json")
    assert status == 0
    told = json.loads(out)
    assert set(told["per_image_by_fill"]) == {"black", "mean-image"}
    assert told["per_image"] == told["per_image_by_fill"]["black"]
    for stem in ("left.black.per-image", "left.per-image"):
        assert (run / "peppr" / f"{stem}.csv").is_file()
    _, out, _ = command("peppr", run, "--per-image", "--map", "left", *fills, *QUICK)
    assert "(fill black)." in out
    assert "(fill mean-image)." in out
    # Questions that take one say which.
    _, out, _ = command("peppr", run, "--protocol", "paper", *fills, *QUICK)
    assert "Of the fills, black alone is taken here." in out


def said(run, name):
    return json.loads((run / "peppr" / f"{name}.json").read_text())


def two_regions(folder):
    image = np.zeros((tiny.HEIGHT, tiny.WIDTH), np.uint8)
    image[tiny.SIGNS["left"]], image[:4] = 1, 2
    tifffile.imwrite(folder / "two.tif", image)
    return folder / "two.tif"


def test_several_fills_in_one_call(run, command):
    status, out, _ = command(
        "peppr", run, "--map", "left", "--fill", "mean-image", "--fill", "neighbour", *QUICK
    )
    assert status == 0
    assert "fills: all 2 fills say not enough data" in out
    for name in ("left", "left.neighbour"):
        assert said(run, name)["fills"]["left"]["agree"] is True
        assert (run / "peppr" / f"{name}.csv").is_file()
    assert said(run, "left.neighbour")["settings"]["fill"] == "neighbour"
    assert said(run, "left.neighbour")["fill_facts"]["donors"] > 1
    opened = gx.open_run(run)
    (table,) = more_tables(run / "peppr")
    assert [row["Fill"] for row in table.rows] == ["mean-image", "neighbour"]
    assert table.notes == ["left, left: all 2 fills say not enough data."]
    assert opened.peppr_names == ["left"]
    assert opened.peppr_fills("left") == ["mean-image", "neighbour"]
    assert opened.peppr_result("left").settings["fill"] == "mean-image"
    assert opened.peppr_result("left", "neighbour").settings["fill"] == "neighbour"
    with pytest.raises(gx.InputError, match="not run along 'left' with the fill 'black'"):
        opened.peppr_result("left", "black")


def test_fills_that_cannot_be_used_are_one_line(run, command):
    for fill, message in (("image:none.png", "none.png: does not exist"), ("x", "no fill 'x'")):
        status, _, err = command("peppr", run, "--fill", fill, *QUICK)
        assert status == 2
        assert message in err.strip().splitlines()[-1]


def test_the_whole_frame(run, command):
    status, _, _ = command("peppr", run, "--map", "left", "--area", "frame", *QUICK)
    assert status == 0
    settings = said(run, "left")["settings"]
    assert settings["area"] == "frame"
    assert settings["valid_pixels"] == tiny.HEIGHT * tiny.WIDTH
    assert said(run, "left")["mass_outside"] == 0


def test_regions(run, command, tmp_path):
    image = np.zeros((tiny.HEIGHT, tiny.WIDTH), np.uint8)
    image[tiny.SIGNS["left"]] = 3
    tifffile.imwrite(tmp_path / "regions.tif", image)
    status, out, _ = command("peppr", run, "--regions", tmp_path / "regions.tif", *QUICK)
    assert status == 0
    assert "erasing region-3 takes the AUC of left from 1.000" in out
    table = pd.read_csv(run / "peppr" / "regions.csv")
    assert set(table["label"]) == {"left", "right"}
    assert set(table["arm"]) == {"erase", "keep"}
    assert said(run, "regions")["settings"]["file"].endswith("regions.tif")
    # Regions alone: no map was tested.
    assert gx.open_run(run).peppr_names == []
    status, _, _ = command(
        "peppr", run, "--regions", tmp_path / "regions.tif", "--map", "left", *QUICK
    )
    assert status == 0
    assert gx.open_run(run).peppr_names == ["left"]
    assert set(pd.read_csv(run / "peppr" / "regions.csv")["label"]) == {"left"}


def test_a_second_file_of_regions_stands_beside_the_first(run, command, tmp_path):
    image = np.zeros((tiny.HEIGHT, tiny.WIDTH), np.uint8)
    for name, place in (("corner", np.s_[:5, :5]), ("mark", tiny.SIGNS["left"])):
        image[:] = 0
        image[place] = 1
        tifffile.imwrite(tmp_path / f"{name}.tif", image)
        asked = ("peppr", run, "--regions", tmp_path / f"{name}.tif", *QUICK)
        _, out, _ = command(*asked, "--json")
    told = json.loads(out)
    assert {row["file"] for row in told["regions_kept"]} == {"corner.tif", "mark.tif"}
    assert len(told["regions_kept"]) == 2 * len(told["regions"])
    table = pd.read_csv(run / "peppr" / "regions.csv")
    assert set(table["file"]) == {"corner.tif", "mark.tif"}
    (shown,) = (each for each in more_tables(run / "peppr") if each.anchor == "regions")
    assert {"corner", "mark"} <= {row["Region"] for row in shown.rows}
    _, out, _ = command("peppr", run, "--regions", tmp_path / "corner.tif", *QUICK)
    assert ".json, beside mark" in out
    assert len(pd.read_csv(run / "peppr" / "regions.csv")) == len(table)


def test_images_one_by_one(run, command):
    status, out, _ = command("peppr", run, "--per-image", "--map", "left", *QUICK)
    assert status == 0
    assert "This is not the cohort's PEPPR" in out
    assert "left, image by image along their own maps" in out
    table = pd.read_csv(run / "peppr" / "left.per-image.csv")
    assert len(table) == 12
    # The linear model's own saliency names the sign, and nothing else counts.
    assert (table["delta"] > 0.1).all()
    assert gx.open_run(run).peppr_names == []


def test_as_published(run, command):
    status, out, _ = command("peppr", run, "--protocol", "paper", "--json", *QUICK)
    assert status == 0
    assert len(json.loads(out)["chosen"]) > 4
    written = said(run, "overall.paper")
    assert set(written["labels"]) == {"left", "right", "macro mean"}
    assert written["protocol"]["name"] == "paper"
    assert gx.open_run(run).peppr_names == []
    status, _, err = command("peppr", run, "--protocol", "paper", "--map", "left", *QUICK)
    assert status == 2
    assert "leave --map out" in err


def test_maps_and_runs_are_compared(explained, run, command, tmp_path):
    other = shutil.copytree(explained, tmp_path / "other")
    image = tifffile.imread(other / "maps" / "left.tif")
    tifffile.imwrite(other / "maps" / "left.tif", np.roll(image, 20, axis=1))
    status, out, _ = command("peppr", run, "--map", "left", "--against", other, *QUICK)
    assert status == 0
    assert "left: run:left is followed better than other:left" in out or "no difference" in out
    table = pd.read_csv(run / "peppr" / "compared.csv")
    assert list(table["a"]) == ["run:left"]
    assert table["difference"].iloc[0] > 0
    for suffix in ("png", "svg"):
        assert (run / "figures" / f"peppr_comparison.{suffix}").stat().st_size > 1000
    assert set(said(run, "compared")["settings"]["runs"]) == {"run", "other"}
    status, _, _ = command("peppr", run, "--map", "left", "--map", "right", *QUICK)
    assert status == 0
    assert set(pd.read_csv(run / "peppr" / "compared.csv")["label"]) == {"left", "right"}


def test_what_goes_together_is_asked_and_else_one_line_says_what_to_leave_out(run, command):
    other = ("--against", run)
    for asked, words in (
        (("--protocol", "paper", *other), "--protocol: the published one is run by itself; leave"),
        (("--protocol", "paper", "--per-image"), "leave --per-image out"),
        (("--protocol", "ours"), "--protocol: 'ours' is not one of with-controls, paper"),
        (("--per-image", *other, "--map", "left", "--map", "right"), "leave --against and --map"),
        (("--regions", "r.tif", *other), "--regions: are those of this run alone; leave --against"),
        (("--regions", "r.tif", "--map", "left", "--map", "right"), "can only be compared"),
    ):
        status, _, err = command("peppr", run, *asked, *QUICK)
        assert status == 2
        assert words in err
        assert len(err.splitlines()) == 1
    assert not (run / "peppr").exists() or not list((run / "peppr").glob("*.json"))


@pytest.mark.parametrize("asked", ["compared", "overall.paper", "regions"])
def test_what_was_stopped_goes_on_from_its_predictions(asked, run, tmp_path):
    few = {"steps": 12, "fill": "black", "batch_size": 4}

    def ask(folder, progress):
        if asked == "compared":
            return compare_maps(folder, ["left", "right"], progress=progress, **few)
        if asked == "regions":
            return peppr_regions(folder, two_regions(tmp_path), progress=progress, **few)
        return peppr_as_published(folder, progress=progress, **few)

    def stop(progress):
        if progress.done > progress.total // 2:
            raise Cancelled

    whole = shutil.copytree(run, tmp_path / "whole")
    ask(whole, ignore_progress)
    with pytest.raises(Cancelled):
        ask(run, stop)
    stem = {"overall.paper": "overall.black.paper", "regions": "regions.black"}.get(asked, asked)
    assert not (run / "peppr" / f"{stem}.csv").exists()
    kept = {path: path.stat().st_mtime_ns for path in run.glob("peppr/controls/*.npy")}
    assert 0 < len(kept) < len(list(whole.glob("peppr/controls/*")))
    ask(run, ignore_progress)
    assert kept == {path: path.stat().st_mtime_ns for path in kept}
    # What was read is what was predicted.
    names = [path.name for path in whole.glob("peppr/controls/*")]
    assert sorted(names) == sorted(path.name for path in run.glob("peppr/controls/*"))
    one, other = ((each / "peppr" / f"{stem}.csv").read_bytes() for each in (run, whole))
    assert one == other


@pytest.mark.parametrize("fill", ["mean-image", "noisy-linear"])
def test_predictions_that_tell_of_no_progress_stop_within_a_batch(fill, explained):
    run, places = gx.open_run(explained), []
    model = run.classifier(device="cpu")
    evaluation = make_evaluation(run, fill=fill, batch_size=4, classifier=model)
    valid = evaluation.valid.copy()
    valid[:20] = False
    # What is in memory by now is read no more.
    evaluation.predict([valid])
    with stopped_by(lambda: places.append(1)):
        evaluation.predict([valid])
    batches = len(evaluation.rows) // 4
    assert len(places) >= batches > 3
    left = len(places) // 2

    def stop():
        nonlocal left
        left -= 1
        if left == 0:
            raise Cancelled

    with stopped_by(stop), pytest.raises(Cancelled):
        evaluation.predict([valid])


def test_runs_of_another_cohort_cannot_be_compared(run, tmp_path):
    cohort = tiny.write_cohort(tmp_path / "cohort", size=6)
    table = pd.read_csv(cohort)
    for name in table["filename"]:
        path = tmp_path / "cohort" / name
        path.rename(path.with_name(f"other-{path.name}"))
    table["filename"] = [name.replace("images/", "images/other-") for name in table["filename"]]
    table.to_csv(cohort, index=False)
    other = gx.explain(cohort, tiny.write_linear(tmp_path), tmp_path / "other", "saliency")
    with pytest.raises(gx.InputError, match="shares no images"):
        gx.compare_maps(run, ["left"], against=[other], device="cpu", steps=4)
