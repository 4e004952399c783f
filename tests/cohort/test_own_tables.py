"""A table of results that is given as a cohort: refused where it lies, its owner's elsewhere."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import tiny

import napari_globalxai as gx
from napari_globalxai.errors import InputError


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> gx.Run:
    base = tmp_path_factory.mktemp("own")
    table = tiny.write_cohort(base / "cohort", 8)
    return gx.explain(table, tiny.write_linear(base / "model"), base / "run", "saliency")


@pytest.mark.parametrize("name", ["images.csv", "performance.csv", "maps/maps.csv"])
def test_a_table_of_results_is_no_cohort(run: gx.Run, name: str) -> None:
    with pytest.raises(InputError) as why:
        gx.read_cohort(run.folder / name)
    table = run.folder.parent / "cohort" / "cohort.csv"
    assert str(why.value) == (
        f"{run.folder / name}: is a table of results of {run.folder}, not a cohort table; open "
        f"that folder to see them; to explain its images anew, give {table}, or a copy of this "
        "one that lies elsewhere."
    )


def test_the_command_says_so_in_one_line(run: gx.Run) -> None:
    called = subprocess.run(
        [sys.executable, "-m", "napari_globalxai", "check", run.folder / "images.csv"],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert called.returncode == 2
    (line,) = called.stderr.splitlines()
    assert "is a table of results of" in line


def test_a_copy_is_read_as_its_owners_table_and_said_to_be(run: gx.Run, tmp_path: Path) -> None:
    copy = Path(shutil.copy(run.folder / "images.csv", tmp_path))
    cohort = gx.read_cohort(copy, label_columns=["left", "right"])
    assert len(cohort) == 8
    assert any("is read as a cohort table of its own" in each for each in cohort.problems)


def test_what_lies_beside_decides_not_the_name(run: gx.Run, tmp_path: Path) -> None:
    """A table of that name beside another program's record, or one of the user's in a run."""
    table = run.folder.parent / "cohort" / "cohort.csv"
    shutil.copytree(table.parent, tmp_path / "theirs")
    theirs = tmp_path / "theirs" / "images.csv"
    (tmp_path / "theirs" / "cohort.csv").rename(theirs)
    (tmp_path / "theirs" / "run.json").write_text(json.dumps({"framework": "another"}))
    assert len(gx.read_cohort(theirs)) == 8
    (tmp_path / "theirs" / "run.json").write_text("{")
    assert len(gx.read_cohort(theirs)) == 8
    mine = Path(shutil.copytree(run.folder, tmp_path / "run")) / "mine.csv"
    mine.write_text(table.read_text())
    assert len(gx.read_cohort(mine, image_root=table.parent)) == 8
