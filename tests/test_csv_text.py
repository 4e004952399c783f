"""No cell that we write is run by a spreadsheet, and all are read as they were."""

from __future__ import annotations

import csv
import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import tiny

import napari_globalxai as gx
from napari_globalxai.csv_text import marked, unmarked
from napari_globalxai.storage import read_table, write_table

FORMULAS = (
    *("=cmd|'/C calc'!A0", "@SUM(1+1)", "+49 170 1", "-2+3+cmd|x", "\t=1", "\r=1", "=", "@", "+x"),
    *("＝1+1", "＋1", "'=1", "''@x", "'-x"),
)
PLAIN = (
    "",
    "a",
    "-",
    "+",
    "-1",
    "+1.5",
    "-.5e-3",
    "1e5",
    "a=b",
    "'quoted'",
    "O'Neil",
    "-inf",
    "#x",
)


@pytest.mark.parametrize("text", FORMULAS)
def test_formulas_are_marked(text):
    assert marked(text) == f"'{text}"
    assert unmarked(marked(text)) == text


@pytest.mark.parametrize("text", PLAIN)
def test_the_rest_stays_as_it_is(text):
    assert marked(text) == text
    assert unmarked(text) == text


def test_a_table_is_read_as_it_was_written(tmp_path):
    table = pd.DataFrame(
        {"=name": [*FORMULAS, None], "number": np.arange(len(FORMULAS) + 1) - 3.5},
        index=range(len(FORMULAS) + 1),
    )
    write_table(tmp_path / "a.csv", table, index_label="row")
    again = read_table(tmp_path / "a.csv")
    # A newline of Windows alone is the one thing that CSV itself changes.
    assert again["=name"].tolist()[:-1] == list(FORMULAS)
    assert again["number"].tolist() == table["number"].tolist()
    text = (tmp_path / "a.csv").read_text()
    assert "-3.5" in text
    assert "'-3.5" not in text


def dangerous(path):
    with path.open(newline="", encoding="utf-8") as stream:
        return [
            cell
            for row in csv.reader(stream)
            for cell in row
            if re.match(r"[=+\-@\t\r]", cell) and not re.fullmatch(r"[+-]?[\d.]+(e-?\d+)?|-", cell)
        ]


def test_no_table_of_a_run_holds_a_formula(tmp_path):
    """From columns and cells of the cohort, names of files and labels, and texts of errors."""
    table = tiny.write_cohort(tmp_path / "cohort", 12)
    lines = table.read_text().splitlines()
    (tmp_path / "cohort" / "=x.png").write_bytes(b"no image")
    lines = [
        f"{line},{note}" for line, note in zip(lines, ["=note", *["@SUM(1)"] * 12], strict=True)
    ]
    lines.append("=x.png,=P,L,50,0,0,+cmd|1")
    table.write_text("\n".join(lines) + "\n")
    run = gx.explain(table, tiny.linear_classifier(), tmp_path / "run", "saliency")
    assert run.images["=note"].tolist() == ["@SUM(1)"] * 12 + ["+cmd|1"]
    assert run.images["file"].iloc[-1] == "=x.png"
    assert run.images["patient"].iloc[-1] == "=P"
    files = list((tmp_path / "run").rglob("*.csv"))
    assert len(files) >= 3
    assert [cell for file in files for cell in dangerous(file)] == []


def test_one_function_writes_all_tables():
    """A table that is written elsewhere would hold formulas."""
    package = Path(gx.__file__).parent
    writers = [
        path.relative_to(package).as_posix()
        for path in package.rglob("*.py")
        if re.search(r"\.to_csv\(|csv\.(Dict)?[wW]riter", path.read_text(encoding="utf-8"))
    ]
    assert set(writers) <= {"storage.py"}, "use storage.write_table"
