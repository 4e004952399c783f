"""The command line: exit status, and one line that names the file and the mend."""

import os
import signal
import subprocess
import sys

import pandas as pd
import pytest
import tiny
import torch
import yaml

import napari_globalxai
from napari_globalxai import cli
from napari_globalxai.runs.run import open_run

PEPPR = ["--steps", "4", "--controls", "1", "--device", "cpu"]


@pytest.fixture(scope="module")
def inputs(tmp_path_factory):
    folder = tmp_path_factory.mktemp("inputs")
    tiny.write_cohort(folder / "cohort", size=12)
    tiny.write_linear(folder / "linear")
    tiny.write_resnet(folder / "resnet")
    return folder


@pytest.fixture
def command(monkeypatch, capsys):
    """Run a command; give its exit status, stdout and stderr."""

    def run(*arguments):
        monkeypatch.setattr(sys, "argv", ["napari-globalxai", *map(str, arguments)])
        with pytest.raises(SystemExit) as end:
            cli.main()
        captured = capsys.readouterr()
        return end.value.code or 0, captured.out, captured.err

    return run


def explain(inputs, out, *more, cohort=None, model=None, method="saliency"):
    return [
        "explain", cohort or inputs / "cohort" / "cohort.csv", "--model",
        model or inputs / "linear" / "linear.yaml", "--out", out, "--method", method,
        "--device", "cpu", *more,
    ]  # fmt: skip


def the_error(stderr):
    """The one line that says what is wrong, after those that tell of the progress."""
    lines = stderr.strip().splitlines()
    errors = [line for line in lines if line.startswith("napari-globalxai: ")]
    assert errors == lines[-1:]
    assert "Traceback" not in stderr
    return errors[0]


# ---------------------------------------------------------------- what works


def test_layers_are_listed_with_the_chosen_one_marked(inputs, command):
    status, out, err = command("layers", "--model", inputs / "resnet" / "model.yaml")
    assert (status, err) == (0, "")
    lines = out.splitlines()
    assert [line for line in lines if "CAM layer" in line] == ["layer4 (10 × 4 × 6) <- CAM layer"]
    assert "layer1 (4 × 32 × 48)" in lines


def test_what_is_known_before_the_model_is_told_before_it(inputs, tmp_path, command, monkeypatch):
    """In one line: what says that the model is being loaded would stand above it."""
    out = tmp_path / "run"
    assert command(*explain(inputs, out))[0] == 0
    monkeypatch.setitem(sys.modules, "distributed", None)
    for asked, words in (
        (explain(inputs, out), "holds a run already"),
        (explain(inputs, tmp_path / "other", "--workers", "2"), "[dask]"),
        (["peppr", out, "--workers", "2"], "[dask]"),
        (["sanity", out, "--workers", "2"], "[dask]"),
    ):
        status, _, err = command(*asked)
        assert (status, len(err.splitlines())) == (2, 1), err
        assert words in the_error(err)


def test_a_cam_layer_in_place_of_the_cards(inputs, tmp_path, command):
    model = inputs / "resnet" / "model.yaml"
    options = explain(inputs, tmp_path / "run", model=model, method="grad-cam")
    status, _, _ = command(*options, "--cam-layer", "layer3")
    assert status == 0
    run = open_run(tmp_path / "run")
    assert run.info["model"]["cam_layer"] == "layer3"
    assert run.classifier(device="cpu").split.layer == "layer3"
    # Maps of another layer are not mixed into it.
    status, _, err = command(*options, "--resume")
    assert status == 2
    assert "run" in the_error(err)
    options = explain(inputs, tmp_path / "other", model=model, method="grad-cam")
    status, _, err = command(*options, "--cam-layer", "layer9")
    assert status == 2
    said = the_error(err)
    assert "has no layer 'layer9' (did you mean 'layer4'?); layers with a map are conv1 (" in said
    assert said.endswith(" inside them.")


def test_layers_of_a_pickled_module_need_trust(tmp_path, command):
    torch.save(tiny.resnet(), tmp_path / "whole.pt")
    card = yaml.safe_load(tiny.write_resnet(tmp_path).read_text())
    card.update(weights="whole.pt", network=None)
    (tmp_path / "model.yaml").write_text(yaml.safe_dump(card))
    status, _, err = command("layers", "--model", tmp_path / "model.yaml")
    assert status == 2
    assert "--trust" in the_error(err)
    status, out, _ = command("layers", "--model", tmp_path / "model.yaml", "--trust")
    assert status == 0
    assert "layer4 (10 × 4 × 6) <- CAM layer" in out


