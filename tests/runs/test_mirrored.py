"""Sides are eyes only where the card says so; elsewhere what a guess mirrors is told."""

import pandas as pd
import pytest
import tiny
import yaml
from PIL import Image
from typer.testing import CliRunner

from napari_globalxai.cli.commands import app
from napari_globalxai.cohort.table import read_cohort
from napari_globalxai.runs.inputs.mirrored import eyes_without_sides, mirrored_by_guess


def table(folder, **columns):
    images = {
        "file": [f"{row}.png" for row in range(4)],
        "left": [0, 1, 0, 1],
        "right": [1, 0, 0, 1],
    }
    pd.DataFrame({**images, **columns}).to_csv(folder / "c.csv", index=False)
    return folder / "c.csv"


@pytest.mark.parametrize("name", ["LR", "L/R", "side", "laterality"])
@pytest.mark.parametrize("word", ["chest X-ray", "mammogram"])
def test_what_is_mirrored_by_a_guess_is_told_of_other_images_than_eyes(name, word, tmp_path):
    path = table(tmp_path, **{name: list("LRRL")})
    (said,) = mirrored_by_guess(read_cohort(path), word)
    assert f"2 {word}s of right sides, by the {name!r} that was guessed, are mirrored" in said
    assert "eye" not in said
    for known in ("retina", ""):
        assert mirrored_by_guess(read_cohort(path), known) == []
    assert mirrored_by_guess(read_cohort(path, laterality_column=name), word) == []
    still = read_cohort(path, laterality_column="none")
    assert still.laterality == ("",) * 4
    assert mirrored_by_guess(still, word) == []


def test_a_column_called_none_is_a_column(tmp_path):
    cohort = read_cohort(table(tmp_path, none=list("LRRL")), laterality_column="none")
    assert cohort.laterality == tuple("LRRL")


@pytest.mark.parametrize(
    ("names", "noun"),
    [(("left_mammogram", "right_mammogram"), "side"), (("Left-Fundus", "Right-Fundus"), "eye")],
)
def test_pairs_of_files_are_eyes_only_where_their_columns_say_so(names, noun, tmp_path):
    pairs = {names[0]: ["a.png", "b.png"], names[1]: ["c.png", "d.png"], "A": [0, 1]}
    pd.DataFrame(pairs).to_csv(tmp_path / "c.csv", index=False)
    (said,) = [each for each in read_cohort(tmp_path / "c.csv").warnings if "names a left" in each]
    assert f"names a left {noun}'s file" in said
    assert ("eye" in said.partition(": ")[2]) == (noun == "eye")


def test_check_and_explain_tell_it(tmp_path):
    path = table(tmp_path, side=list("LRRL"))
    for row in range(4):
        Image.new("RGB", (tiny.WIDTH, tiny.HEIGHT), (60 + 9 * row, 80, 70)).save(
            tmp_path / f"{row}.png"
        )
    card = tiny.write_linear(tmp_path / "model")
    content = yaml.safe_load(card.read_text())
    card.write_text(yaml.safe_dump({**content, "modality": "knee X-ray"}))
    words = ["check", str(path), "--model", str(card)]
    outcome = CliRunner().invoke(app, words)
    assert "2 knee X-rays of right sides, by the 'side' that was guessed" in outcome.stdout


@pytest.mark.parametrize(
    ("word", "is_problem"), [("chest X-ray", False), ("", False), ("retina", True)]
)
def test_what_has_no_sides_is_no_problem(word, is_problem, tmp_path):
    cohort = read_cohort(table(tmp_path, view=["AP", "PA", "AP", "AP"]))
    assert not any("laterality" in each for each in cohort.problems)
    said = eyes_without_sides(cohort, word)
    assert len(said) == is_problem
    assert all("4 images have no laterality, and none is mirrored" in each for each in said)
    some = read_cohort(table(tmp_path, side=["L", "R", "R", None]))
    assert any("1 image has no laterality" in each for each in some.problems)
    assert eyes_without_sides(some, word) == []


@pytest.mark.parametrize("word", ["chest X-ray", "retina", None])
def test_commands_call_missing_sides_a_problem_of_eyes_alone(word, tmp_path):
    path = table(tmp_path)
    for row in range(4):
        Image.new("RGB", (tiny.WIDTH, tiny.HEIGHT), (60 + 9 * row, 80, 70)).save(
            tmp_path / f"{row}.png"
        )
    card = tiny.write_linear(tmp_path / "model")
    content = yaml.safe_load(card.read_text())
    card.write_text(yaml.safe_dump({**content, **({"modality": word} if word else {})}))
    words = [str(path), "--model", str(card)]
    checked = CliRunner().invoke(app, ["check", *words]).stdout
    problems = [line for line in checked.splitlines() if line.startswith("problem:")]
    assert any("no laterality" in line for line in problems) == (word == "retina")
    assert ("no laterality" in checked) == (word != "chest X-ray")
    run = [*words, "--out", str(tmp_path / "run"), "--method", "saliency"]
    explained = CliRunner().invoke(app, ["explain", *run])
    assert explained.exit_code == 0
    before, _, after = explained.stdout.partition("Explained 4 of 4 images.")
    (said,) = [line for line in before.splitlines() if "no laterality" in line]
    assert said.startswith("  note: ")
    warned = [line for line in after.splitlines() if "no laterality" in line]
    assert len(warned) == (word == "retina")
    assert all(line.startswith("  warning: ") for line in warned)
