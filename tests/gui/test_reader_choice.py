"""napari opens folders of ours without asking which of its readers is to do it."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import Any

import pytest
from dropping import drop

pytestmark = pytest.mark.gui

TIMEOUT = 60_000
MANIFEST = Path(__file__).parents[2] / "napari.yaml"


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What napari asks about; a question is answered by closing it."""
    from napari._qt.dialogs.qt_reader_dialog import QtReaderDialog

    questions: list[str] = []

    def close(dialog: Any) -> tuple[str, bool]:
        questions.append(dialog.windowTitle())
        return "", False

    monkeypatch.setattr(QtReaderDialog, "get_user_choices", close)
    return questions


@pytest.fixture
def with_plugin(npe2pm: Any, make_napari_viewer: Any) -> Any:
    from npe2 import PluginManifest

    # napari's own reader takes folders, too.
    npe2pm.register(PluginManifest.from_file(Path(_builtins())))
    npe2pm.register(PluginManifest.from_file(MANIFEST))
    return make_napari_viewer()


def _builtins() -> Path:
    import napari_builtins

    return Path(napari_builtins.__file__).with_name("builtins.yaml")


def open_from_outside(viewer: Any, path: Path) -> None:
    """Open a path as `napari PATH` does."""
    viewer.window._qt_viewer._qt_open([str(path)], stack=False)


def test_a_run_that_was_shown_is_opened_without_a_question(
    with_plugin: Any, finished_run: Path, asked: list[str], qtbot: Any
) -> None:
    from napari_globalxai.widgets.workbench import open_panel

    open_from_outside(with_plugin, finished_run)
    assert len(asked) == 1
    explain = open_panel(with_plugin, "Global explanations")
    with qtbot.waitSignal(explain.runner.succeeded, timeout=TIMEOUT):
        explain.open_run(finished_run)
    first = explain.session.view
    open_from_outside(with_plugin, finished_run)
    qtbot.waitUntil(lambda: explain.session.view is not first, timeout=TIMEOUT)
    assert explain.session.run.folder == finished_run
    assert len(asked) == 1


def test_other_folders_are_still_asked_about(
    with_plugin: Any, finished_run: Path, asked: list[str], tmp_path: Path
) -> None:
    from napari.settings import get_settings

    from napari_globalxai.widgets.reader_choice import remember_reader

    gone = tmp_path / "run [1]"
    shutil.copytree(finished_run, gone)
    remember_reader(gone)
    remember_reader(finished_run)
    known = get_settings().plugins.extension2reader
    assert sum("[[]1]" in pattern for pattern in known) == 1
    open_from_outside(with_plugin, tmp_path)
    assert len(asked) == 1
    shutil.rmtree(gone)
    remember_reader(finished_run)
    assert not any("1]" in pattern for pattern in get_settings().plugins.extension2reader)


# PySide6 asks for a point with fractions, which PyQt6 does not take.
@pytest.mark.filterwarnings("ignore:Function. 'QDragEnterEvent:DeprecationWarning")
def test_what_is_ours_and_dropped_is_taken_without_a_question(
    panels: Any, finished_run: Path, inputs: Any, asked: list[str], tmp_path: Path, qtbot: Any
) -> None:
    explain, canvas = panels.explain, panels.viewer.window._qt_viewer
    with qtbot.waitSignal(explain.runner.succeeded, timeout=10_000):
        drop(canvas, finished_run)
    assert panels.session.run.folder == finished_run
    # Several at once, with names that not everybody has.
    table = Path(shutil.copy(inputs.cohort, tmp_path / "Kohörte 1.txt"))
    drop(canvas, inputs.model, table)
    assert (explain.cohort_field.path, explain.model_field.path) == (table, inputs.model)
    explain.cohort_field.path = explain.model_field.path = None
    drop(explain.cohort_field.line, inputs.model, table)
    assert (explain.cohort_field.path, explain.model_field.path) == (table, inputs.model)
    assert not asked
    # A table of napari's own stays napari's.
    points = tmp_path / "points.csv"
    points.write_text("index,axis-0,axis-1\n0,3,4\n")
    drop(canvas, points)
    assert explain.cohort_field.path == table
    # What no table can be is said, also of a pipe, which the window does not wait for.
    asked.clear()
    sheet, pipe = tmp_path / "Cohort.XLSX", tmp_path / "pipe.csv"
    sheet.write_bytes(b"PK\x03\x04" + bytes(100))
    os.mkfifo(pipe)
    for path, words in ((sheet, "save it as CSV"), (pipe, "is a pipe")):
        drop(canvas, path)
        said = explain.form.preview.problems
        qtbot.waitUntil(lambda words=words, said=said: words in said.text(), timeout=10_000)
    assert not asked