def test_layers_are_listed_though_the_card_names_a_wrong_one(inputs, command):
    card = yaml.safe_load((inputs / "resnet" / "model.yaml").read_text())
    card["cam_layer"] = "layer5"
    (inputs / "resnet" / "wrong.yaml").write_text(yaml.safe_dump(card))
    status, out, err = command("layers", "--model", inputs / "resnet" / "wrong.yaml")
    assert status == 0
    assert "layer4 (10 × 4 × 6)" in out.splitlines()
    assert "no layer 'layer5'" in the_error(err)


def test_explain_then_peppr(inputs, command, tmp_path):
    status, out, err = command(*explain(inputs, tmp_path / "run"))
    assert status == 0
    assert "laterality: LR" in out  # guesses are printed
    assert "labels: left, right" in out
    assert "Explained 12 of 12 images." in out
    assert "Aligning images" in err  # progress stays out of the way of the output
    run = open_run(tmp_path / "run")
    assert set(run.maps) == {"overall", "left", "right"}
    status, out, _ = command("peppr", tmp_path / "run", "--map", "left", "--seed", "4", *PEPPR)
    assert status == 0
    assert "left for left: not enough data (6 patients with and 6 without" in out
    assert run.peppr_result("left").settings["seed"] == 4
    assert run.peppr_result("left").settings["steps"] == 4


def test_options_reach_the_run(inputs, command, tmp_path):
    options = [
        "--labels", "right", "--select", "all", "--part", "signed", "--scale", "mass",
        "--valid-share", "0.3", "--batch-size", "5", "--seed", "7", "--patient-column", "LR",
        "--precision", "bfloat16",
    ]  # fmt: skip
    status, _, _ = command(*explain(inputs, tmp_path / "run", *options))
    assert status == 0
    run = open_run(tmp_path / "run")
    settings = run.info["settings"]
    assert settings["labels"] == ["right"]
    chosen = {"selection": "all", "part": "signed", "scale": "mass"}
    assert chosen.items() <= settings["aggregation"].items()
    assert (settings["valid_share"], settings["batch_size"], settings["seed"]) == (0.3, 5, 7)
    assert run.info["precision"] == "bfloat16"
    assert set(run.images["patient"]) == {"L", "R"}


def test_columns_and_image_root_can_be_named(inputs, command, tmp_path):
    table = pd.read_csv(inputs / "cohort" / "cohort.csv")
    table.columns = ["scan", "who", "seite", "age", "left", "right"]
    table.to_csv(tmp_path / "c.csv", index=False)
    status, out, _ = command(
        *explain(
            inputs, tmp_path / "run", "--file-column", "scan", "--laterality-column", "seite",
            "--label-columns", "left,right", "--image-root", inputs / "cohort",
            cohort=tmp_path / "c.csv",
        )
    )  # fmt: skip
    assert status == 0
    assert "Explained 12 of 12 images." in out


def cohort_with(inputs, folder, header, row):
    """Write the cohort's table anew: a header, and what to write for a row of the old one."""
    old = pd.read_csv(inputs / "cohort" / "cohort.csv", dtype=str)
    lines = [header, *(row(number, values) for number, values in enumerate(old.itertuples()))]
    (folder / "c.csv").write_text("\n".join(lines) + "\n")
    return folder / "c.csv"


def check(inputs, table, *more):
    return [
        "check", table, "--model", inputs / "linear" / "linear.yaml", "--device", "cpu",
        "--image-root", inputs / "cohort", *more,
    ]  # fmt: skip


def test_sides_are_asked_for_where_they_are_coded(inputs, command, tmp_path):
    table = cohort_with(
        inputs, tmp_path, "filename, ID, LR, left, right",
        lambda _, r: f"{r.filename}, {r.ID}, {'LR'.index(r.LR)}, {r.left}, {r.right}",
    )  # fmt: skip
    status, out, _ = command(*check(inputs, table))
    assert status == 0
    assert "  laterality: LR\n" in out
    assert "the side as 0/1, which does not tell which side is meant" in out
    assert "12 images have no laterality" in out
    status, out, _ = command(*check(inputs, table, "--laterality-values", "0=L,1=R"))
    assert "  laterality: LR with 0=L, 1=R\n" in out
    assert "which side is meant" not in out
    assert "no laterality" not in out


