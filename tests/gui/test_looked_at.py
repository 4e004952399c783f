"""Back and forward through maps and selections: by buttons, by keys, from the palette."""

from __future__ import annotations

from typing import Any

import pytest
from qtpy.QtCore import Qt

from napari_globalxai.widgets.session.looked_at import LookedAt, looked_at
from napari_globalxai.widgets.session.session import Session
from napari_globalxai.widgets.session.shown_maps import Selection

pytestmark = pytest.mark.gui

TIMEOUT = 20_000


class Clock:
    """A clock that goes on when it is told to."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def selection(name: str) -> Selection:
    return Selection(name, (1, 2))


def test_what_changes_together_is_one_step() -> None:
    session, clock = Session(), Clock()
    steps = LookedAt(session, clock)
    assert not steps.can_go_back
    for at, name in enumerate(("a", "b", "c")):
        clock.now = 1.0 + at
        session.select(selection(name))
        session.compare_with(selection(f"less {name}"))
    steps.back()
    assert (session.choice.among, session.choice.less) == (selection("b"), selection("less b"))
    assert steps.can_go_forward
    steps.back()
    steps.back()
    assert session.choice.is_own
    assert not steps.can_go_back
    steps.back()
    steps.forward()
    assert session.selection == selection("a")
    # What comes now takes the place of what was ahead, however soon.
    session.select(selection("d"))
    assert not steps.can_go_forward
    steps.back()
    assert session.selection == selection("a")


def test_there_is_an_end_to_what_is_kept() -> None:
    session, clock = Session(), Clock()
    steps = LookedAt(session, clock)
    for at in range(300):
        clock.now += 1
        session.select(selection(str(at)))
    went = 0
    while steps.can_go_back:
        steps.back()
        went += 1
    assert 50 < went < 150
    assert session.selection == selection(str(299 - went))


def test_a_person_goes_back_by_button_key_and_palette(opened: Any, qtbot: Any) -> None:
    from napari_globalxai.widgets.workbench.open_panels import open_panel
    from napari_globalxai.widgets.workbench.palette_commands import go_back

    viewer, session, steps = opened.viewer, opened.session, looked_at(opened.viewer)
    window = opened.explain.window()
    viewer.window.show()
    qtbot.waitExposed(window)
    window.activateWindow()
    qtbot.waitUntil(window.isActiveWindow, timeout=TIMEOUT)
    images = open_panel(viewer, "All images")
    qtbot.waitUntil(lambda: images.query_line.isVisible(), timeout=TIMEOUT)
    back, forward = images.step_buttons
    assert not back.isEnabled()
    first = session.map_name
    qtbot.wait(350)
    images.query_line.setFocus()
    qtbot.keyClicks(images.query_line, "probability_left >= 0.5")
    qtbot.keyClick(images.query_line, Qt.Key.Key_Return)
    among = session.selection
    assert among is not None
    qtbot.wait(350)
    opened.explain.maps.map_box.setCurrentText("right")
    qtbot.wait(350)
    opened.explain.maps.more.expand()
    statistics = opened.explain.maps.more.statistic_box
    statistics.setCurrentIndex(statistics.findData("sd"))
    assert session.choice.statistic == "sd"
    qtbot.mouseClick(back, Qt.MouseButton.LeftButton)
    assert (session.map_name, session.choice.statistic) == ("right", "mean")
    # The panel's boxes say so, too.
    assert opened.explain.maps.more.statistic_box.currentData() == "mean"
    qtbot.keyClick(window, Qt.Key.Key_Left, Qt.KeyboardModifier.AltModifier)
    assert (session.map_name, session.selection) == (first, among)
    qtbot.keyClick(window, Qt.Key.Key_Right, Qt.KeyboardModifier.AltModifier)
    assert session.map_name == "right"
    assert forward.isEnabled()
    go_back()
    go_back()
    assert session.choice.is_own
    assert images.query_line.text() == ""
    assert not steps.can_go_back
