"""The whole way of a validator on the sample: from nothing to a shortcut and a report."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from heartbeat import Heartbeat
from qtpy.QtCore import Qt
from qtpy.QtGui import QDesktopServices

from napari_globalxai.widgets.jobs.event_turns import TURNS

pytestmark = [pytest.mark.gui, pytest.mark.slow, pytest.mark.timed]

TIMEOUT = 280_000
MANIFEST = Path(__file__).parents[2] / "napari.yaml"
DOCS = Path(__file__).parents[2] / "docs"
NUMBER = r"\d+(?:\.\d+)?"


def differs(said: str) -> list[str]:
    """Return what the page tells otherwise than it is said; processors differ a little."""
    page = " ".join((DOCS / "find_a_shortcut.md").read_text(encoding="utf-8").split())
    words = re.split(NUMBER, said)
    found = re.search(NUMBER.join(map(re.escape, words)), page)
    if found is None:
        return [said]
    told, is_so = (list(map(float, re.findall(NUMBER, text))) for text in (found[0], said))
    return [] if told == pytest.approx(is_so, rel=0.05, abs=0.01) else [found[0], said]


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

    def tab(self, panel: Any) -> None:
        """Bring a panel to the front."""
        self.clicks += 1
        panel.bring_forward()

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

    from napari_globalxai.widgets.workbench.open_panels import find_panel

    shown_pages: list[str] = []
    monkeypatch.setattr(QDesktopServices, "openUrl", lambda url: shown_pages.append(url.path()))
    npe2pm.register(PluginManifest.from_file(MANIFEST))
    viewer = make_napari_viewer()
    person = Person(qtbot)
    with Heartbeat("sample and panels"):
        # File › Open Sample › Global XAI › …
        viewer.open_sample("napari-globalxai", "phantom-uwf-shortcut")
        person.clicks += 3
        person.wait_for(lambda: find_panel(viewer, "PEPPR") is not None)
    explain, images, regions = (
        find_panel(viewer, name) for name in ("Global explanations", "All images", "Regions")
    )
    person.wait_for(lambda: "256 images" in explain.form.preview.facts.text())
    assert explain.model_field.path.name == "shortcut.yaml"
    explain.output_field.path = tmp_path / "run"
    with Heartbeat("explaining"):
        person.click(explain.compute_button)
        person.wait_for(lambda: not explain.runner.is_running)
    assert "256 of 256 images explained" in explain.job_bar.status.text()

    # What stands out is told before anybody asks, and shown with a click.
    stands_out = explain.stands_out
    person.wait_for(lambda: stands_out.isVisibleTo(explain))
    assert re.match(
        r"⚑ Gla: the (two )?bottom.* corners? of the frame holds? \d\d % of the map",
        stands_out.said.text(),
    )
    # As the page says that it is, word by word, number by number.
    assert differs(stands_out.said.text()) == []
    assert differs(explain.maps.outside.text()) == []
    performance = pd.read_csv(tmp_path / "run" / "performance.csv")
    for row in performance.itertuples():
        assert (
            differs(
                f"{row.label}: ROC AUC {row.roc_auc:.3f} ({row.ci_low:.3f} to {row.ci_high:.3f}; "
                f"{row.positives} with, {row.negatives} without)"
            )
            == []
        )
    person.click(stands_out.show_button)
    person.wait_for(lambda: TURNS.is_idle)
    assert explain.session.map_name == "Gla"
    assert explain.session.run.images["Gla"][explain.session.row] == 1
    assert "corner" in regions.layer_box.currentText()
    # What it looks at in general: of one label, half of the mass is where there is no eye.
    assert re.match(r"⚑ \d\d % of the mass of Gla lies outside", explain.maps.outside.text())

    # The images that do not follow: those without the mark.
    person.tab(images)
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

    # Corners are marked in left and right eyes: the other one is drawn beside, and both measured.
    person.tab(regions)
    layer = viewer.layers[regions.layer_box.currentText()]
    assert layer.mode == "add_rectangle"
    height, width = explain.session.view.valid.shape
    known = layer.data[0] + 0.5
    assert known.min(axis=0) / (height, width) == pytest.approx((5 / 6, 5 / 6), abs=0.01)
    drawn = np.array([[0.8, 0.0], [0.8, 0.15], [1, 0.15], [1, 0.0]])
    person.drag(layer, drawn * (height, width) - 0.5)
    # Measured as it is drawn.
    person.wait_for(lambda: "times its share" in regions.said.text())
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
    others = [share for share in regions.numbers.shares if share.label != "Gla"]
    assert max(share.ratio for share in others) < 1

    person.click(regions.keep_button)
    person.click(regions.report_button)
    person.wait_for(lambda: bool(shown_pages))
    report = tmp_path / "run" / "report.html"
    assert shown_pages == [str(report)]
    assert report.is_file()
    assert layer.name.endswith("corner, changed")
    kept = re.sub(r"[ ,]+", "-", layer.name).lower()
    assert (tmp_path / "run" / "regions" / f"{kept}.tif").is_file()
    print(f"{person.clicks} clicks")
    assert person.clicks <= 15
