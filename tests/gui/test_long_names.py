"""Names that are long, of other scripts, or look like something else: told from each other."""

from __future__ import annotations

from typing import Any

import pytest
from qtpy.QtCore import Qt

from napari_globalxai.widgets.fields.plain_table import PlainTable
from napari_globalxai.widgets.panels.peppr.plot_names import drawable, of_name
from napari_globalxai.widgets.words.table_words import probability

pytestmark = pytest.mark.gui


@pytest.mark.parametrize(
    ("name", "drawn"),
    [
        ("AMD", "AMD"),
        ("Größe < 3 µm", "Größe < 3 µm"),
        ("price $5", r"price \$5"),
        ("Neovascular age-related macular degeneration", "Neovascular ag…degeneration"),
        # No letters for the first, and those of the others would stand in the wrong order.
        ("糖尿病视网膜病变", ""),
        ("اعتلال الشبكية", ""),
        ("רשתית", ""),
    ],
)
def test_plots_spell_the_names_that_they_can(name: str, drawn: str) -> None:
    assert drawable(name) == drawn
    assert of_name("ROC AUC", name) == (f"ROC AUC of {drawn}" if drawn else "ROC AUC")


@pytest.mark.parametrize(
    ("value", "text"),
    [(2.4e-15, "< 0.001"), (0.0004, "< 0.001"), (0.0005, "0.001"), (0.04, "0.040"), (1, "1.000"),
     (None, "–"), (float("nan"), "–")],
)  # fmt: skip
def test_no_p_is_zero(value: Any, text: str) -> None:
    assert probability(value) == text


def test_long_names_are_told_from_each_other_in_a_narrow_table(qtbot: Any) -> None:
    table = PlainTable({"Label": "A label", "ROC AUC": "", "95 %": "", "With": "", "Without": ""})
    qtbot.addWidget(table)
    names = [
        "Macular degeneration, dry form",
        "Macular degeneration, wet form",
        "a<b>c</b> of many",
    ]
    table.resize(280, 300)
    table.show()
    table.fill([[name, "0.93", "0.90–0.95", "30", "90"] for name in names])
    width = table.columnWidth(0)
    metrics, middle = table.fontMetrics(), Qt.TextElideMode.ElideMiddle
    assert table.textElideMode() == middle
    assert len({metrics.elidedText(name, middle, width) for name in names}) == 3
    assert width >= metrics.horizontalAdvance("Macular form")
    assert [table.item(row, 0).toolTip() for row in range(3)] == [*names[:2], "a‹b>c‹/b> of many"]
    # Where there is room, the names have it.
    table.resize(700, 300)
    assert table.columnWidth(0) > metrics.horizontalAdvance(names[0])
