"""The wheel and the touchpad: they scroll panels, and change nothing that has not the focus."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from matplotlib.figure import Figure
from qtpy.QtCore import QPoint, QPointF, Qt
from qtpy.QtGui import QWheelEvent
from qtpy.QtWidgets import QAbstractSpinBox, QApplication, QComboBox, QDial, QSlider, QWidget
from unfolding import unfold_once

from napari_globalxai.widgets.fields.choice_box import choice_box
from napari_globalxai.widgets.fields.picture_view import PictureView
from napari_globalxai.widgets.jobs.event_turns import TURNS
from napari_globalxai.widgets.workbench.open_panels import PANELS, open_panel

pytestmark = pytest.mark.gui

TIMEOUT = 60_000
PHASE = Qt.ScrollPhase
NO_KEY, CONTROL = Qt.KeyboardModifier.NoModifier, Qt.KeyboardModifier.ControlModifier
Event = tuple[QPoint, QPoint, Any, Any]
# As a mouse tells of a notch, and a touchpad of two fingers that go on by themselves: pixels,
# eighths of a degree, phase, keys. With Alt, Qt takes what is down for what is across.
SCROLLED: dict[str, list[Event]] = {
    "notches": [(QPoint(), QPoint(0, -120), PHASE.NoScrollPhase, NO_KEY)] * 2,
    "fine notches": [(QPoint(), QPoint(0, -15), PHASE.NoScrollPhase, NO_KEY)] * 16,
    "touchpad": [
        (QPoint(), QPoint(), PHASE.ScrollBegin, NO_KEY),
        *[(QPoint(0, -9), QPoint(0, -24), PHASE.ScrollUpdate, NO_KEY)] * 10,
        *[(QPoint(0, -3), QPoint(0, -8), PHASE.ScrollMomentum, NO_KEY)] * 6,
        (QPoint(), QPoint(), PHASE.ScrollEnd, NO_KEY),
    ],
    "touchpad without a begin": [(QPoint(0, -9), QPoint(0, -24), PHASE.ScrollUpdate, NO_KEY)] * 10,
    "across": [(QPoint(-40, 0), QPoint(-120, 0), PHASE.NoScrollPhase, NO_KEY)] * 2,
    "with Alt": [(QPoint(), QPoint(-120, 0), PHASE.NoScrollPhase, Qt.KeyboardModifier.AltModifier)],
    "with Ctrl": [(QPoint(), QPoint(0, -120), PHASE.NoScrollPhase, CONTROL)],
}
DOWN = ("notches", "fine notches", "touchpad", "touchpad without a begin")


def scroll(part: QWidget, events: list[Event]) -> None:
    """Scroll over a part: what it does not take goes to what it lies in, as Qt has it.

    Qt itself hands on what the system tells alone.
    """
    at = QPointF(5, 5)
    for pixels, angle, phase, keys in events:
        there: QWidget | None = part
        while there is not None:
            place = QPointF(there.mapToGlobal(QPoint(5, 5)))
            event = QWheelEvent(
                at, place, pixels, angle, Qt.MouseButton.NoButton, keys, phase, False
            )
            QApplication.sendEvent(there, event)
            there = None if event.isAccepted() or there.isWindow() else there.parentWidget()


def state(box: Any) -> Any:
    return box.currentIndex() if isinstance(box, QComboBox) else box.value()


def boxes_of(panel: Any) -> Iterator[Any]:
    """Give what the wheel could change, and is not a part of the panel's own scrolling."""
    for box in unfold_once(panel).findChildren(QWidget):
        if isinstance(box, QComboBox | QAbstractSpinBox | QSlider | QDial):
            yield box


@pytest.fixture
def all_panels(opened: Any, qtbot: Any) -> dict[str, Any]:
    opened.viewer.window.show()
    panels = {name: open_panel(opened.viewer, name) for name in PANELS}
    # What is in them comes a turn later.
    qtbot.waitUntil(lambda: TURNS.is_idle, timeout=TIMEOUT)
    return panels


