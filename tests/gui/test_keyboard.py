"""Every panel without a mouse: order of Tab, names, keys that are nobody else's."""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import dropwhile, islice, pairwise, takewhile
from typing import Any

import pytest
from qtpy.QtCore import QPoint, Qt
from qtpy.QtGui import QKeySequence
from qtpy.QtTest import QTest
from qtpy.QtWidgets import (
    QAbstractButton,
    QAbstractItemView,
    QAbstractSpinBox,
    QApplication,
    QComboBox,
    QLabel,
    QLineEdit,
    QPlainTextEdit,
    QSlider,
    QWidget,
)
from unfolding import unfold_once

from napari_globalxai.widgets.fields.fold import Fold
from napari_globalxai.widgets.jobs.event_turns import TURNS
from napari_globalxai.widgets.panels.answers.ask_view import AskView
from napari_globalxai.widgets.workbench.keys import BACK, FORWARD, NEXT, PANEL_KEYS, TOGGLE
from napari_globalxai.widgets.workbench.open_panels import PANELS, find_panel, open_panel

pytestmark = pytest.mark.gui

CONTROLS = (
    QAbstractButton,
    QAbstractItemView,
    QAbstractSpinBox,
    QComboBox,
    QLineEdit,
    QPlainTextEdit,
    QSlider,
)


def controls(panel: QWidget) -> set[QWidget]:
    """What a person works with in a panel, and can see."""
    return {
        widget
        for widget in panel.findChildren(QWidget)
        if isinstance(widget, CONTROLS)
        and not isinstance(widget.parent(), QAbstractSpinBox | QComboBox)
        and widget.isVisible()
        and widget.isEnabled()
        # Of napari, and of Qt itself: arrows of scroll bars, corners of tables.
        and not widget.objectName().startswith("qt_")
        and not isinstance(widget.parent(), QAbstractItemView)
    }


def unfold(panel: QWidget) -> None:
    for _ in range(3):
        for fold in panel.findChildren(Fold):
            if fold.isVisible() and fold.button.isEnabled():
                fold.expand()
        QApplication.processEvents()


def focused(panel: QWidget) -> Iterator[QWidget]:
    """What has the focus each time that Tab is pressed, once around the window.

    Qt's chain of focus is not asked: PySide6 takes each part of it for a child of the one before,
    and, when one is deleted, all after it for deleted, too.
    """
    widget = panel
    panel.setFocus()
    while True:
        QTest.keyClick(widget, Qt.Key.Key_Tab)
        widget = panel.window().focusWidget()
        if widget is panel:
            return
        yield widget


def tabbed(panel: QWidget) -> list[QWidget]:
    """The controls that Tab goes to, in its order, from the first of the panel on."""
    wanted, order = controls(panel), []
    # The buttons of its title come first.
    inside = dropwhile(lambda widget: not panel.isAncestorOf(widget), focused(panel))
    for widget in takewhile(panel.isAncestorOf, inside):
        # Some hand the focus on to a part of theirs.
        named = widget if widget in wanted else widget.parent()
        if named in wanted and named not in order:
            order.append(named)
    return order


def name_of(widget: QWidget) -> str:
    """What a screen reader would say."""
    text = widget.text() if isinstance(widget, QAbstractButton) else ""
    return widget.accessibleName() or text.strip("▸▾ &")


def described(widget: QWidget) -> str:
    return f"{type(widget).__name__} {name_of(widget)!r}"


def rows(panel: QWidget, order: list[QWidget]) -> Iterator[tuple[int, int, int, str]]:
    for widget in order:
        place = widget.mapTo(panel, QPoint(0, 0))
        yield place.y(), place.y() + widget.height(), place.x(), described(widget)


@pytest.fixture
def in_window(opened: Any, qtbot: Any) -> Any:
    opened.viewer.window.show()
    opened.viewer.window.resize(1200, 900)
    for name in PANELS:
        open_panel(opened.viewer, name)
    # What is in them comes a turn later.
    qtbot.waitUntil(lambda: TURNS.is_idle, timeout=60_000)
    qtbot.wait(300)
    return opened


def test_tab_follows_the_eye_and_reaches_all_of_each_panel(in_window: Any, qtbot: Any) -> None:
    wrong = []
    for name in PANELS:
        panel = open_panel(in_window.viewer, name)
        unfold(panel)
        for ask in panel.findChildren(AskView):
            # With fields of several parts.
            ask.box.setCurrentIndex(ask.box.findData("compare"))
        unfold(panel)
        # What is in a panel comes turns later.
        qtbot.waitUntil(lambda: TURNS.is_idle, timeout=60_000)
        qtbot.wait(100)
        wanted, order = controls(panel), tabbed(panel)
        assert len(order) > 3, name
        wrong += [f"{name}: Tab misses {described(each)}" for each in wanted.difference(order)]
        wrong += [
            f"{name}: no name: {type(each).__name__} in {type(each.parent()).__name__}"
            for each in order
            if not name_of(each)
        ]
        for one, other in pairwise(rows(panel, order)):
            # In one row where they overlap by half of the lower one, from left to right.
            overlap = min(one[1], other[1]) - max(one[0], other[0])
            same = overlap > min(one[1] - one[0], other[1] - other[0]) / 2
            if not ((other[2] > one[2]) if same else (other[0] >= one[0])):
                wrong.append(f"{name}: Tab goes from {one[3]} up to {other[3]}")
    assert not wrong, "\n".join(wrong)


