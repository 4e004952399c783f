"""What a panel folds away is made when somebody unfolds it, or when it is needed before."""

from __future__ import annotations

import threading
from typing import Any

import pytest
from qtpy.QtCore import Qt
from qtpy.QtWidgets import QLineEdit, QPushButton, QWidget

from napari_globalxai.widgets.fields.fold import Fold
from napari_globalxai.widgets.fields.layouts import in_column
from napari_globalxai.widgets.fields.parts import JobBar
from napari_globalxai.widgets.fields.path_field import PathField
from napari_globalxai.widgets.jobs.event_turns import TURNS
from napari_globalxai.widgets.jobs.workers import JobRunner
from napari_globalxai.widgets.workbench.job_foot import JobFoot
from napari_globalxai.widgets.workbench.panel import Panel

pytestmark = pytest.mark.gui


def column(*parts: QWidget) -> QWidget:
    content = QWidget()
    box = in_column(content)
    for part in parts:
        box.addWidget(part)
    return content


@pytest.fixture
def panel(qtbot: Any) -> Any:
    """A panel with a fold between two buttons."""
    shown = Panel()
    qtbot.addWidget(shown)
    shown.fold = Fold("More")
    shown.last = QPushButton("Last")
    for part in (QPushButton("First"), shown.fold, shown.last):
        shown.content.addWidget(part)
    shown.show()
    qtbot.waitUntil(lambda: TURNS.is_idle)
    return shown


def test_it_is_made_once_and_as_things_are_by_then(panel: Any, qtbot: Any) -> None:
    said = "before"
    made: list[QLineEdit] = []

    def make() -> QWidget:
        made.append(QLineEdit(said))
        return column(made[-1])

    panel.fold.make_content(make)
    assert not panel.fold.is_made
    said = "after"
    for expected in (True, False, True):
        qtbot.mouseClick(panel.fold.button, Qt.MouseButton.LeftButton)
        assert made[0].isVisible() is expected
    assert [line.text() for line in made] == ["after"]
    # Another in its place waits for nobody: it is looked at.
    panel.fold.make_content(make)
    assert len(made) == 2
    panel.fold.collapse()
    panel.fold.make_content(make)
    assert len(made) == 2
    # What needs it has it.
    assert panel.fold.content().isAncestorOf(made[2])
    assert not panel.fold.isExpanded()


def test_tab_goes_through_it_before_what_stands_below(panel: Any, qtbot: Any) -> None:
    path = PathField("Choose a file")
    line = QLineEdit()
    panel.fold.make_content(lambda: column(path, line))
    panel.fold.expand()
    panel.fold.button.setFocus()
    order = []
    for _ in range(4):
        qtbot.keyClick(panel.focusWidget(), Qt.Key.Key_Tab)
        order.append(panel.focusWidget())
    assert order == [path.line, path.browse_button, line, panel.last]


def test_a_job_that_begins_makes_the_part_that_has_its_bar(panel: Any, qtbot: Any) -> None:
    runner, go_on = JobRunner(panel), threading.Event()
    panel.fold.make_content(lambda: column(JobBar(runner)), runner)
    (foot,) = panel.findChildren(JobFoot)
    assert not panel.fold.is_made
    assert foot.lines == []
    with qtbot.waitSignal(runner.succeeded):
        runner.run(lambda progress: go_on.wait(20))
        assert panel.fold.is_made
        assert not panel.fold.isExpanded()
        # Out of view, its bar is at the foot.
        (line,) = foot.lines
        assert line.isVisibleTo(panel)
        go_on.set()
    assert not line.isVisibleTo(panel)
    # One that a panel finds under way.
    go_on.clear()
    with qtbot.waitSignal(runner.succeeded):
        runner.run(lambda progress: go_on.wait(20))
        found = Fold("Found")
        qtbot.addWidget(found)
        found.make_content(lambda: column(JobBar(runner)), runner)
        assert found.is_made
        go_on.set()


def test_parts_of_a_panel_are_shown_in_their_order_and_hidden_ones_stay_hidden(qtbot: Any) -> None:
    panel = Panel()
    qtbot.addWidget(panel)
    buttons = [QPushButton(str(number)) for number in range(5)]
    for button in buttons:
        panel.content.addWidget(button)
    panel.content.addStretch(1)
    buttons[2].hide()
    panel.show()
    # While they wait, one is hidden and one is shown by its owner: neither is a window.
    TURNS.add(lambda: None)
    qtbot.waitUntil(lambda: panel.widget() is not None)
    buttons[3].hide()
    buttons[2].show()
    assert not buttons[2].isWindow()
    qtbot.waitUntil(lambda: TURNS.is_idle)
    assert [button.isVisible() for button in buttons] == [True, True, True, False, True]
    places = [button.mapTo(panel, button.rect().topLeft()).y() for button in buttons]
    assert places[0] < places[1] < places[2] < places[4]
    assert panel.content.count() == 6
