"""Names that are long, of other scripts, or look like something else: told from each other."""

from __future__ import annotations

import time
from typing import Any

import pytest
from qtpy.QtCore import Qt

from napari_globalxai.widgets.fields.plain_table import PlainTable
from napari_globalxai.widgets.panels.peppr.plot_names import drawable, of_name
from napari_globalxai.widgets.words.table_words import (
    local_time,
    probability,
    share_in_percent,
)

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


@pytest.mark.parametrize(
    ("share", "text"),
    [(0, "0.0 %"), (0.0004, "0.0 %"), (0.028, "2.8 %"), (0.0994, "9.9 %"), (0.0996, "10 %"),
     (0.244, "24 %"), (1, "100 %")],
)  # fmt: skip
def test_small_shares_have_a_tenth(share: float, text: str) -> None:
    assert share_in_percent(share) == text


@pytest.mark.parametrize(("zone", "shown"), [("UTC0", "23:50"), ("XST-5:30", "05:20")])
def test_times_are_those_of_the_clock_on_the_wall(
    zone: str, shown: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A record holds those of Greenwich."""
    with monkeypatch.context() as patch:
        patch.setenv("TZ", zone)
        time.tzset()
        assert local_time("2026-11-26T23:50:12+00:00").endswith(shown)
    time.tzset()


def test_headings_of_what_is_marked_are_not_cut(qtbot: Any) -> None:
    """As bold letters need more room than the column has."""
    table = PlainTable({"Label": "", "Where": ""})
    qtbot.addWidget(table)
    assert not table.horizontalHeader().highlightSections()


def test_columns_are_measured_as_soon_as_they_are_filled(qtbot: Any) -> None:
    """Otherwise a bar stood below columns that fit, half cut off, until somebody clicked."""
    table = PlainTable({"Label": "", "Where": "", "Among": "", "Times": "", "p": ""})
    qtbot.addWidget(table)
    table.fill([["Gla", "Bottom right corner", "cluster of 21", "17.3", "0.003"]])
    table.resize(460, 300)
    table.show()
    table.fill([["Gla", "Corner", "all", "8.5", "0.002"]])
    assert sum(map(table.columnWidth, range(5))) <= table.viewport().width()


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
