"""napari opens folders of ours without asking which of its readers is to do it."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest

pytestmark = pytest.mark.gui

TIMEOUT = 60_000


def open_from_outside(viewer: Any, path: Path) -> None:
    """Open a path as `napari PATH` does."""
    viewer.window._qt_viewer._qt_open([str(path)], stack=False)


def test_a_run_that_was_shown_is_opened_without_a_question(
    with_readers: Any, finished_run: Path, asked: list[str], qtbot: Any
) -> None:
    from napari_globalxai.widgets.workbench.open_panels import open_panel

    open_from_outside(with_readers, finished_run)
    assert len(asked) == 1
    explain = open_panel(with_readers, "Global explanations")
    with qtbot.waitSignal(explain.runner.succeeded, timeout=TIMEOUT):
        explain.open_run(finished_run)
    first = explain.session.view
    open_from_outside(with_readers, finished_run)
    qtbot.waitUntil(lambda: explain.session.view is not first, timeout=TIMEOUT)
    assert explain.session.run.folder == finished_run
    assert len(asked) == 1


def test_other_folders_are_still_asked_about(
    with_readers: Any, finished_run: Path, asked: list[str], tmp_path: Path
) -> None:
    from napari.settings import get_settings

    from napari_globalxai.widgets.workbench.reader_choice import remember_reader

    gone = tmp_path / "run [1]"
    shutil.copytree(finished_run, gone)
    remember_reader(gone)
    remember_reader(finished_run)
    known = get_settings().plugins.extension2reader
    assert sum("[[]1]" in pattern for pattern in known) == 1
    open_from_outside(with_readers, tmp_path)
    assert len(asked) == 1
    shutil.rmtree(gone)
    remember_reader(finished_run)
    assert not any("1]" in pattern for pattern in get_settings().plugins.extension2reader)
