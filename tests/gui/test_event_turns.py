"""Work that the GUI thread does a piece at a time."""

from __future__ import annotations

import time
from typing import Any

import pytest
from qtpy.QtCore import QTimer
from qtpy.QtWidgets import QLabel, QWidget

from napari_globalxai.widgets.jobs.event_turns import TURNS
from napari_globalxai.widgets.layers.run_layers import layers_of
from napari_globalxai.widgets.workbench.panel import Panel

pytestmark = pytest.mark.gui


def test_a_piece_lets_pass_what_came_while_the_window_stood_still(qtbot: Any) -> None:
    order: list[str] = []
    TURNS.add(lambda: order.append("first"))
    TURNS.add(lambda: order.append("second"))
    QTimer.singleShot(3, lambda: order.append("other"))
    # The time of all of them is over before the event loop goes on.
    time.sleep(0.05)
    qtbot.waitUntil(lambda: len(order) == 3)
    assert order == ["other", "first", "second"]


class _Seen(QWidget):
    def __init__(self, order: list[str]) -> None:
        super().__init__()
        self._order = order

    def paintEvent(self, event: Any) -> None:  # noqa: N802
        self._order.append("drawn")


def test_what_a_timer_has_drawn_is_drawn_before_the_next_piece(qtbot: Any) -> None:
    order: list[str] = []
    seen = _Seen(order)
    qtbot.addWidget(seen)
    seen.show()
    qtbot.waitUntil(lambda: "drawn" in order)

    def first() -> None:
        order.clear()
        # The time of both, and of the next piece, is over by then.
        QTimer.singleShot(1, lambda: time.sleep(0.05))
        QTimer.singleShot(3, seen.update)

    TURNS.add(first)
    TURNS.add(lambda: order.append("piece"))
    qtbot.waitUntil(lambda: TURNS.is_idle)
    assert order == ["drawn", "piece"]


def test_a_panel_takes_its_content_a_turn_later(qtbot: Any) -> None:
    panel = Panel()
    qtbot.addWidget(panel)
    panel.content.addWidget(QLabel("here"))
    assert not panel.findChildren(QLabel)
    qtbot.waitUntil(lambda: TURNS.is_idle)
    assert [label.text() for label in panel.findChildren(QLabel)] == ["here"]


def test_a_panel_that_goes_at_once_takes_nothing(qtbot: Any) -> None:
    panel = Panel()
    gone = []
    panel.destroyed.connect(lambda: gone.append(True))
    panel.deleteLater()
    TURNS.add(lambda: None)
    # Taken before the panel would be deleted otherwise.
    qtbot.waitUntil(lambda: bool(gone))
    qtbot.waitUntil(lambda: TURNS.is_idle)
    assert panel is not None


def test_what_was_left_for_a_turn_is_left_out_once_the_window_is_closed(
    make_napari_viewer: Any, qtbot: Any
) -> None:
    viewer = make_napari_viewer()
    layers = layers_of(viewer)
    TURNS.add(layers.make_slider)
    viewer.close()
    qtbot.waitUntil(lambda: TURNS.is_idle)
    assert viewer.dims.ndim == 2
