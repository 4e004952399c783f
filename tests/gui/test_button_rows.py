"""Rows of buttons as napari dresses them."""

from __future__ import annotations

import itertools
from typing import Any

import pytest
from napari.qt import get_stylesheet
from qtpy.QtWidgets import QLabel, QPushButton, QVBoxLayout, QWidget

from napari_globalxai.widgets.fields.parts import flowing

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


def test_what_goes_on_in_the_next_line_is_in_view(qtbot: Any) -> None:
    panel = QWidget()
    qtbot.addWidget(panel)
    row = [QPushButton(name) for name in ("New region", "Measure", "Erase and predict", "Keep")]
    box = QVBoxLayout(panel)
    box.addWidget(flowing(*row))
    box.addWidget(below := QLabel("What was measured"))
    box.addStretch(1)
    panel.resize(700, 200)
    with qtbot.waitExposed(panel):
        panel.show()
    assert below.y() < 2 * row[0].height() + box.spacing()
    for width in (250, 130, 700):
        panel.resize(width, 300)
        qtbot.wait(50)
        for button in row:
            assert button.visibleRegion().boundingRect() == button.rect(), (width, button.text())
        lowest = max(button.mapTo(panel, button.rect().bottomLeft()).y() for button in row)
        assert lowest < below.y() <= lowest + 2 * box.spacing() + 2
