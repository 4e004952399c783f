"""`--json`: every command has it, and prints one JSON object and nothing else."""

import json
import sys

import pytest
import tiny
import typer

from napari_globalxai import cli
from napari_globalxai.cli.commands import app
from napari_globalxai.runs.run import open_run


@pytest.fixture(scope="module")
def inputs(tmp_path_factory):
    folder = tmp_path_factory.mktemp("inputs")
    tiny.write_cohort(folder / "cohort", size=12)
    tiny.write_linear(folder / "linear")
    tiny.write_resnet(folder / "resnet")
    return folder


@pytest.fixture
def answer(monkeypatch, capsys):
    """Run a command with --json; give its exit status and what it answers."""

    def run(*arguments):
        monkeypatch.setattr(sys, "argv", ["napari-globalxai", *map(str, arguments), "--json"])
        with pytest.raises(SystemExit) as end:
            cli.main()
        captured = capsys.readouterr()
        return end.value.code or 0, json.loads(captured.out) if captured.out else captured.err

    return run


def test_every_command_has_it():
    commands = typer.main.get_command(app).commands
    without = [
        name
        for name, command in commands.items()
        if "--json" not in [text for each in command.params for text in each.opts]
    ]
    assert len(commands) >= 9
    assert without == []


def test_explain_and_what_follows(inputs, tmp_path, answer):
    status, found = answer(
        "explain", inputs / "cohort" / "cohort.csv", "--model", inputs / "linear" / "linear.yaml",
        "--out", tmp_path / "run", "--method", "saliency", "--device", "cpu",
    )  # fmt: skip
    assert status == 0
    run = open_run(tmp_path / "run")
    assert found["run"] == str(run.folder)
    assert found["counts"]["explained"] == 12
    assert [each["label"] for each in found["performance"]] == list(run.labels)
    assert [each["map"] for each in found["maps"]] == ["overall", *run.labels]
    assert found["failed"] == []
    status, found = answer(
        "peppr", run.folder, "--map", "left", "--steps", "4", "--controls", "1", "--device", "cpu"
    )
    assert (status, found["map"]) == (0, "left")
    assert "left" in json.dumps(found["result"])


def test_a_failed_image_is_told_also_with_strict(inputs, tmp_path, answer):
    table = inputs / "cohort" / "lost.csv"
    lines = (inputs / "cohort" / "cohort.csv").read_text().splitlines()
    lines[2] = lines[2].replace("001.png", "lost.png")
    table.write_text("\n".join(lines) + "\n")
    status, found = answer("align", table, "--out", tmp_path / "out", "--size", "8x8", "--strict")
    assert status == 1
    assert found["counts"]["failed"] == 1
    assert found["failed"][0]["file"] == "images/lost.png"


def test_smaller_commands(inputs, tmp_path, answer):
    status, found = answer("methods")
    assert (status, "grad-cam" in found["methods"]) == (0, True)
    status, found = answer("methods", "integrated-gradients")
    assert "steps" in [each["name"] for each in found["parameters"]]
    status, found = answer("layers", "--model", inputs / "resnet" / "model.yaml")
    assert (found["cam_layer"], "layer1" in found["layers"]) == ("layer4", True)
    status, found = answer("check", inputs / "cohort" / "cohort.csv")
    assert (status, found["problems"], found["quality"]) == (0, [], None)


def test_an_error_is_one_line_all_the_same(tmp_path, answer):
    status, error = answer("report", tmp_path)
    assert status == 2
    assert error.startswith("napari-globalxai: ")
    assert len(error.strip().splitlines()) == 1
