"""What the window remembers: recent runs, and what was last chosen."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest

from napari_globalxai.widgets.session.remembered import (
    chosen,
    recent_runs,
    remember_chosen,
    remember_run,
)

pytestmark = pytest.mark.gui

TIMEOUT = 60_000


def make_run(folder: Path) -> Path:
    folder.mkdir()
    (folder / "run.json").write_text("{}")
    return folder


def test_recent_runs_are_those_that_are_still_there(tmp_path: Path) -> None:
    assert recent_runs() == []
    folders = [make_run(tmp_path / str(number)) for number in range(10)]
    for folder in (*folders, folders[4]):
        remember_run(folder)
    expected = [folders[4], *(folders[at] for at in (9, 8, 7, 6, 5, 3, 2))]
    assert recent_runs() == expected
    shutil.rmtree(folders[8])
    assert recent_runs() == [folder for folder in expected if folder != folders[8]]


@pytest.mark.parametrize("content", ["", "[1]", '{"recent_runs": 3, "chosen": 4}', "\\x00"])
def test_a_damaged_memory_is_no_reason_not_to_work(
    home: Path, content: str, tmp_path: Path
) -> None:
    (home / "napari-globalxai").mkdir(parents=True)
    (home / "napari-globalxai" / "window.json").write_text(content)
    assert recent_runs() == []
    assert chosen() == {}
    remember_run(make_run(tmp_path / "run"))
    assert recent_runs() == [tmp_path / "run"]


def test_a_panel_recalls_what_was_chosen(
    inputs: Any, finished_run: Path, make_napari_viewer: Any, qtbot: Any
) -> None:
    from napari_globalxai.widgets.workbench.open_panels import open_panel

    remember_chosen({"cohort": str(inputs.cohort), "model": str(inputs.model), "method": "rise"})
    remember_run(finished_run)
    panel = open_panel(make_napari_viewer(), "Global explanations")
    assert panel.cohort_field.path == inputs.cohort
    assert panel.model_field.path == inputs.model
    assert panel.method_box.currentText() == "rise"
    panel.runs.expand()
    qtbot.waitUntil(lambda: len(panel.runs.runs) == 1, timeout=TIMEOUT)
    assert panel.runs.table.text(0, 0) == finished_run.name
    with qtbot.waitSignal(panel.runner.succeeded, timeout=TIMEOUT):
        panel.runs.table.cellActivated.emit(0, 0)
    assert panel.session.run.folder == finished_run
