"""The table of global maps shows what was computed of them, whoever declares it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

import napari_globalxai as gx
from napari_globalxai.widgets.panels.maps.result_tables import MapTable

pytestmark = pytest.mark.gui


class View:
    """As much of a view as the table looks at."""

    def __init__(self, folder: Path) -> None:
        self.run = gx.open_run(folder)


def headings(table: MapTable) -> list[str]:
    items = [table.horizontalHeaderItem(column) for column in range(table.columnCount())]
    return [item.text() for item in items if item is not None]


def test_the_own_statistics(finished_run: Path, qtbot: Any) -> None:
    table = MapTable()
    qtbot.addWidget(table)
    own = ["Map", "Images", "Patients", "Constant", "Reliability"]
    assert headings(table) == own
    view = View(finished_run)
    table.show_run(view)
    assert headings(table) == own
    # What a heading leaves open is told in a sentence, in their order.
    assert [meaning.partition(":")[0] for meaning in table.meanings] == own[1:]
    assert all(meaning.endswith(".") for meaning in table.meanings)
    rows = view.run.statistics.to_dict("records")
    assert table.texts() == [
        [
            row["map"],
            f"{row['n']:.0f}",
            f"{row['n_patients']:.0f}",
            f"{row['n_constant']:.0f}",
            "–" if row["reliability"] != row["reliability"] else f"{row['reliability']:.2f}",
        ]
        for row in rows
    ]


def test_a_statistic_of_another_package(
    inputs: Any, added_package: Any, finished_run: Path, tmp_path: Path, qtbot: Any
) -> None:
    gx.explain(inputs.cohort, inputs.model, tmp_path / "run", "saliency")
    table = MapTable()
    qtbot.addWidget(table)
    view = View(tmp_path / "run")
    table.show_run(view)
    assert headings(table)[-1] == "Same peak"
    item = table.horizontalHeaderItem(5)
    assert item is not None
    assert item.toolTip() == "From drill_package"
    values = view.run.statistics["peak_agreement"]
    assert [texts[-1] for texts in table.texts()] == [
        "–", *(f"{value:.0%}" for value in values[1:])
    ]  # fmt: skip
    # A run without it takes the column away again.
    table.show_run(View(finished_run))
    assert headings(table)[-1] == "Reliability"
