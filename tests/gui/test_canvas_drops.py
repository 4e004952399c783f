"""What is dropped on the canvas: ours is taken, others' is left, and what nobody reads is said."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import Any

import pytest
from dropping import drop
from npe2 import DynamicPlugin
from qtpy.QtCore import Qt
from qtpy.QtGui import QGuiApplication

from napari_globalxai.widgets.jobs.event_turns import TURNS
from napari_globalxai.widgets.workbench.open_panels import open_panel

# PySide6 asks for a point with fractions, which PyQt6 does not take.
pytestmark = [
    pytest.mark.gui,
    pytest.mark.filterwarnings("ignore:Function. 'QDragEnterEvent:DeprecationWarning"),
]

TIMEOUT = 10_000


def test_what_is_ours_and_dropped_is_taken_without_a_question(
    panels: Any, finished_run: Path, inputs: Any, asked: list[str], tmp_path: Path, qtbot: Any
) -> None:
    explain, canvas = panels.explain, panels.viewer.window._qt_viewer
    with qtbot.waitSignal(explain.runner.succeeded, timeout=TIMEOUT):
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
        qtbot.waitUntil(lambda words=words, said=said: words in said.text(), timeout=TIMEOUT)
    assert not asked


@pytest.fixture
def viewer(with_readers: Any, asked: list[str], qtbot: Any, monkeypatch: pytest.MonkeyPatch) -> Any:
    """A viewer with a panel, where napari's own readers are known, too."""
    # Qt goes on believing in an Alt that another test has pressed.
    none = Qt.KeyboardModifier.NoModifier
    monkeypatch.setattr(QGuiApplication, "keyboardModifiers", lambda: none)
    open_panel(with_readers, "Global explanations")
    qtbot.waitUntil(lambda: TURNS.is_idle, timeout=60_000)
    return with_readers


def unread(folder: Path, kind: str) -> Path:
    """Something that nobody reads."""
    path = folder / {"json": "notes.json", "words": "report.docx"}.get(kind, kind)
    if kind in ("json", "words"):
        path.write_text("[1, 2]")
    elif kind == "loop.csv":
        path.symlink_to(path)
    elif kind == "two links.json":
        (folder / "other").symlink_to(path)
        path.symlink_to(folder / "other")
    elif kind == "lost.yaml":
        path.symlink_to(folder / "nowhere")
    elif kind == "half a run":
        path.mkdir()
        (path / "run.json").symlink_to(path / "run.json")
    elif kind == "run of others":
        path.mkdir()
        path /= "run.json"
        path.write_text('{"framework": "another"}')
    return path


@pytest.mark.parametrize(
    ("kind", "words"),
    [
        ("json", "is nothing that this program or another plugin reads; a cohort table, a model"),
        ("words", "is nothing that this program or another plugin reads; a cohort table, a model"),
        ("run of others", "is nothing that this program or another plugin reads; a cohort table"),
        ("loop.csv", "is a link that leads nowhere; drop what it should lead to."),
        ("two links.json", "is a link that leads nowhere; drop what it should lead to."),
        ("lost.yaml", "is a link that leads nowhere; drop what it should lead to."),
        ("half a run", "has a run.json that is a link that leads nowhere; drop what it should"),
        ("gone", "is not there any more; drop it from where it is now."),
    ],
)
def test_what_nobody_reads_is_one_sentence(
    viewer: Any, asked: list[str], notifications: list[Any], tmp_path: Path, kind: str, words: str
) -> None:
    path = unread(tmp_path, kind)
    drop(viewer.window._qt_viewer, path)
    assert [str(each.message).startswith(f"{path}: {words}") for each in notifications] == [True]
    assert not asked


def test_a_part_of_a_run_names_the_run(
    viewer: Any, finished_run: Path, notifications: list[Any]
) -> None:
    drop(viewer.window._qt_viewer, finished_run / "peppr" / "left.json")
    (said,) = notifications
    assert str(said.message).endswith(f"is a part of the run {finished_run}; drop that folder.")


@pytest.mark.parametrize(
    "name", ["images.csv", "performance.csv", "maps/maps.csv", "peppr/left.csv"]
)
def test_a_table_of_results_opens_its_run(
    viewer: Any, asked: list[str], finished_run: Path, name: str, qtbot: Any
) -> None:
    panel = open_panel(viewer, "Global explanations")
    with qtbot.waitSignal(panel.runner.succeeded, timeout=TIMEOUT):
        drop(viewer.window._qt_viewer, finished_run / name)
    assert panel.session.run.folder == finished_run
    # On the field of the table, too, which keeps what it had.
    before = panel.cohort_field.path
    with qtbot.waitSignal(panel.runner.succeeded, timeout=TIMEOUT):
        drop(panel.cohort_field.line, finished_run / name)
    assert panel.cohort_field.path == before != finished_run / name
    assert not asked


def test_a_table_of_results_that_is_typed_is_told(
    viewer: Any, finished_run: Path, tmp_path: Path, qtbot: Any
) -> None:
    panel = open_panel(viewer, "Global explanations")
    line, problems = panel.cohort_field.line, panel.form.preview.problems
    line.setFocus()
    line.setText(str(finished_run / "images.csv"))
    line.editingFinished.emit()
    words = f"images.csv: is a table of results of {finished_run}, not a cohort table"
    qtbot.waitUntil(lambda: words in problems.text(), timeout=TIMEOUT)
    # A copy is its owner's, and said to be read so.
    copy = Path(shutil.copy(finished_run / "images.csv", tmp_path / "mine.csv"))
    line.setText(str(copy))
    line.editingFinished.emit()
    words = "mine.csv: has the columns of a run's images.csv and is read as a cohort table"
    qtbot.waitUntil(lambda: words in problems.text(), timeout=TIMEOUT)