def test_guesses_by_file_names_are_printed_and_can_be_changed(inputs, command, tmp_path):
    names = [f"{number:03}_{'rl'[number % 2]}.png" for number in range(12)]
    for number, name in enumerate(names):
        image = inputs / "cohort" / "images" / f"{number:03}.png"
        (tmp_path / name).write_bytes(image.read_bytes())
    table = cohort_with(
        inputs, tmp_path, "filename,ID,left,right,DM",
        lambda n, r: f"elsewhere/{names[n].upper()},{r.ID},{r.left},{r.right},{n % 2}",
    )  # fmt: skip
    here = ("--image-root", tmp_path)
    _, out, _ = command(*check(inputs, table, *here))
    assert "  laterality: file name, by the pattern (?i)" in out
    assert "  labels: left, right, DM\n" in out
    if os.name == "posix" and sys.platform != "darwin":
        assert "12 files do not lie where the table says" in out
    assert "no laterality" not in out
    _, out, _ = command(*check(inputs, table, *here, "--laterality-pattern", "none"))
    assert "  laterality: none (no image is mirrored)\n" in out
    assert "12 images have no laterality" in out
    options = ("--laterality-pattern", r"_([RL])", "--exclude-labels", "DM")
    status, out, _ = command(
        *explain(inputs, tmp_path / "run", *here, *options, "--labels", "right", cohort=table)
    )
    assert status == 0
    assert "  laterality: file name, by the pattern _([RL])\n" in out
    assert "  labels: left, right\n" in out
    assert "  warning: " in out
    images = open_run(tmp_path / "run").images
    assert list(images["laterality"]) == ["R", "L"] * 6


def test_explain_lists_what_is_wrong_with_the_table_before_it_starts(inputs, command, tmp_path):
    table = cohort_with(
        inputs, tmp_path, "filename,ID,LR,left,right",
        lambda n, r: f"{r.filename},{r.ID},{r.LR},{r.left},{'?' if n == 5 else r.right}",
    )  # fmt: skip
    lines = table.read_text().splitlines()
    table.write_text("\n".join([*lines, lines[1], "images/gone.png,P1,L,0,0"]) + "\n")
    root = ("--image-root", inputs / "cohort")
    status, out, _ = command(*explain(inputs, tmp_path / "run", *root, cohort=table))
    assert status == 0
    before, after = out.split("Explained 13 of 14 images.")
    assert "  warning: " + f"{table}: the label column 'right' holds '?' in 1 row" in before
    assert f"  problem: {table}: 1 of 13 files does not exist (images/gone.png)" in before
    assert f"  problem: {table}: row 13 repeats an earlier row" in before
    assert "failed: images/gone.png: the file does not exist." in after


def test_check_names_classes_that_are_no_labels_of_the_model(inputs, command, tmp_path):
    table = cohort_with(
        inputs, tmp_path, "filename,ID,LR,kind",
        lambda n, r: f"{r.filename},{r.ID},{r.LR},{('left', 'right', 'up')[n % 3]}",
    )  # fmt: skip
    _, out, _ = command(*check(inputs, table, "--class-column", "kind"))
    assert "the class column 'kind' holds 'up', in 4 rows, which the model has no label for" in out


def test_check(inputs, command):
    table, model = inputs / "cohort" / "cohort.csv", inputs / "resnet" / "model.yaml"
    status, out, _ = command("check", table, "--model", model, "--device", "cpu", "--strict")
    assert status == 0
    assert "No problem was found." in out
    assert "Grad-CAM layer: layer4" in out


def test_version(command):
    assert command("--version")[:2] == (0, f"{napari_globalxai.__version__}\n")


