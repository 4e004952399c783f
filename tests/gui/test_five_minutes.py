"""The whole way of a validator on the sample: from nothing to a shortcut and a report."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from heartbeat import Heartbeat
from qtpy.QtCore import Qt
from qtpy.QtGui import QDesktopServices

pytestmark = [pytest.mark.gui, pytest.mark.slow, pytest.mark.timed]

TIMEOUT = 280_000
MANIFEST = Path(__file__).parents[2] / "napari.yaml"


class Person:
    """Somebody at the mouse and the keyboard; counts what they do."""

    def __init__(self, qtbot: Any) -> None:
        self.qtbot = qtbot
        self.clicks = 0

    def click(self, widget: Any, **where: Any) -> None:
        self.clicks += 1
        self.qtbot.mouseClick(widget, Qt.MouseButton.LeftButton, **where)

    def choose(self, box: Any, text: str) -> None:
        """Open a box and take a line: two clicks."""
        self.clicks += 2
        index = box.findText(text)
        assert index >= 0
        box.setCurrentIndex(index)
        box.activated.emit(index)

    def type(self, line: Any, text: str) -> None:
        self.click(line)
        line.clear()
        self.qtbot.keyClicks(line, text)
        self.qtbot.keyClick(line, Qt.Key.Key_Return)

    def drag(self, layer: Any, corner: np.ndarray) -> None:
        """Draw a rectangle: a press and a release."""
        self.clicks += 1
        layer.add_rectangles(corner)

    def wait_for(self, done: Callable[[], bool]) -> None:
        self.qtbot.waitUntil(done, timeout=TIMEOUT)


@pytest.mark.timeout(600)
def test_from_the_sample_to_the_shortcut_and_a_report(
    npe2pm: Any, make_napari_viewer: Any, tmp_path: Path, qtbot: Any, monkeypatch: Any
) -> None:
    from npe2 import PluginManifest

    from napari_globalxai.samples import sample_folder
    from napari_globalxai.widgets.workbench import open_panel

    shown_pages: list[str] = []
    monkeypatch.setattr(QDesktopServices, "openUrl", lambda url: shown_pages.append(url.path()))
    npe2pm.register(PluginManifest.from_file(MANIFEST))
    viewer = make_napari_viewer()
    person = Person(qtbot)
    with Heartbeat("sample and panel"):
        viewer.open_sample("napari-globalxai", "phantom-uwf")
        person.clicks += 3
        explain = open_panel(viewer, "Global explanations")
        person.clicks += 3
    person.wait_for(lambda: "256 images" in explain.form.preview.facts.text())
    person.type(explain.model_field.line, str(sample_folder() / "models" / "shortcut.yaml"))
    explain.output_field.path = tmp_path / "run"
    with Heartbeat("explaining"):
        person.click(explain.compute_button)
        person.wait_for(lambda: not explain.runner.is_running)
    assert "256 of 256 images explained" in explain.job_bar.status.text()

    # What it looks at in general: of one label, half of the mass is where there is no eye.
    person.choose(explain.map_box, "Gla")
    assert re.match(r"⚑ \d\d % of the mass of Gla lies outside", explain.maps.outside.text())
    # The images that do not follow: those without the mark.
    images = open_panel(viewer, "All images")
    person.clicks += 3
    person.choose(images.preset_box, "Errors first")
    truth = explain.session.run.images["Gla"].to_numpy()
    probability = explain.session.run.images["probability_Gla"].to_numpy()
    assert explain.session.row == np.abs(truth - probability).argmax()
    person.type(images.query_line, "mark == 0")
    person.wait_for(lambda: explain.session.shown is not None)
    without_mark = explain.maps.outside.text()
    person.click(images.all_button)
    assert explain.maps.outside.isVisibleTo(explain)
    assert without_mark != explain.maps.outside.text()

    # The corners, drawn and measured.
    regions = open_panel(viewer, "Regions")
    person.clicks += 3
    person.click(regions.new_button)
    layer = viewer.layers[regions.layer_box.currentText()]
    height, width = explain.session.view.valid.shape
    for left in (0.0, 0.85):
        corner = np.array([[0.8, left], [0.8, left + 0.15], [1, left + 0.15], [1, left]])
        person.drag(layer, corner * (height, width) - 0.5)
    with Heartbeat("erasing"):
        person.click(regions.erase_button)
        person.wait_for(lambda: not regions.eraser.is_running)
    said = regions.said.text()
    print(said)
    times = float(re.search(r"([\d.]+) times its share", said)[1])
    assert times > 5
    intact, erased = map(float, re.search(r"from ([\d.]+) to ([\d.]+)", said).groups())
    assert intact - erased > 0.04
    assert "of the gain over chance" in said
    others = [share for share in regions._shares if share.label != "Gla"]
    assert max(share.ratio for share in others) < 1

    person.click(regions.keep_button)
    person.click(explain.report_button)
    person.wait_for(lambda: bool(shown_pages))
    report = tmp_path / "run" / "report.html"
    assert shown_pages == [str(report)]
    assert report.is_file()
    assert (tmp_path / "run" / "regions" / f"{layer.name}.tif").is_file()
    print(f"{person.clicks} clicks")
    assert person.clicks <= 40