@pytest.mark.parametrize("content", [b"", b"\n \n", b"\xef\xbb\xbf"])
def test_an_empty_table_is_said_where_tables_are_read(
    viewer: Any, asked: list[str], tmp_path: Path, content: bytes, qtbot: Any
) -> None:
    table = tmp_path / "cohort.csv"
    table.write_bytes(content)
    drop(viewer.window._qt_viewer, table)
    problems = open_panel(viewer, "Global explanations").form.preview.problems
    qtbot.waitUntil(lambda: "it is empty; save it anew" in problems.text(), timeout=TIMEOUT)
    assert str(table) in problems.text()
    assert not asked


def test_a_table_of_one_column_is_ours(viewer: Any, asked: list[str], tmp_path: Path) -> None:
    """napari's own tables have several; of others it would say that they gave no data."""
    table = tmp_path / "cohort.csv"
    table.write_text("filename\na.png\n")
    drop(viewer.window._qt_viewer, table)
    assert open_panel(viewer, "Global explanations").cohort_field.path == table
    assert not asked


def test_a_run_that_was_copied_in_part_says_what_is_missing(
    viewer: Any, asked: list[str], finished_run: Path, tmp_path: Path, qtbot: Any
) -> None:
    half = tmp_path / "half"
    shutil.copytree(finished_run / "attributions.zarr", half / "attributions.zarr")
    panel = open_panel(viewer, "Global explanations")
    with qtbot.waitSignal(panel.runner.failed, timeout=TIMEOUT):
        drop(viewer.window._qt_viewer, half)
    said = panel.job_bar.status.text()
    assert said.startswith(f"{half / 'run.json'}: is missing, and nothing can be made of attrib")
    assert not asked


def test_a_folder_with_a_run_of_another_program_is_naparis(
    viewer: Any, asked: list[str], tmp_path: Path
) -> None:
    (tmp_path / "run.json").write_text('{"framework": "another", "epochs": 3}')
    drop(viewer.window._qt_viewer, tmp_path)
    assert asked == ["Choose reader"]


def test_what_another_plugin_reads_is_left_to_the_user(
    viewer: Any, npe2pm: Any, asked: list[str], inputs: Any, tmp_path: Path
) -> None:
    panel = open_panel(viewer, "Global explanations")
    notes = tmp_path / "notes.json"
    notes.write_text("{}")
    read: list[Any] = []

    def reader(path: Any) -> Any:
        read.append(path)
        return lambda path: [(None,)]

    with DynamicPlugin("others", plugin_manager=npe2pm) as others:
        others.contribute.reader(reader, filename_patterns=["*.json", "*.csv"])
        drop(viewer.window._qt_viewer, notes)
        assert read == [str(notes)]
        drop(viewer.window._qt_viewer, inputs.cohort)
        assert asked == ["Choose reader"]
        assert panel.cohort_field.path is None
    with DynamicPlugin("anything", plugin_manager=npe2pm) as anything:
        # Which says nothing of tables.
        anything.contribute.reader(reader, filename_patterns=["*"])
        drop(viewer.window._qt_viewer, inputs.cohort)
        assert panel.cohort_field.path == inputs.cohort
    assert asked == ["Choose reader"]


def test_of_several_each_goes_where_it_belongs(
    viewer: Any, asked: list[str], inputs: Any, notifications: list[Any], tmp_path: Path
) -> None:
    panel = open_panel(viewer, "Global explanations")
    notes = tmp_path / "notes.json"
    notes.write_text("{}")
    picture = inputs.cohort.parent / "images" / "003.png"
    drop(viewer.window._qt_viewer, picture, inputs.cohort, notes)
    assert panel.cohort_field.path == inputs.cohort
    assert [layer.name for layer in viewer.layers] == ["003"]
    (said,) = notifications
    assert str(notes) in str(said.message)
    assert not asked


def test_with_alt_napari_asks_who_reads_it(
    viewer: Any, asked: list[str], inputs: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    alt = Qt.KeyboardModifier.AltModifier
    monkeypatch.setattr(QGuiApplication, "keyboardModifiers", lambda: alt)
    drop(viewer.window._qt_viewer, inputs.cohort, held=alt)
    assert asked == ["Choose reader"]
    assert open_panel(viewer, "Global explanations").cohort_field.path is None


def test_a_link_without_end_is_no_run_to_compare_with(
    opened: Any, tmp_path: Path, notifications: list[Any], qtbot: Any
) -> None:
    from napari_globalxai.widgets.panels.peppr.peppr_question_view import PepprQuestionView

    loop = tmp_path / "loop"
    loop.symlink_to(loop)
    (question,) = open_panel(opened.viewer, "PEPPR").findChildren(PepprQuestionView)
    question.expand()
    form = question.form
    drop(form.against.viewport(), loop)
    assert str(loop) in form.against.ticked()
    assert not notifications
