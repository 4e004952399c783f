"""What the run was asked: here, or by commands that know nothing of the window."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from napari.utils.theme import get_theme
from qtpy.QtCore import Qt
from qtpy.QtWidgets import QFileDialog, QLabel

import napari_globalxai as gx

pytestmark = pytest.mark.gui

TIMEOUT = 60_000


@pytest.fixture
def own(panels: Any, finished_run: Path, tmp_path: Path, qtbot: Any) -> Any:
    """Panels on a run that a test may write into."""
    shutil.copytree(finished_run, tmp_path / "run")
    with qtbot.waitSignal(panels.explain.runner.succeeded, timeout=TIMEOUT):
        panels.explain.open_run(tmp_path / "run")
    return panels


def words(widget: Any) -> str:
    return "\n".join(label.text() for label in widget.findChildren(QLabel))


def seeds(folder: Path) -> int:
    path = folder / "sanity" / "finished.jsonl"
    return len(path.read_text().splitlines()) if path.is_file() else 0


def test_random_weights_go_on_where_they_were_stopped(
    own: Any, finished_run: Path, tmp_path: Path, qtbot: Any
) -> None:
    view, folder = own.peppr.sanity, tmp_path / "run"
    view.expand()
    view.form.expand()
    view.form.fields["seeds"].setValue(4)
    view.form.fields["stages"].setValue(1)
    with qtbot.waitSignal(view.runner.cancelled, timeout=TIMEOUT):
        view.compute_button.click()
        assert not view.compute_button.isEnabled()
        assert view.job_bar.cancel_button.isVisibleTo(view)
        qtbot.waitUntil(lambda: seeds(folder) > 0, timeout=TIMEOUT)
        view.job_bar.cancel_button.click()
    stopped = seeds(folder)
    assert 0 < stopped < 4
    assert "goes on from there" in view.job_bar.status.text()
    assert not view.chapter.isVisibleTo(view)
    # What was begun here, the command line ends, and what it found is shown here.
    found = gx.sanity(folder, seeds=4, stages=1)
    assert seeds(folder) == 4
    with qtbot.waitSignal(view.runner.succeeded, timeout=TIMEOUT):
        view.compute_button.click()
    assert seeds(folder) == 4
    qtbot.waitUntil(lambda: view.chapter.isVisibleTo(view), timeout=TIMEOUT)
    (table,) = view.chapter.tables
    lines = {line[0]: line for line in table.texts()}
    for label, each in found.items():
        assert lines[label][1:3] == [each["verdict"], "4"]
        assert f"{label}: {each['reason']}" in words(view.chapter)
    assert json.loads((folder / "sanity" / "sanity.json").read_text()) == found
    shutil.copytree(finished_run, tmp_path / "anew")
    assert gx.sanity(tmp_path / "anew", seeds=4, stages=1) == found
    # The list of all questions has it, too.
    answers = own.explain.answers
    answers.expand()
    qtbot.waitUntil(lambda: answers.box.findData("sanity") >= 0, timeout=TIMEOUT)


def look_at_figures(own: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, qtbot: Any) -> None:
    """Chapters show the figures that the report has of them, as the panel looks."""
    answers = own.explain.answers
    figures, expected = answers.figures, {
        "stability": ["Stability"],
        "contrasts": ["Contrast odd"],
        "selections": ["Selection some"],
        "slices": ["Calibration"],
    }  # fmt: skip
    own.viewer.window.show()
    own.viewer.window.resize(1200, 900)
    own.explain.bring_forward()
    for name, shown in expected.items():
        answers.box.setCurrentIndex(answers.box.findData(name))
        qtbot.waitUntil(lambda: bool(figures.pictures) and not figures.is_drawing, timeout=TIMEOUT)
        assert [each.accessibleName() for each in figures.pictures] == shown
    (picture,) = figures.pictures
    # All of it is in the panel's width, on its ground.
    qtbot.waitUntil(lambda: picture.width() == figures.width(), timeout=TIMEOUT)
    corner = picture.grab().toImage().pixelColor(2, 2).name()
    assert corner == get_theme(own.viewer.theme).background.as_hex(format="long")
    own.viewer.theme = "light"
    qtbot.waitUntil(lambda: figures.pictures[0] is not picture, timeout=TIMEOUT)
    corner = figures.pictures[0].grab().toImage().pixelColor(2, 2).name()
    assert corner == get_theme("light").background.as_hex(format="long")
    (picture,) = figures.pictures
    picture.setFocus()
    qtbot.keyClick(picture, Qt.Key.Key_Plus)
    qtbot.keyClick(picture, Qt.Key.Key_Right)
    assert picture.zoom > 1
    qtbot.keyClick(picture, Qt.Key.Key_0)
    assert picture.zoom == 1
    monkeypatch.setattr(
        QFileDialog, "getSaveFileName", lambda *asked: (str(tmp_path / "own.svg"), "")
    )
    qtbot.keyClick(picture, Qt.Key.Key_S, Qt.KeyboardModifier.ControlModifier)
    qtbot.waitUntil(lambda: (tmp_path / "own.svg").is_file(), timeout=TIMEOUT)
    # As it is printed: words stay words.
    assert "share with the label" in (tmp_path / "own.svg").read_text()


def test_what_commands_found_is_listed(
    own: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, qtbot: Any
) -> None:
    folder, answers = tmp_path / "run", own.explain.answers
    answers.expand()
    qtbot.waitUntil(lambda: answers.nothing.isVisibleTo(answers), timeout=TIMEOUT)
    assert not answers.box.isVisibleTo(answers)
    stable = gx.stability(folder)
    gx.contrast(folder, "odd", label_a="left", label_b="right", permutations=19)
    gx.make_maps(folder, "some", where="probability_left >= 0")
    gx.compare(folder, folder, folder / "comparisons" / "self")
    gx.slices(folder)
    # Read again when somebody looks.
    answers.collapse()
    answers.expand()
    qtbot.waitUntil(lambda: answers.box.count() > 0, timeout=TIMEOUT)
    listed = {answers.box.itemData(at) for at in range(answers.box.count())}
    assert listed == {"stability", "contrasts", "selections", "comparisons", "slices"}
    answers.box.setCurrentIndex(answers.box.findData("stability"))
    (table,) = answers.chapter.tables
    assert {line[0] for line in table.texts()} == set(stable.labels)
    assert "random halves" in answers.chapter.said.text()
    answers.box.setCurrentIndex(answers.box.findData("contrasts"))
    assert len(answers.chapter.tables) == 1
    look_at_figures(own, tmp_path, monkeypatch, qtbot)
    # Another run has others.
    shutil.rmtree(folder / "stability")
    own.session.answered.emit()
    qtbot.waitUntil(lambda: answers.box.findData("stability") < 0, timeout=TIMEOUT)


def test_a_damaged_file_is_said_and_nothing_breaks(own: Any, tmp_path: Path, qtbot: Any) -> None:
    answers = own.explain.answers
    (tmp_path / "run" / "sanity").mkdir()
    (tmp_path / "run" / "sanity" / "sanity.json").write_text("{")
    answers.expand()
    qtbot.waitUntil(lambda: answers.box.count() == 1, timeout=TIMEOUT)
    assert "sanity.json cannot be read" in answers.chapter.said.text()


def test_a_map_that_is_missing_is_named_where_its_figure_would_be(
    own: Any, tmp_path: Path, qtbot: Any
) -> None:
    folder, answers = tmp_path / "run", own.explain.answers
    made = gx.contrast(folder, "odd", label_a="left", label_b="right", permutations=19)
    lost = next(made.folder.glob("*.difference.tif"))
    lost.unlink()
    answers.expand()
    qtbot.waitUntil(lambda: answers.box.count() == 1, timeout=TIMEOUT)
    mend = "press “Ask” under “What the run was asked” again"
    assert f"⚠ odd: {lost.name} is missing; {mend}." in answers.chapter.said.text()


def test_of_many_findings_the_surest_are_told_and_the_rest_counted(panels: Any) -> None:
    """Qt lays all of a text out anew for each width that a panel is tried in."""
    from napari_globalxai.report.chapter import Chapter

    panels.explain.answers.ensure_made()
    view = panels.explain.answers.chapter
    view.show_chapter(Chapter("findings", "Findings", points=[f"No. {n}." for n in range(1200)]))
    lines = view.said.text().splitlines()
    assert lines[0] == "• No. 0."
    assert len(lines) < 40
    assert lines[-1] == f"… and {1200 - (len(lines) - 1):,} more, which the report tells of."
    view.show_chapter(Chapter("findings", "Findings", points=["No. 0."]))
    assert view.said.text() == "• No. 0."
