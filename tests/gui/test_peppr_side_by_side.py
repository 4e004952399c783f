"""Results of PEPPR side by side, and what else a run's folder holds of it."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from qtpy.QtCore import Qt

from napari_globalxai.storage import read_json, write_json

pytestmark = pytest.mark.gui

TIMEOUT = 60_000


@pytest.fixture
def with_two(panels: Any, finished_run: Path, tmp_path: Path, qtbot: Any) -> Any:
    """A run with two results along one map: the second with other curves, and tables beside."""
    folder = tmp_path / "run"
    shutil.copytree(finished_run, folder)
    peppr = folder / "peppr"
    curves = pd.read_csv(peppr / "left.csv")
    for name in ("value", "ci_low", "ci_high"):
        curves[name] = 1 - curves[name]
    curves.to_csv(peppr / "left.blur.csv", index=False)
    shutil.copy(peppr / "left.npz", peppr / "left.blur.npz")
    summary = read_json(peppr / "left.json")
    summary["settings"]["fill"] = "blur"
    write_json(peppr / "left.blur.json", summary)
    pair = {"label": "left", "a": "left", "b": "file", "delta_a": 0.4, "delta_b": 0.1}
    pair |= {"difference": 0.3, "ci_low": 0.2, "ci_high": 0.4, "p": 0.01, "p_holm": 0.02}
    pd.DataFrame([pair]).to_csv(peppr / "compared.csv", index=False)
    found = {"images": 9, "delta": {"mean": 0.25, "mean_ci": [0.1, 0.4]}, "share_above_zero": 0.75}
    write_json(peppr / "left.per-image.json", {"per_image": {"left": found}})
    (peppr / "regions.csv").write_text("no table of ours\n1\n")
    with qtbot.waitSignal(panels.explain.runner.succeeded, timeout=TIMEOUT):
        panels.explain.open_run(folder)
    panels.explain.map_box.setCurrentText("left")
    qtbot.waitUntil(lambda: panels.session.result is not None, timeout=TIMEOUT)
    return panels


def test_results_that_are_marked_lie_beside_each_other(with_two: Any, qtbot: Any) -> None:
    peppr, table = with_two.peppr, with_two.peppr.results
    assert [texts[1] for texts in table.texts()] == ["mean-image", "blur"]
    qtbot.waitUntil(lambda: not peppr.plot.is_drawing, timeout=TIMEOUT)
    assert "left, blur, restored" not in peppr.plot.curves_axes.get_legend_handles_labels()[1]
    place = table.visualItemRect(table.item(1, 1)).center()
    qtbot.mouseClick(
        table.viewport(), Qt.MouseButton.LeftButton, Qt.KeyboardModifier.ControlModifier, place
    )

    def drawn() -> dict[str, Any]:
        return {line.get_label(): line for line in peppr.plot.curves_axes.get_lines()}

    qtbot.waitUntil(lambda: "left, blur, restored" in drawn(), timeout=TIMEOUT)
    own, other = drawn()["Restored along the map"], drawn()["left, blur, restored"]
    np.testing.assert_allclose(other.get_ydata(), 1 - np.asarray(own.get_ydata()))
    assert not any("maps, restored" in name for name in drawn())
    # One result alone again.
    qtbot.mouseClick(table.viewport(), Qt.MouseButton.LeftButton, pos=place)
    qtbot.waitUntil(
        lambda: with_two.session.result.settings["fill"] == "blur" and not peppr.plot.is_drawing,
        timeout=TIMEOUT,
    )
    assert "left, blur, restored" not in drawn()


def test_further_results_are_listed_where_the_run_has_them(
    with_two: Any, finished_run: Path, qtbot: Any
) -> None:
    peppr, further = with_two.peppr, with_two.peppr.further
    qtbot.waitUntil(lambda: further.isVisibleTo(peppr), timeout=TIMEOUT)
    further.expand()
    assert further.pairs.texts() == [["left", "left − file", "0.30", "0.20 to 0.40", "0.020"]]
    assert further.images.texts() == [["left", "left", "9", "0.25", "0.10 to 0.40", "75 %"]]
    assert not further.regions.isVisibleTo(peppr)
    with qtbot.waitSignal(with_two.explain.runner.succeeded, timeout=TIMEOUT):
        with_two.explain.open_run(finished_run)
    qtbot.waitUntil(lambda: not further.isVisibleTo(peppr), timeout=TIMEOUT)
