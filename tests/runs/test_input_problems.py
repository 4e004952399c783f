"""What is wrong with a table is told before a run, and kept with it."""

import json

import tiny
from typer.testing import CliRunner

from napari_globalxai import explain, open_run
from napari_globalxai.cli.commands import app
from napari_globalxai.cohort.table import read_cohort
from napari_globalxai.runs.inputs.check import check_inputs


def write_faulty(folder):
    """A repeated row, a file that two rows name, one that is not there, one without a side."""
    table = tiny.write_cohort(folder, size=12)
    header, *rows = table.read_text().splitlines()
    file, patient, side, age, left, right = rows[3].split(",")
    other = ",".join([file, patient, side, age, str(1 - int(left)), right])
    gone = rows[1].replace("001.png", "gone.png")
    none = ",".join(part if part not in ("L", "R") else "" for part in rows[2].split(","))
    lines = [header, rows[0], gone, none, *rows[3:], rows[5], other]
    table.write_text("\n".join(lines) + "\n")
    return table, tiny.write_linear(folder / "m")


SAID = (
    "repeats an earlier row",
    "named by several rows that differ",
    "contradict each other in the label 'left'",
    "does not exist (images/gone.png)",
    "has no laterality and is not mirrored (images/002.png)",
)


def test_what_check_lists_is_among_the_warnings_of_the_run(tmp_path):
    table, model = write_faulty(tmp_path / "cohort")
    problems = check_inputs(read_cohort(table), model).problems
    for words in SAID:
        assert sum(words in each for each in problems) == 1, words
    out = tmp_path / "run"
    asked = ["explain", table, "--model", model, "--out", out, "--method", "saliency", "--json"]
    done = CliRunner().invoke(app, [str(each) for each in asked])
    assert done.exit_code == 0, done.output
    told = json.loads(done.stdout)["warnings"]
    # Of methods that are not asked for here, a check speaks alone.
    assert set(told) >= {each for each in problems if "cannot be split" not in each}
    assert len(set(told)) == len(told)
    assert json.loads((out / "run.json").read_text())["warnings"] == told
    assert open_run(out).record.warnings == told


def test_a_side_that_is_estimated_is_no_problem(tmp_path):
    table, model = write_faulty(tmp_path / "cohort")
    run = explain(table, model, tmp_path / "run", "saliency", estimate_laterality=True)
    assert not any("not mirrored" in each for each in run.record.warnings)
    assert any("repeats an earlier row" in each for each in run.record.warnings)
