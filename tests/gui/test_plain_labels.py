"""What somebody called a file or a label is shown as it is: HTML of it could open files."""

from __future__ import annotations

import os

import numpy as np
import pytest
from napari._qt.utils import QImg2array
from qtpy.QtCore import Qt
from qtpy.QtWidgets import QLabel
from unfolding import unfold_once

from napari_globalxai.frame.modality import modality_of
from napari_globalxai.runs.inputs.quality_control import Findings
from napari_globalxai.widgets.fields.parts import text_label
from napari_globalxai.widgets.fields.wrapped import tip_lines, wrapped
from napari_globalxai.widgets.layers.attribution_layers import attribution_name
from napari_globalxai.widgets.layers.run_layers import global_map_name
from napari_globalxai.widgets.panels.cohort_and_model.cohort_preview import CohortPreview
from napari_globalxai.widgets.panels.quality.facts_table import FactsTable
from napari_globalxai.widgets.panels.quality.quality_words import facts_text
from napari_globalxai.widgets.words.plain_labels import plain, plain_label, unbroken

pytestmark = pytest.mark.gui


@pytest.mark.timeout(20)
def test_a_column_called_as_a_picture_opens_no_file(tmp_path, qtbot):
    """A pipe that nobody writes to would hold napari for good."""
    os.mkfifo(tmp_path / "pipe.png")
    name = f"<img src='{tmp_path}/pipe.png'>"
    (tmp_path / "cohort.csv").write_text(f"file,{name}\na.png,1\nb.png,0\n")
    preview = CohortPreview()
    qtbot.addWidget(preview)
    preview.look_at(tmp_path / "cohort.csv", {"label_columns": name})
    qtbot.waitUntil(lambda: name in preview.facts.text())
    preview.show()
    preview.grab()
    assert name in preview.facts.text()


def test_no_sentence_of_a_panel_is_taken_for_html_by_a_guess(panels):
    labels = [
        each
        for panel in map(unfold_once, (panels.explain, panels.peppr))
        for each in panel.findChildren(QLabel)
    ]
    sentences = [each for each in labels if each.wordWrap()]
    assert sentences
    assert {each.textFormat() for each in sentences} <= {
        Qt.TextFormat.PlainText, Qt.TextFormat.RichText,
    }  # fmt: skip


def test_texts_that_qt_takes_for_html_are_changed_for_what_looks_alike():
    name = "<img src='x'> of a<b </p><!-- <?x"
    assert not set("<") & set(plain(name).replace("a<b", ""))
    assert plain("a < b, 3<4") == "a < b, 3<4"
    assert "<" not in global_map_name("<b>") + attribution_name("<i>")


def test_the_facts_of_a_quality_control_are_escaped():
    findings = Findings(
        counts={"<img src='a'>": 1}, sharpness=0.5, outlier_reasons={"<img src='b'>": 2},
        sides_compared=False, likeness=[None, None], problems=[],
    )  # fmt: skip
    text = facts_text(findings, modality_of("<img src='c'>"))
    assert "<img" not in text
    assert "&lt;img" in text.casefold()


SENTENCE = (
    "restored 6.7 % of 320 × 256 pixels in 5 min 3 s, p = 0.01 where age > 70, 12 images, "
    "2026-11-26 13:20"
)


def test_no_line_ends_between_a_number_and_its_unit(qtbot):
    parts = unbroken(SENTENCE).split(" ")
    assert [part.replace("\N{NO-BREAK SPACE}", " ") for part in parts] == [
        "restored", "6.7 %", "of", "320 × 256 pixels", "in", "5 min", "3 s,", "p = 0.01", "where",
        "age", "> 70,", "12", "images,", "2026-11-26 13:20",
    ]  # fmt: skip
    # Words that begin as a unit does are none.
    assert unbroken("3 servers, 2 minutes, 4 maps") == "3 servers, 2 minutes, 4 maps"
    label = plain_label(SENTENCE)
    qtbot.addWidget(label)
    assert (label.text(), QLabel.text(label)) == (SENTENCE, unbroken(SENTENCE))
    metrics = label.fontMetrics()
    for width in range(40, 400, 20):
        lines = wrapped(SENTENCE, metrics, width).split("\n")
        assert not any(line.startswith(("%", "×", "pixels", "min", "s,")) for line in lines)
    # Of a tooltip, the words are as they were said.
    assert tip_lines(SENTENCE).replace("\n", " ") == SENTENCE


def test_counts_stand_below_each_other_where_a_panel_is_narrow(qtbot):
    counts = {"images": 256, "unreadable": 0, "laterality suspected": 3, "not registered": 21}
    findings = Findings(
        counts=counts, sharpness=0.5, outlier_reasons={}, sides_compared=True,
        likeness=[None, None], problems=[],
    )  # fmt: skip
    table = FactsTable()
    qtbot.addWidget(table)
    table.show_findings(findings, modality_of(""))
    for letters, rows in ((30, 3), (10, 5)):
        table.resize(letters * table.fontMetrics().height(), 200)
        table.show()
        qtbot.waitUntil(lambda rows=rows: table.text().count("<tr>") == rows)
        # All of them, each once.
        assert table.text().count("<b>") == len(counts) + 1
        assert table.minimumSizeHint().width() <= table.width()


@pytest.mark.parametrize("points", [9, 16])
def test_a_sentence_has_no_empty_line_below(make_napari_viewer, qtbot, points):
    """Whatever its width: napari's style has Qt count more room beside the words than they have."""
    window = make_napari_viewer().window._qt_window
    label = text_label(
        "Gla: the bottom right corner of the frame holds 24 % of the map on 2.8 % of the area. "
        "“Audit” in “Regions” tells whether that may be chance."
    )
    label.setParent(window)
    label.setStyleSheet(f"font-size: {points}pt")
    label.show()
    line = label.fontMetrics().lineSpacing()
    spare = {}
    for width in range(200, 480, 3):
        label.resize(width, label.heightForWidth(width))
        inked = np.flatnonzero(ink(label).any(axis=1))
        spare[width] = label.height() - 1 - inked[-1]
    assert {width: rows for width, rows in spare.items() if rows >= line} == {}


def ink(label):
    """Where a label's letters are."""
    grey = QImg2array(label.grab().toImage())[..., :3].astype(int).sum(axis=2)
    return np.abs(grey - np.bincount(grey.ravel()).argmax()) > 180
