"""Several fills at one start of PEPPR: as the command runs them, each result listed."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from cut_text import not_readable
from dropping import drop
from napari.settings import get_settings
from PIL import Image
from qtpy.QtCore import Qt

from napari_globalxai import open_run, peppr
from napari_globalxai.widgets.jobs.event_turns import TURNS

pytestmark = pytest.mark.gui

TIMEOUT = 120_000
CHOSEN = {"steps": 8, "controls": 19}


@pytest.fixture
def own(panels: Any, finished_run: Path, tmp_path: Path, qtbot: Any) -> Any:
    """Panels in a window on a run of which no map was tested."""
    for name in ("run", "by command"):
        shutil.copytree(finished_run, tmp_path / name, ignore=shutil.ignore_patterns("peppr"))
    with qtbot.waitSignal(panels.explain.runner.succeeded, timeout=TIMEOUT):
        panels.explain.open_run(tmp_path / "run")
    panels.viewer.window.show()
    panels.viewer.window.resize(1200, 900)
    panels.peppr.bring_forward()
    qtbot.waitUntil(lambda: TURNS.is_idle, timeout=TIMEOUT)
    return panels


def space(fills: Any, name: str, qtbot: Any) -> None:
    """Tick by the space bar."""
    fills.others.setFocus()
    fills.others.setCurrentRow(fills.others.names().index(name))
    qtbot.keyClick(fills.others, Qt.Key.Key_Space)


def picture(folder: Path) -> Path:
    run = open_run(folder)
    pixels = np.full((*run.stack.shape, 3), 90, np.uint8)
    Image.fromarray(pixels).save(folder.parent / "healthy.png")
    return folder.parent / "healthy.png"


@pytest.mark.filterwarnings("ignore:Function. 'QDragEnterEvent:DeprecationWarning")
def test_several_fills_leave_what_the_command_leaves(own: Any, tmp_path: Path, qtbot: Any) -> None:
    panel, fills, file = own.peppr, own.peppr.form.fills, picture(tmp_path / "run")
    assert not fills.others.isVisible()
    assert not fills.picture_button.isVisible()
    fills.more_button.setFocus()
    qtbot.keyClick(fills.more_button, Qt.Key.Key_Space)
    assert fills.others.isVisible()
    assert fills.window().focusWidget() is fills.others
    panel.fill_box.setCurrentText("black")
    # The first one is not offered a second time.
    assert "black" not in fills.others.names()
    space(fills, "mean-image", qtbot)
    drop(fills.others.viewport(), file)
    assert fills.others.words() == ["mean-image", "healthy.png"]
    wanted = ("black", "mean-image", f"image:{file}")
    assert panel.settings().fills == wanted
    panel.map_box.setCurrentText("left")
    for name, value in CHOSEN.items():
        getattr(panel, f"{name}_box").setValue(value)
    stages = []
    panel.runner.progressed.connect(lambda progress: stages.append(progress.stage))
    with qtbot.waitSignal(panel.runner.succeeded, timeout=TIMEOUT):
        qtbot.mouseClick(panel.compute_button, Qt.MouseButton.LeftButton)
    for fill in ("black", "mean-image", "image-healthy"):
        assert any(stage.startswith(f"{fill}: ") for stage in stages)
    qtbot.waitUntil(lambda: TURNS.is_idle, timeout=TIMEOUT)

    peppr(tmp_path / "by command", "left", fill=wanted, **CHOSEN)
    here, there = tmp_path / "run" / "peppr", tmp_path / "by command" / "peppr"
    names = sorted(path.name for path in there.iterdir())
    assert sorted(path.name for path in here.iterdir()) == names
    assert {"left.json", "left.black.json", "left.image-healthy.json"} < set(names)
    for name in names:
        if name.endswith(".csv"):
            assert (here / name).read_bytes() == (there / name).read_bytes(), name
        elif name.endswith(".json"):
            one, other = (json.loads((each / name).read_text()) for each in (here, there))
            assert one == other, name
    # Each is listed, the first is on show, and what they say together stands with the verdict.
    assert {line[1] for line in panel.results.texts()} == set(wanted)
    assert own.session.result.settings["fill"] == "black"
    agreement = own.session.result.agreement("left")
    assert f"{agreement[0].upper()}{agreement[1:]}" in panel.reason.text()
    assert panel.settings().fills == wanted
    # Of another of them, all are ticked as well.
    panel.results.cellClicked.emit([line[1] for line in panel.results.texts()].index(wanted[1]), 0)
    qtbot.waitUntil(
        lambda: own.session.result.settings["fill"] == "mean-image" and TURNS.is_idle,
        timeout=TIMEOUT,
    )
    assert panel.settings().fills[0] == "mean-image"
    assert set(panel.settings().fills) == set(wanted)


def test_fills_can_be_read_in_a_narrow_panel_with_large_letters(own: Any, qtbot: Any) -> None:
    fills, appearance = own.peppr.form.fills, get_settings().appearance
    fills.more_button.click()
    fills.add_picture(Path("/nowhere") / f"{'a long name of a file ' * 3}.png")
    before, appearance.font_size = appearance.font_size, 16
    window = own.viewer.window._qt_window
    window.resizeDocks([own.peppr.dock()], [280], Qt.Orientation.Horizontal)
    qtbot.waitUntil(lambda: not_readable(own.peppr) == [], timeout=TIMEOUT)
    appearance.font_size = before
    # What cannot be had is one sentence, and nothing is left of it.
    with qtbot.waitSignal(own.peppr.runner.failed, timeout=TIMEOUT):
        own.peppr.compute_button.click()
    assert "does not exist" in own.peppr.job_bar.status.text()
    assert "image:FILE" not in own.peppr.job_bar.status.text()