def test_python_m():
    done = subprocess.run(
        [sys.executable, "-m", "napari_globalxai", "--version"],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert done.stdout.strip() == napari_globalxai.__version__


# ---------------------------------------------------------------- images that fail


def test_failed_images_are_listed_and_strict_makes_them_status_1(inputs, command, tmp_path):
    table = tiny.write_cohort(tmp_path / "cohort", size=12)
    (tmp_path / "cohort" / "images" / "003.png").unlink()
    for strict, expected in (([], 0), (["--strict"], 1)):
        out_folder = tmp_path / f"run{expected}"
        status, out, _ = command(*explain(inputs, out_folder, *strict, cohort=table))
        assert status == expected
        assert "Explained 11 of 12 images." in out
        assert "failed: images/003.png: the file does not exist." in out
        assert open_run(out_folder).info["counts"]["failed"] == 1
        model = inputs / "resnet" / "model.yaml"
        status, out, _ = command("check", table, "--model", model, "--device", "cpu", *strict)
        assert status == expected
        assert "1 of 12 files does not exist (images/003.png)" in out


# ---------------------------------------------------------------- bad input: status 2


def broken_inputs(inputs, folder):
    """Commands that cannot work: the file their message must name, and what it must say."""
    run = folder / "run"
    (folder / "empty.csv").write_text("")
    (folder / "nolabels.csv").write_text("filename,age\nimages/000.png,60\n")
    (folder / "otherlabels.csv").write_text("filename,DR\nimages/000.png,1\n")
    (folder / "norows.csv").write_text("filename,left,right\n")
    card = yaml.safe_load((inputs / "linear" / "linear.yaml").read_text())
    (folder / "linear.pt").write_bytes((inputs / "linear" / "linear.pt").read_bytes())
    for name, labels in (("three", ["left", "right", "up"]), ("none", [])):
        (folder / f"{name}.yaml").write_text(yaml.safe_dump({**card, "labels": labels}))
    (folder / "taken").mkdir()
    (folder / "taken" / "thesis.txt").write_text("years of work")
    gone = folder / "gone"
    return {
        "missing table": (explain(inputs, run, cohort=gone), gone, "does not exist"),
        "empty table": (
            explain(inputs, run, cohort=folder / "empty.csv"),
            folder / "empty.csv",
            "cannot be read",
        ),
        "no rows": (
            explain(inputs, run, cohort=folder / "norows.csv"), folder / "norows.csv", "no rows"
        ),
        "no labels": (
            explain(inputs, run, cohort=folder / "nolabels.csv"), folder / "nolabels.csv",
            "--class-column",
        ),
        "other labels": (
            explain(inputs, run, cohort=folder / "otherlabels.csv"), folder / "otherlabels.csv",
            "left, right",
        ),
        "missing model": (explain(inputs, run, model=gone), gone, "does not exist"),
        "too few outputs": (
            explain(inputs, run, model=folder / "three.yaml"), folder / "three.yaml",
            "2 outputs but the card names 3 labels",
        ),
        "no outputs named": (
            explain(inputs, run, model=folder / "none.yaml"), folder / "none.yaml", "labels"
        ),
        "not a model": (
            explain(inputs, run, model=inputs / "cohort" / "cohort.csv"),
            inputs / "cohort" / "cohort.csv", "needs a model card",
        ),
        "taken folder": (
            explain(inputs, folder / "taken"), folder / "taken", "choose another folder"
        ),
        "not a run": (["peppr", gone, *PEPPR], gone, "is not a run folder"),
        "check": (
            ["check", gone, "--model", inputs / "linear" / "linear.yaml"], gone, "does not exist"
        ),
        "unknown method": (explain(inputs, run, method="gradcam"), "gradcam", "grad-cam"),
        "no split": (explain(inputs, run, method="grad-cam"), "TorchScript", "saliency"),
        "unknown label": (explain(inputs, run, "--labels", "DR"), "DR", "left, right"),
        "no label": (explain(inputs, run, "--labels", ","), "label", "No label was chosen"),
        "unknown column": (
            explain(inputs, run, "--file-column", "scan"), inputs / "cohort" / "cohort.csv",
            "columns are filename",
        ),
        "several columns": (
            explain(inputs, run, "--patient-column", "who", "--label-columns", "left,DR"),
            "'who' for the patient", "'DR' for the label",
        ),
        "unknown part": (explain(inputs, run, "--part", "half"), "part", "'positive'"),
        "unknown device": (
            explain(inputs, run, "--device", "toaster"),
            "toaster",
            "cannot be used",
        ),
        "unknown option": (explain(inputs, run, "--colour", "red"), "--colour", "try --help"),
        "option out of range": (explain(inputs, run, "--batch-size", "0"), "--batch-size", "1"),
        "missing option": (["explain", gone, "--out", run], "--model", "try --help"),
        "unknown command": (["explian"], "explian", "try --help"),
    }  # fmt: skip


CASES = [
    "missing table", "empty table", "no rows", "no labels", "other labels", "missing model",
    "too few outputs", "no outputs named", "not a model", "taken folder", "not a run", "check",
    "unknown method", "no split", "unknown label", "no label", "unknown column",
    "several columns", "unknown part",
    "unknown device", "unknown option", "option out of range", "missing option", "unknown command",
]  # fmt: skip


def test_a_model_that_is_not_there_is_not_said_to_be_loaded(inputs, command, tmp_path):
    weights = yaml.safe_load((inputs / "linear" / "linear.yaml").read_text())
    card = tmp_path / "card.yaml"
    card.write_text(yaml.safe_dump({**weights, "weights": "gone.pt"}))
    run = tmp_path / "run"
    for model in (tmp_path / "gone.pt", inputs / "cohort" / "cohort.csv", card):
        status, _, err = command(*explain(inputs, run, model=model))
        assert (status, err.splitlines()) == (2, [the_error(err)])
    assert command(*explain(inputs, run))[0] == 0
    for words in (["peppr", run, *PEPPR], ["sanity", run]):
        status, _, err = command(*words, "--model", tmp_path / "gone.pt")
        assert (status, err.splitlines()) == (2, [the_error(err)])


def test_what_is_asked_for_counts_where_it_is_the_default_as_well(inputs, command, tmp_path):
    """Left open, a frame that is no stretch is not registered; asked for, that is refused."""
    align = ["align", inputs / "cohort" / "cohort.csv", "--out", tmp_path / "aligned"]
    status, _, err = command(*align, "--fit", "letterbox", "--register", "landmarks")
    assert status == 2
    assert "images that fit by letterbox cannot be registered" in the_error(err).casefold()


def test_a_scheduler_that_is_no_address_is_refused_at_once(inputs, command, tmp_path):
    align = ["align", inputs / "cohort" / "cohort.csv", "--out", tmp_path / "aligned"]
    status, _, err = command(*align, "--scheduler", "cluster")
    assert status == 2
    assert err.splitlines() == [the_error(err)]
    assert "--scheduler: 'cluster' is no address such as tcp://cluster:8786." in err


@pytest.mark.parametrize("words", [[], ["explain"], ["view"], ["peppr"]])
def test_help_names_no_type_behind_a_flag(words, command):
    _, out, _ = command(*words, "--help")
    assert "--help" in out
    assert "bool" not in out.casefold()


@pytest.mark.parametrize("case", CASES)
def test_bad_input_is_status_2_and_one_line(case, inputs, command, tmp_path):
    cases = broken_inputs(inputs, tmp_path)
    assert sorted(cases) == sorted(CASES)
    arguments, named, mend = cases[case]
    status, _, err = command(*arguments)
    assert status == 2
    line = the_error(err)
    assert str(named) in line
    assert mend in line
    assert not (tmp_path / "run").exists()


def test_bad_input_to_peppr(inputs, command, tmp_path):
    command(*explain(inputs, tmp_path / "run"))
    for arguments, part in (
        (["--map", "DR"], "overall, left, right"),
        (["--fill", "white"], "mean-image"),
        (["--steps", "1"], "--steps: 1 is not 4 or more"),
        (["--model", inputs / "resnet" / "model.yaml"], "is not the model"),
    ):
        status, _, err = command("peppr", tmp_path / "run", *PEPPR, *arguments)
        assert status == 2
        assert part in the_error(err)


def test_an_existing_run_needs_resume(inputs, command, tmp_path):
    assert command(*explain(inputs, tmp_path / "run"))[0] == 0
    status, _, err = command(*explain(inputs, tmp_path / "run"))
    assert status == 2
    assert "--resume" in the_error(err)
    status, out, _ = command(*explain(inputs, tmp_path / "run", "--resume"))
    assert status == 0
    assert "Explained 12 of 12 images." in out
    status, _, err = command(*explain(inputs, tmp_path / "run", "--resume", "--seed", "1"))
    assert status == 2
    assert "another settings" in the_error(err)


# ---------------------------------------------------------------- stopped


@pytest.mark.skipif(os.name == "nt", reason="SIGINT is sent otherwise on Windows")
def test_a_stopped_command_says_how_to_go_on(inputs, command, tmp_path):
    """Images enough that the signal comes while they are being aligned."""
    table = tiny.write_cohort(tmp_path / "cohort", size=400)
    process = subprocess.Popen(
        [sys.executable, "-m", "napari_globalxai", *map(str, explain(inputs, tmp_path / "run",
                                                                    cohort=table))],
        stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True,
        # What runs in the background of a shell ignores the signal, and so do its children.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )  # fmt: skip
    with process:
        for line in process.stderr:
            if line.startswith("Aligning images"):
                process.send_signal(signal.SIGINT)
                break
        rest = process.stderr.read()
    assert process.returncode == 130
    assert "go on with --resume" in the_error(rest)
    status, out, _ = command(*explain(inputs, tmp_path / "run", "--resume", cohort=table))
    assert status == 0
    assert "Explained 400 of 400 images." in out
