"""Tables and figures of a panel, copied and saved on their own, by menu and by keys."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from qtpy.QtCore import Qt
from qtpy.QtWidgets import QApplication, QFileDialog

from napari_globalxai.widgets.fields.plain_table import PlainTable

pytestmark = pytest.mark.gui

TIMEOUT = 20_000


@pytest.fixture
def table(qtbot: Any) -> PlainTable:
    table = PlainTable({"Label": "", "Δ": "", "95 %": ""})
    table.setAccessibleName("Regions erased")
    qtbot.addWidget(table)
    table.fill([["=cmd()", "−0.25", "–"], ["Gla, a\tlabel", "0.50", "−0.1 to 0.2"]])
    table.show()
    table.setFocus()
    return table


def answer(monkeypatch: pytest.MonkeyPatch, path: Path, kind: str = "") -> list[str]:
    """Answer the next question for a file; the names that were proposed come back."""
    asked: list[str] = []

    def ask(parent: Any, title: str, start: str, kinds: str) -> tuple[str, str]:
        asked.append(start)
        return str(path), kind

    monkeypatch.setattr(QFileDialog, "getSaveFileName", ask)
    return asked


def offered(widget: Any) -> dict[str, Any]:
    assert widget.contextMenuPolicy() == Qt.ContextMenuPolicy.ActionsContextMenu
    return {action.text().partition("\t")[0]: action for action in widget.actions()}


def test_a_table_is_saved_as_other_programs_read_it(
    table: PlainTable, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, notifications: Any,
    qtbot: Any,
) -> None:  # fmt: skip
    asked = answer(monkeypatch, tmp_path / "saved.csv")
    qtbot.keyClick(table, Qt.Key.Key_S, Qt.KeyboardModifier.ControlModifier)
    qtbot.waitUntil(lambda: (tmp_path / "saved.csv").is_file(), timeout=TIMEOUT)
    assert asked == ["regions-erased.csv"]
    found = pd.read_csv(tmp_path / "saved.csv")
    assert found["Δ"].tolist() == [-0.25, 0.5]
    assert found["Label"].tolist() == ["'=cmd()", "Gla, a\tlabel"]
    assert found["95 %"].isna().tolist() == [True, False]
    qtbot.waitUntil(lambda: len(notifications) > 0, timeout=TIMEOUT)
    assert notifications[-1].message == f"Saved: {tmp_path / 'saved.csv'}"


def test_a_table_is_copied_for_a_spreadsheet(table: PlainTable, qtbot: Any) -> None:
    qtbot.keyClick(table, Qt.Key.Key_C, Qt.KeyboardModifier.ControlModifier)
    text = QApplication.clipboard().text()  # type: ignore[union-attr]
    expected = ["Label\tΔ\t95 %", "'=cmd()\t-0.25\t", "Gla, a label\t0.50\t'-0.1 to 0.2"]
    assert text.split("\n") == expected
    QApplication.clipboard().clear()  # type: ignore[union-attr]
    offered(table)["Copy table"].trigger()
    assert QApplication.clipboard().text() == text  # type: ignore[union-attr]


def test_what_cannot_be_written_is_said(
    table: PlainTable, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, notifications: Any,
    qtbot: Any,
) -> None:  # fmt: skip
    (tmp_path / "file").write_text("")
    answer(monkeypatch, tmp_path / "file" / "saved.csv")
    offered(table)["Save table…"].trigger()
    qtbot.waitUntil(lambda: len(notifications) > 0, timeout=TIMEOUT)
    assert "file" in notifications[-1].message
    assert "Traceback" not in notifications[-1].message