def test_no_box_without_focus_is_changed_and_the_panel_scrolls(
    all_panels: dict[str, Any], qtbot: Any
) -> None:
    tried, scrolled = 0, 0
    for panel in all_panels.values():
        panel.bring_forward()
        qtbot.waitUntil(lambda: TURNS.is_idle, timeout=TIMEOUT)
        bar = panel.verticalScrollBar()
        for box in boxes_of(panel):
            if box.hasFocus():
                continue
            before = state(box)
            # The line of numbers lies over most of its box.
            parts = [
                box,
                *box.findChildren(QWidget, options=Qt.FindChildOption.FindDirectChildrenOnly),
            ]
            for part in (part for part in parts if not part.isWindow()):
                for name, events in SCROLLED.items():
                    bar.setValue(0)
                    scroll(part, events)
                    assert state(box) == before, (name, box.accessibleName())
                    if name in DOWN and bar.maximum() > 0 and box.isVisibleTo(panel):
                        assert bar.value() > 0, (name, box.accessibleName())
                        scrolled += 1
                    tried += 1
            assert not box.hasFocus(), box.accessibleName()
    assert tried > 300
    assert scrolled > 60


@pytest.mark.parametrize("name", SCROLLED)
def test_in_an_open_list_the_wheel_chooses_nothing(name: str, qtbot: Any) -> None:
    """Its list scrolls, and what is below it in the panel stays as it is."""
    holder = QWidget()
    qtbot.addWidget(holder)
    box, below = choice_box("Many", "Of many"), choice_box("Below", "Under the list")
    for each in (box, below):
        each.setParent(holder)
        each.addItems([f"line {number}" for number in range(100)])
        each.setCurrentIndex(50)
    below.move(0, 40)
    holder.resize(200, 200)
    holder.show()
    qtbot.waitUntil(holder.isVisible, timeout=TIMEOUT)
    box.showPopup()
    chosen: list[int] = []
    box.activated.connect(chosen.append)
    qtbot.waitUntil(box.view().isVisible, timeout=TIMEOUT)
    bar = box.view().verticalScrollBar()
    bar.setValue(0)
    scroll(box.view().viewport(), SCROLLED[name])
    scroll(below, SCROLLED[name])
    assert (box.currentIndex(), below.currentIndex()) == (50, 50)
    if name in DOWN:
        assert bar.value() > 0
    # At its end as well, where the list takes no more.
    bar.setValue(bar.maximum())
    scroll(box.view().viewport(), SCROLLED[name])
    assert (box.currentIndex(), below.currentIndex()) == (50, 50)
    box.hidePopup()
    assert chosen == []
    assert box.currentIndex() == 50


def test_a_picture_comes_as_much_closer_by_small_moves_as_by_the_notch_that_they_make(
    qtbot: Any,
) -> None:
    view = PictureView("Figure", np.zeros((50, 50, 4), np.uint8), Figure)
    qtbot.addWidget(view)
    small = (QPoint(0, 6), QPoint(0, 15), PHASE.ScrollUpdate, CONTROL)
    scroll(view, [small])
    assert 1 < view.zoom < 1.05
    scroll(view, [small] * 7)
    by_touchpad = view.zoom
    view.zoom_by(0)
    scroll(view, [(QPoint(), QPoint(0, 120), PHASE.NoScrollPhase, CONTROL)])
    assert by_touchpad == pytest.approx(view.zoom) == pytest.approx(1.25)
    # Without Ctrl, and across, it is the panel that scrolls.
    scroll(view, [(QPoint(0, 6), QPoint(0, 120), PHASE.ScrollUpdate, NO_KEY)])
    scroll(view, [(QPoint(6, 0), QPoint(120, 0), PHASE.ScrollUpdate, CONTROL)])
    assert view.zoom == pytest.approx(1.25)
