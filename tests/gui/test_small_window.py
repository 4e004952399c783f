"""Small windows, large letters: half of the window is the canvas's, nothing scrolls aside."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from napari.settings import get_settings
from napari.utils import Colormap
from napari.utils.colormaps import AVAILABLE_COLORMAPS
from qtpy.QtCore import QPoint, Qt
from qtpy.QtGui import QFontMetrics
from qtpy.QtWidgets import QDockWidget, QScrollArea, QVBoxLayout, QWidget

from napari_globalxai.widgets.fields.wrapped import WrappedBox, wrapped
from napari_globalxai.widgets.jobs.event_turns import TURNS
from napari_globalxai.widgets.workbench.open_panels import PANELS, open_panel
from napari_globalxai.widgets.workbench.small_window import LEAST_WIDTH, SmallWindow

pytestmark = pytest.mark.gui


@pytest.fixture
def large_letters() -> Any:
    appearance = get_settings().appearance
    before = appearance.font_size
    appearance.font_size = 16
    yield
    appearance.font_size = before


def inside_of(window: Any, name: str) -> Any:
    return next(
        each.widget() for each in window.findChildren(QDockWidget) if each.objectName() == name
    )


def area_of(window: Any, name: str) -> Any:
    dock = next(each for each in window.findChildren(QDockWidget) if each.objectName() == name)
    return window.dockWidgetArea(dock)


def settle(window: Any, qtbot: Any) -> None:
    """Wait until nothing is left to arrange."""
    qtbot.wait(50)
    timer = window.findChild(SmallWindow)._settled
    qtbot.waitUntil(lambda: not timer.isActive(), timeout=10_000)


def test_a_small_window_keeps_half_for_the_canvas(
    large_letters: None, opened: Any, qtbot: Any
) -> None:
    areas = Qt.DockWidgetArea
    panels = {name: open_panel(opened.viewer, name) for name in PANELS}
    window = opened.explain.window()
    opened.viewer.window.show()
    qtbot.waitUntil(lambda: TURNS.is_idle, timeout=60_000)
    # Before they are tabs, panels stand side by side.
    qtbot.waitUntil(lambda: len(window.tabifiedDockWidgets(panels["PEPPR"].dock())) == 4)
    opened.viewer.window.resize(1024, 768)
    right, left = areas.RightDockWidgetArea, areas.LeftDockWidgetArea
    qtbot.waitUntil(lambda: area_of(window, "layer list") == right, timeout=5000)
    qtbot.wait(300)
    assert area_of(window, "layer controls") == right
    assert opened.viewer.window._qt_viewer.canvas.native.width() > 0.49 * window.width()
    for name, panel in panels.items():
        panel.bring_forward()
        qtbot.wait(50)
        # As much as a dock of the least width has beside a bar to scroll down.
        assert panel.widget().minimumSizeHint().width() <= LEAST_WIDTH - 16, name
        assert panel.dock().height() > 0.5 * window.height(), name
    # Letters in which napari's controls ask for more than half: they scroll.
    get_settings().appearance.font_size = 20
    controls = inside_of(window, "layer controls")
    held = controls.widget()
    qtbot.waitUntil(lambda: held.minimumSizeHint().width() > window.width() // 2, timeout=5000)
    qtbot.wait(300)
    assert opened.viewer.window._qt_viewer.canvas.native.width() > 0.49 * window.width()
    assert controls.horizontalScrollBar().maximum() > 0
    get_settings().appearance.font_size = 16
    opened.viewer.window.resize(2600, 900)
    qtbot.waitUntil(lambda: area_of(window, "layer list") == left, timeout=5000)
    assert area_of(window, "layer controls") == left
    assert inside_of(window, "layer controls") is held
    assert held.isVisible()
    # napari 0.9.0 lets docks be no higher than they ask for.
    panel = panels["Quality control"]
    panel.bring_forward()
    qtbot.waitUntil(lambda: panel.dock().height() > 0.8 * window.height(), timeout=5000)


def width_of_controls(window: Any) -> int:
    inside = inside_of(window, "layer controls")
    asking = inside.widget() if isinstance(inside, QScrollArea) else inside
    return int(asking.minimumSizeHint().width())


def width_for(column: float) -> int:
    """The window of which half is a column of lists and a panel, and what is between."""
    return round(2 * (column + LEAST_WIDTH + 40))


def shown_wide(opened: Any, qtbot: Any) -> Any:
    """The window, with all that is in it, and room for two columns beside the canvas."""
    opened.viewer.window.show()
    opened.viewer.window.resize(2600, 800)
    qtbot.waitUntil(lambda: TURNS.is_idle, timeout=60_000)
    return opened.explain.window()


def test_larger_letters_make_a_window_small(opened: Any, qtbot: Any) -> None:
    right, left = Qt.DockWidgetArea.RightDockWidgetArea, Qt.DockWidgetArea.LeftDockWidgetArea
    window = shown_wide(opened, qtbot)
    appearance = get_settings().appearance
    usual, before = appearance.font_size, width_of_controls(window)
    # What controls ask for changes with the colours that napari knows, hence with other tests.
    appearance.font_size = 20
    qtbot.waitUntil(lambda: width_of_controls(window) > before + 100, timeout=5000)
    large = width_of_controls(window)
    appearance.font_size = usual
    qtbot.waitUntil(lambda: width_of_controls(window) < large - 100, timeout=5000)
    width = width_for((large + width_of_controls(window)) / 2)
    opened.viewer.window.resize(width, 800)
    settle(window, qtbot)
    assert area_of(window, "layer list") == left
    appearance.font_size = 20
    try:
        qtbot.waitUntil(lambda: area_of(window, "layer list") == right, timeout=5000)
    finally:
        appearance.font_size = usual
    qtbot.waitUntil(lambda: area_of(window, "layer list") == left, timeout=5000)
    # And stays there, whatever the docks remember of the larger ones.
    opened.viewer.window.resize(width + 10, 800)
    settle(window, qtbot)
    assert area_of(window, "layer list") == left


def test_controls_that_grow_make_a_window_small(opened: Any, qtbot: Any) -> None:
    right, left = Qt.DockWidgetArea.RightDockWidgetArea, Qt.DockWidgetArea.LeftDockWidgetArea
    window = shown_wide(opened, qtbot)
    opened.viewer.window.resize(width_for(width_of_controls(window)) + 100, 800)
    settle(window, qtbot)
    assert area_of(window, "layer list") == left
    name = "a name of colours as long as that of a file somewhere on a disk, and wide"
    try:
        opened.viewer.add_image(
            np.eye(8), colormap=Colormap([[0, 0, 0, 1], [1, 0, 0, 1]], name=name)
        )
        qtbot.waitUntil(lambda: area_of(window, "layer list") == right, timeout=5000)
    finally:
        AVAILABLE_COLORMAPS.pop(name, None)
    opened.viewer.layers.pop()
    qtbot.waitUntil(lambda: area_of(window, "layer list") == left, timeout=5000)


def test_lists_that_were_moved_by_hand_stay(opened: Any, qtbot: Any) -> None:
    window = opened.explain.window()
    docks = {each.objectName(): each for each in window.findChildren(QDockWidget)}
    for name in ("layer list", "layer controls"):
        window.addDockWidget(Qt.DockWidgetArea.BottomDockWidgetArea, docks[name])
    opened.viewer.window.resize(1024, 768)
    opened.viewer.window.show()
    settle(window, qtbot)
    assert area_of(window, "layer list") == Qt.DockWidgetArea.BottomDockWidgetArea


def test_a_title_is_shortened_before_it_is_cut(opened: Any, qtbot: Any) -> None:
    dock = opened.explain.dock()
    window = dock.parent()
    window.resize(1440, 900)
    window.show()
    for width, said in ((460, "Global explanations"), (160, "Maps"), (460, "Global explanations")):
        window.resizeDocks([dock], [width], Qt.Orientation.Horizontal)

        def is_whole(said: str = said) -> bool:
            title = dock.titleBarWidget().title
            needed = title.fontMetrics().horizontalAdvance(said)
            return title.text() == said and title.width() >= needed

        qtbot.waitUntil(is_whole, timeout=5000)


def test_words_are_wrapped_as_written_by_hand(qtbot: Any) -> None:
    metrics = QFontMetrics(QWidget().font())
    width = metrics.horizontalAdvance("one two")
    assert wrapped("one two three", metrics, width) == "one two\nthree"
    assert wrapped("one", metrics, 1) == "one"
    assert wrapped("one two", metrics, 1) == "one\ntwo"


def test_a_box_is_as_high_as_its_lines(qtbot: Any) -> None:
    panel = QWidget()
    qtbot.addWidget(panel)
    column = QVBoxLayout(panel)
    box = WrappedBox("Less the mean of all the other images of the cohort")
    column.addWidget(box)
    column.addStretch(1)
    panel.resize(2000, 300)
    panel.show()
    one_line = box.height()
    assert "\n" not in box.text()
    panel.resize(150, 300)
    qtbot.waitUntil(lambda: box.text().count("\n") >= 2)
    qtbot.waitUntil(
        lambda: box.height() == one_line + box.text().count("\n") * box.fontMetrics().lineSpacing()
    )
    assert box.accessibleName() == "Less the mean of all the other images of the cohort"
    panel.resize(2000, 300)
    qtbot.waitUntil(lambda: "\n" not in box.text())


def test_curves_and_verdict_are_in_view_on_a_small_screen(
    panels: Any, finished_run: Path, tmp_path: Path, qtbot: Any
) -> None:
    """At 1024 × 768 in letters of 12 points, without scrolling, however long the verdict is."""
    appearance = get_settings().appearance
    before = appearance.font_size
    appearance.font_size = 12
    try:
        run = Path(shutil.copytree(finished_run, tmp_path / "run"))
        told = json.loads((run / "peppr" / "left.json").read_text())
        told["labels"]["left"] |= {"verdict": "no better than its shifts"}
        told["labels"]["left"]["reason"] = "lengthy " * 200
        (run / "peppr" / "left.json").write_text(json.dumps(told))
        panels.viewer.window.show()
        panels.viewer.window.resize(1024, 768)
        for name in PANELS:
            open_panel(panels.viewer, name)
        with qtbot.waitSignal(panels.explain.runner.succeeded, timeout=60_000):
            panels.explain.open_run(run)
        peppr = panels.peppr
        peppr.bring_forward()
        panels.session.choose_map("left")
        qtbot.waitUntil(lambda: panels.session.result is not None and TURNS.is_idle, timeout=60_000)
        plot, room = peppr.plot, peppr.viewport()
        qtbot.waitUntil(lambda: plot.isVisible() and not plot.is_drawing, timeout=60_000)
        qtbot.wait(500)
        qtbot.waitUntil(lambda: not plot.is_drawing, timeout=60_000)
        assert peppr.verticalScrollBar().value() == 0

        def end_in_view(part: Any, height: float) -> float:
            return float(part.mapTo(room, QPoint(0, round(height))).y())

        for part in (peppr.header, peppr.badge, peppr.verdict.sentence):
            assert part.height() >= part.heightForWidth(part.width())
            assert end_in_view(part, part.height()) <= room.height()
        # The figure's bottom is 0.
        low, high = plot.figure.bbox.height, plot.curves_axes.bbox.y0
        assert end_in_view(plot, plot.height() * (1 - high / low)) <= room.height()
        # All of the reason is there, below.
        assert peppr.reason.text().count("lengthy") == 200
        assert peppr.reason.isVisible()
    finally:
        appearance.font_size = before
