"""napari is closed by keys while jobs are under way: each is named before anything ends."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

import pytest
from matplotlib.figure import Figure
from napari._qt.dialogs.confirm_close_dialog import ConfirmCloseDialog
from napari.settings import get_settings
from qtpy.QtCore import Qt, QTimer
from qtpy.QtWidgets import QApplication, QLabel

from napari_globalxai.widgets.fields import exporting

pytestmark = pytest.mark.gui

TIMEOUT = 60_000
KEYS = {"quit": Qt.Key.Key_Q, "close": Qt.Key.Key_W}


def test_napari_names_what_is_under_way_before_it_is_closed_by_keys(
    panels: Any, tmp_path: Path, qtbot: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also a card that is checked and a file that is saved; also where napari is not to ask."""
    window, go_on = panels.viewer.window, threading.Event()
    main, manager = window._qt_window, window._task_status_manager
    window.show()
    monkeypatch.setattr(get_settings().application, "confirm_close_window", False)
    card = panels.explain.form.card.runner
    panels.peppr.runner.run(lambda progress: go_on.wait())
    card.run(lambda progress: go_on.wait())
    place = str(tmp_path / "f.png")
    monkeypatch.setattr(exporting.QFileDialog, "getSaveFileName", lambda *args: (place, ""))
    exporting.save_figure(panels.explain, "f", lambda: (go_on.wait(), Figure())[1])
    asked: list[str] = []

    def answer() -> None:
        question = QApplication.activeModalWidget()
        if isinstance(question, ConfirmCloseDialog):
            asked.extend(filter(None, (each.text() for each in question.findChildren(QLabel))))
            question.reject()

    looks = QTimer(main, interval=50)
    looks.timeout.connect(answer)
    looks.start()
    for what, key in KEYS.items():
        asked.clear()
        window.activate()
        qtbot.waitUntil(main.isActiveWindow, timeout=TIMEOUT)
        qtbot.keyClick(main, key, Qt.KeyboardModifier.ControlModifier)
        qtbot.waitUntil(lambda: bool(asked), timeout=TIMEOUT)
        (text,) = asked
        for job in ("PEPPR", "Checking or writing a model's card", "Saving f.png"):
            assert f"Global XAI: {job} is under way" in text
        assert ("close the application" in text) == (what == "quit")
        assert main.isVisible()
    go_on.set()
    qtbot.waitUntil(lambda: not manager.is_busy(), timeout=TIMEOUT)
    # The check of a card goes with its panel, and so from the list.
    go_on.clear()
    card.run(lambda progress: go_on.wait())
    assert manager.is_busy()
    panels.viewer.window.remove_dock_widget(panels.explain)
    panels.explain.deleteLater()
    qtbot.waitUntil(lambda: not manager.is_busy(), timeout=TIMEOUT)
    go_on.set()
