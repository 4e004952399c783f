"""Rows of buttons as napari dresses them."""

from __future__ import annotations

import itertools
from typing import Any

import pytest
from napari.qt import get_stylesheet
from qtpy.QtWidgets import QPushButton, QVBoxLayout, QWidget

from napari_globalxai.widgets.parts import flowing

pytestmark = pytest.mark.gui


def test_buttons_of_a_row_stand_apart_and_on_one_line(qtbot: Any) -> None:
    panel = QWidget()
    qtbot.addWidget(panel)
    row = [QPushButton(name) for name in ("Compute", "Open run…", "Check", "Report")]
    QVBoxLayout(panel).addWidget(flowing(*row))
    panel.setStyleSheet(get_stylesheet("dark"))
    row[-1].setEnabled(False)
    panel.resize(700, 200)
    with qtbot.waitExposed(panel):
        panel.show()
    row[-1].setEnabled(True)
    qtbot.wait(50)
    places = [button.geometry() for button in row]
    assert len({(place.top(), place.height()) for place in places}) == 1
    for one, following in itertools.pairwise(places):
        assert following.left() - one.right() >= 4
    panel.resize(120, 200)
    qtbot.wait(50)
    for one, following in itertools.pairwise(button.geometry() for button in row):
        assert following.left() - one.right() >= 4 or following.top() - one.bottom() >= 4
