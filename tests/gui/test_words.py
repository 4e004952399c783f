"""Panels speak of eyes only where the model's card or the cohort does."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import tiny
import yaml
from qtpy.QtCore import Qt
from qtpy.QtWidgets import QComboBox, QTableWidget, QWidget
from unfolding import unfold_once

from napari_globalxai.widgets.jobs.event_turns import TURNS

pytestmark = pytest.mark.gui

OF_EYES = re.compile(r"\b(eye|eyes|disc|discs|macula|fundus|retina\w*|lids?|vessels)\b", re.I)


def texts(panel: QWidget) -> Iterator[str]:
    """Everything that a panel says, tooltips and what is folded away included."""
    for widget in panel.findChildren(QWidget):
        yield widget.toolTip()
        yield widget.accessibleName()
        for name in ("text", "title", "placeholderText", "toPlainText"):
            said = getattr(widget, name, None)
            # Panels have labels of such names, which are asked themselves.
            if callable(said) and not isinstance(widget, QTableWidget):
                yield str(said())
        if isinstance(widget, QComboBox):
            for index in range(widget.count()):
                yield widget.itemText(index)
                yield str(widget.itemData(index, Qt.ItemDataRole.ToolTipRole) or "")
        if isinstance(widget, QTableWidget):
            heads = [widget.horizontalHeaderItem(at) for at in range(widget.columnCount())]
            for item in heads:
                yield item.text() + item.toolTip() if item is not None else ""


def words_of_eyes(panel: QWidget) -> list[str]:
    return [text for text in texts(panel) if OF_EYES.search(text)]


def test_empty_panels(panels: Any, qtbot: Any) -> None:
    from napari_globalxai.widgets import QualityWidget

    quality = QualityWidget(panels.viewer)
    panels.viewer.window.add_dock_widget(quality)
    qtbot.waitUntil(lambda: TURNS.is_idle)
    for panel in map(unfold_once, (panels.explain, panels.peppr, quality)):
        assert len([text for text in texts(panel) if text]) > 20
        assert words_of_eyes(panel) == []


@pytest.mark.parametrize("modality", ["", "knee", "retina"])
def test_a_run_in_view(modality: str, panels: Any, tmp_path: Path, qtbot: Any) -> None:
    from napari_globalxai import explain

    card = tiny.write_linear(tmp_path / "model")
    facts = {"modality": modality} if modality else {}
    card.write_text(yaml.safe_dump({**yaml.safe_load(card.read_text()), **facts}))
    explain(tiny.write_cohort(tmp_path / "c", size=6), card, tmp_path / "run", "saliency")
    with qtbot.waitSignal(panels.explain.runner.succeeded, timeout=60_000):
        panels.explain.open_run(tmp_path / "run")
    panels.viewer.dims.set_current_step(0, 3)
    title = panels.explain.image_panel.title.text()
    if modality == "retina":
        assert "right eye, mirrored" in title
    else:
        assert "right side, mirrored" in title
        assert words_of_eyes(unfold_once(panels.explain)) == []


def test_a_quality_control_in_view(
    make_napari_viewer: Callable[..., Any], tmp_path: Path, qtbot: Any
) -> None:
    from napari_globalxai.runs.inputs.quality_control import check_quality
    from napari_globalxai.widgets import QualityWidget

    viewer = make_napari_viewer()
    panel = QualityWidget(viewer)
    viewer.window.add_dock_widget(panel)
    table = tiny.write_cohort(tmp_path / "c", size=6)
    for column in ("LR", "eye"):
        table.write_text(table.read_text().replace(",LR,", f",{column},"))
        folder = check_quality(table, tmp_path / column, height=32, width=48).folder
        with qtbot.waitSignal(panel.runner.succeeded, timeout=60_000):
            panel.open_folder(folder)
        if column == "eye":
            assert "show no disc and macula in common" in panel.facts.text()
            assert "left eye" in panel.title.text() or "right eye" in panel.title.text()
        else:
            assert "show no landmarks in common" in panel.facts.text()
            assert words_of_eyes(unfold_once(panel)) == []
