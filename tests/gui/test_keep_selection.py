"""Maps of a selection are kept in the run from the panel, as the command keeps them."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from qtpy.QtCore import Qt

import napari_globalxai as gx
from napari_globalxai.runs.opened.read_maps import read_map
from napari_globalxai.widgets.session.shown_maps import Selection

pytestmark = pytest.mark.gui

TIMEOUT = 60_000
QUERY = "probability_left >= 0.5"


def test_a_selection_is_kept_as_the_command_keeps_it(
    panels: Any, finished_run: Path, tmp_path: Path, qtbot: Any
) -> None:
    folder = Path(shutil.copytree(finished_run, tmp_path / "run"))
    with qtbot.waitSignal(panels.explain.runner.succeeded, timeout=TIMEOUT):
        panels.explain.open_run(folder)
    maps = panels.explain.maps
    panels.viewer.window.show()
    panels.explain.bring_forward()
    maps.more.expand()
    kept = maps.more.kept
    assert not kept.button.isEnabled()
    maps.more.among_line.setFocus()
    qtbot.keyClicks(maps.more.among_line, QUERY)
    qtbot.keyClick(maps.more.among_line, Qt.Key.Key_Return)
    maps.more.statistic_box.setCurrentIndex(maps.more.statistic_box.findData("median"))
    qtbot.wait(100)
    panels.explain.ensureWidgetVisible(kept.button)
    qtbot.mouseClick(kept.button, Qt.MouseButton.LeftButton)
    assert "name" in kept.job_bar.status.text()
    kept.name_line.setFocus()
    qtbot.keyClicks(kept.name_line, "sure")
    with qtbot.waitSignal(kept.runner.succeeded, timeout=TIMEOUT):
        qtbot.keyClick(kept.name_line, Qt.Key.Key_Return)
    shutil.copytree(finished_run, tmp_path / "other")
    gx.make_maps(tmp_path / "other", "sure", where=QUERY, statistic="median")
    for name in ("overall", "left", "right"):
        one, other = (
            read_map(tmp_path / run / "selections" / "sure" / f"{name}.tif", (32, 48))
            for run in ("run", "other")
        )
        np.testing.assert_array_equal(one, other)
    # What no query names, and a difference, are not what the command knows.
    panels.session.select(Selection("cluster 1 of 2 of left", (1, 2, 3)))
    kept.keep()
    assert "Save list" in kept.job_bar.status.text()
    panels.session.compare_with(Selection(QUERY, (1, 2, 3)))
    assert not kept.button.isEnabled()