def test_tab_stops_at_nothing_that_is_not_seen(in_window: Any, qtbot: Any) -> None:
    """Neither in panels in tabs behind, nor past the edge of the one in front."""
    in_window.viewer.window.activate()
    qtbot.waitUntil(in_window.viewer.window._qt_window.isActiveWindow, timeout=60_000)
    panels = {name: open_panel(in_window.viewer, name) for name in PANELS}
    for name, panel in panels.items():
        panel.bring_forward()
        unfold(panel)
        qtbot.wait(100)
        others = [other for other in panels.values() if other is not panel]
        # What Tab comes to first, from elsewhere, is out of view.
        panel.verticalScrollBar().setValue(panel.verticalScrollBar().maximum())
        # napari's own widgets may go round among themselves.
        stops = list(islice(focused(panel), 400))
        assert any(map(panel.isAncestorOf, stops)), name
        for each in stops:
            behind = [type(other).__name__ for other in others if other.isAncestorOf(each)]
            assert not behind, (name, described(each), behind)
        for each in filter(panel.isAncestorOf, islice(focused(panel), 400)):
            assert not each.visibleRegion().isEmpty(), (name, described(each))


def test_keys_are_nobody_elses(in_window: Any) -> None:
    from napari._app_model import get_app_model

    ours = {*NEXT, TOGGLE, BACK, FORWARD, *PANEL_KEYS, *(f"Shift+{key}" for key in NEXT)}
    known = {
        str(binding.keybinding) for binding in get_app_model().keybindings if binding.keybinding
    }
    window = in_window.explain.window()
    shown = {
        action.shortcut().toString() for action in window.findChildren(type(window.addAction("")))
    }
    from napari.settings import get_settings

    for bindings in get_settings().shortcuts.shortcuts.values():
        known |= {str(each) for each in bindings}
    taken = {QKeySequence(each).toString() for each in known | shown if each}
    assert len(taken) > 20
    assert not {QKeySequence(each).toString() for each in ours} & taken


def test_each_key_has_a_command_in_the_palette(in_window: Any) -> None:
    from napari._app_model import get_app_model

    titles = " ".join(
        str(command.title)
        for name, command in get_app_model().commands
        if str(name).startswith("napari-globalxai")
    )
    for key in (*NEXT, *(f"Shift+{each}" for each in NEXT), TOGGLE, BACK, FORWARD, *PANEL_KEYS):
        assert f"({key})" in titles, key
    for panel in PANELS:
        assert panel.split()[-1].lower() in titles.lower(), panel


def test_labels_with_a_key_lead_to_their_field(in_window: Any, qtbot: Any) -> None:
    """Whatever panels stand in tabs behind, some of which have the same keys."""
    window, found = in_window.viewer.window, 0
    window.activate()
    qtbot.waitUntil(window._qt_window.isActiveWindow, timeout=60_000)
    for name in PANELS:
        panel = open_panel(in_window.viewer, name)
        unfold(unfold_once(panel))
        qtbot.wait(100)
        for label in panel.findChildren(QLabel):
            letter = re.search("&([a-z])", label.text(), re.IGNORECASE)
            if letter is None or label.textFormat() == Qt.TextFormat.RichText:
                continue
            field = label.buddy()
            assert field is not None, (name, label.text())
            if not field.isEnabled() or not field.isVisible():
                continue
            panel.setFocus()
            key = Qt.Key(ord(letter[1].upper()))
            qtbot.keyClick(panel, key, Qt.KeyboardModifier.AltModifier)
            assert QApplication.focusWidget() is field, (name, label.text())
            found += 1
    assert found > 12


def test_keys_lead_from_the_canvas_into_each_panel(in_window: Any, qtbot: Any) -> None:
    """From where Tab may go round among napari's own widgets."""
    window = in_window.viewer.window
    window.activate()
    qtbot.waitUntil(window._qt_window.isActiveWindow, timeout=60_000)
    canvas = window._qt_viewer.canvas.native
    assert list(PANEL_KEYS.values()) == list(PANELS)
    for number, name in enumerate(PANELS, 1):
        panel = find_panel(in_window.viewer, name)
        assert panel is not None
        if name == "PEPPR":
            # Closed before, it comes back.
            window.remove_dock_widget(panel)
        canvas.setFocus()
        key = Qt.Key(ord(str(number)))
        qtbot.keyClick(canvas, key, Qt.KeyboardModifier.AltModifier)
        qtbot.waitUntil(lambda: TURNS.is_idle, timeout=60_000)
        panel = find_panel(in_window.viewer, name)
        assert panel is not None
        part = QApplication.focusWidget()
        assert part is not None
        assert panel.isAncestorOf(part), name
        assert not part.visibleRegion().isEmpty(), (name, described(part))
        assert (part if part in controls(panel) else part.parent()) in controls(panel), name
        # From there, Tab stays in the panel; and the key leads back to where one was.
        qtbot.keyClick(part, Qt.Key.Key_Tab)
        after = QApplication.focusWidget()
        assert after is not None
        assert after is not part, name
        assert panel.isAncestorOf(after), name
        canvas.setFocus()
        qtbot.keyClick(canvas, key, Qt.KeyboardModifier.AltModifier)
        qtbot.waitUntil(lambda: TURNS.is_idle, timeout=60_000)
        assert QApplication.focusWidget() is after, name
