"""The plot of PEPPR: families of control orders, own and added, seen on every ground."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from cut_text import texts_of_figure

pytestmark = pytest.mark.gui

TIMEOUT = 60_000


def luminance(colour: str) -> float:
    """Relative luminance as WCAG 2 defines it."""
    from matplotlib.colors import to_rgb

    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in to_rgb(colour)]
    return float(np.dot(linear, (0.2126, 0.7152, 0.0722)))


def contrast(one: str, other: str) -> float:
    low, high = sorted((luminance(one), luminance(other)))
    return (high + 0.05) / (low + 0.05)


@pytest.mark.parametrize("theme", ["dark", "light"])
def test_curves_beside_stand_out_from_the_ground(theme: str) -> None:
    from napari.utils.theme import get_theme

    from napari_globalxai.widgets.words.colours import OTHER_COLOURS

    ground = get_theme(theme).background.as_hex(format="long")
    assert all(contrast(colour, ground) >= 3 for colour in OTHER_COLOURS)


@pytest.mark.parametrize("name", ["random", "shifted", "one that is not installed"])
@pytest.mark.parametrize("theme", ["dark", "light", None])
def test_families_stand_out_from_the_ground(name: str, theme: str | None) -> None:
    from napari.utils.theme import get_theme

    from napari_globalxai.faithfulness.orders.order_families import family_look

    ground = "#ffffff" if theme is None else get_theme(theme).background.as_hex(format="long")
    # WCAG asks for 3 to 1 of what is drawn.
    assert contrast(family_look(name).colour, ground) >= 3


def open_tested(panels: Any, folder: Path, qtbot: Any) -> Any:
    with qtbot.waitSignal(panels.explain.runner.succeeded, timeout=TIMEOUT):
        panels.explain.open_run(folder)
    panels.session.choose_map("left")
    qtbot.waitUntil(lambda: panels.session.result is not None, timeout=TIMEOUT)
    # Beside the result with the usual fill; a click in the list shows it.
    results = panels.peppr.results
    fills = [texts[1] for texts in results.texts()]
    results.cellClicked.emit(fills.index("own-colour"), 0)
    qtbot.waitUntil(lambda: panels.session.result.settings["fill"] == "own-colour", timeout=TIMEOUT)
    qtbot.waitUntil(lambda: not panels.peppr.plot.is_drawing, timeout=TIMEOUT)
    return panels


@pytest.fixture
def tested(finished_run: Path, added_package: Any, tmp_path: Path) -> Path:
    """A run that was tested with another package's fill and family of orders."""
    from napari_globalxai import peppr

    folder = Path(shutil.copytree(finished_run, tmp_path / "run"))
    peppr(
        folder, "left", fill="own-colour", steps=8, control_steps=4, controls=3, bootstrap=20,
        device="cpu",
    )  # fmt: skip
    return folder


def test_an_added_family_and_fill_are_shown(tested: Path, panels: Any, qtbot: Any) -> None:
    from matplotlib.colors import to_hex

    from napari_globalxai.widgets.panels.peppr.peppr_figure import WHOLE, Wanted, draw, least_height

    # Room for a sentence; what can be asked otherwise is below it.
    without_curves = panels.peppr.plot.minimumHeight()
    assert panels.peppr.plot.sizeHint().height() == without_curves
    opened = open_tested(panels, tested, qtbot)
    plot, session = opened.peppr.plot, opened.session
    assert plot.minimumHeight() > 2 * without_curves
    drawn = {line.get_label(): line for line in plot.curves_axes.get_lines()}
    curves = session.result.curves.query(
        "label == 'left' and order == 'striped' and arm == 'restore' and metric == 'roc_auc'"
    )
    line = drawn["Striped orders, restored"]
    np.testing.assert_allclose(line.get_xdata(), 100 * curves["fraction"])
    np.testing.assert_allclose(line.get_ydata(), curves["value"])
    assert to_hex(line.get_color()) == "#2a7f62"
    for axes, name in (
        (plot.curves_axes, "Striped orders, restored"),
        (plot.deltas_axes, "Striped orders"),
        (plot.deltas_axes, "Surrogate maps"),
    ):
        assert name in [text.get_text() for text in axes.get_legend().get_texts()]

    near = (0.31, 0.37)
    for width, points, across in (
        (248, 9, WHOLE), (248, 16, WHOLE), (340, 12, WHOLE), (420, 16, WHOLE), (480, 12, WHOLE),
        (280, 16, near), (480, 16, near),
    ):  # fmt: skip
        height = least_height(points, width, 100)
        wanted = Wanted(
            result=session.result, label="left", arm="restore", ground="#000000", text="#ffffff",
            size=(width, height), dots_an_inch=100, points=points, across=across,
        )  # fmt: skip
        narrow = draw(wanted)
        # Words have room, and do not take that of the axes.
        assert texts_of_figure(narrow.figure) == []
        assert narrow.deltas_axes.bbox.height > 20

    for row in (3, 8):
        opened.viewer.dims.set_current_step(0, row)
        session.scrub(0.25, "erase")
        image = session.run.stack.images[row]
        own = np.rint(image.reshape(2, -1).mean(axis=1)).astype(np.uint8)
        saw = np.where(session.result.kept(0.25, "erase"), image, own[:, None, None])
        layer = opened.explain.layers.layer("seen")
        np.testing.assert_array_equal(layer.data[..., :2], np.moveaxis(saw, 0, -1))


def test_a_result_is_shown_after_its_package_is_gone(
    tested: Path, added_package: Any, panels: Any, qtbot: Any
) -> None:
    added_package.uninstall()
    opened = open_tested(panels, tested, qtbot)
    lines = {line.get_label() for line in opened.peppr.plot.curves_axes.get_lines()}
    assert "striped, restored" in lines
    assert "Restored along the map" in lines
    layers = opened.explain.layers
    assert layers.layer("area") is not None
    # What the fill made of the image is not known any more.
    assert layers.layer("seen") is None
    opened.session.scrub(0.5, "erase")
    assert layers.layer("seen") is None


def test_curves_are_seen_closer_by_wheel_and_keys_and_saved(
    opened: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, qtbot: Any
) -> None:
    from qtpy.QtCore import QPoint, QPointF, Qt
    from qtpy.QtGui import QWheelEvent
    from qtpy.QtWidgets import QApplication, QFileDialog

    plot, session = opened.peppr.plot, opened.session
    opened.viewer.window.show()
    opened.peppr.bring_forward()
    session.choose_map("left")
    qtbot.waitUntil(lambda: session.result is not None, timeout=TIMEOUT)

    def drawn() -> None:
        qtbot.waitUntil(lambda: not plot.is_drawing, timeout=TIMEOUT)

    qtbot.waitUntil(plot.isVisible, timeout=TIMEOUT)
    drawn()
    whole = plot.curves_axes.get_ylim()

    def wheel(modifier: Any) -> bool:
        x = 0.3 * plot.width()
        event = QWheelEvent(
            QPointF(x, 90), QPointF(plot.mapToGlobal(QPoint(int(x), 90))), QPoint(0, 0),
            QPoint(0, 120), Qt.MouseButton.NoButton, modifier, Qt.ScrollPhase.NoScrollPhase, False,
        )  # fmt: skip
        QApplication.sendEvent(plot, event)
        return event.isAccepted()

    # Without Ctrl the panel scrolls.
    wheel(Qt.KeyboardModifier.NoModifier)
    assert plot.across == (0, 1)
    for _ in range(6):
        assert wheel(Qt.KeyboardModifier.ControlModifier)
    drawn()
    first, last = plot.across
    assert last - first == pytest.approx(1.25**-6)
    assert 0 < first < 0.3 < last
    assert plot.curves_axes.get_xlim() == pytest.approx((100 * first, 100 * last))
    assert plot.curves_axes.get_ylim() != whole
    # A click goes to the fraction that is under the pointer there.
    left, right = (plot._place(end, whole[0]).x() for end in (first, last))
    qtbot.mouseClick(
        plot, Qt.MouseButton.LeftButton, pos=QPoint(round(left + 0.5 * (right - left)), 120)
    )
    assert session.fraction == pytest.approx((first + last) / 2, abs=0.01)
    plot.setFocus()
    qtbot.keyClick(plot, Qt.Key.Key_Right)
    assert plot.across[0] > first
    qtbot.keyClick(plot, Qt.Key.Key_0)
    drawn()
    assert plot.across == (0, 1)
    assert plot.curves_axes.get_ylim() == pytest.approx(whole)
    target = tmp_path / "curves.svg"
    monkeypatch.setattr(QFileDialog, "getSaveFileName", lambda *asked: (str(target), ""))
    qtbot.keyClick(plot, Qt.Key.Key_S, Qt.KeyboardModifier.ControlModifier)
    qtbot.waitUntil(target.is_file, timeout=TIMEOUT)
    assert "ROC AUC of left" in target.read_text()


def test_curves_that_come_faster_than_they_are_drawn_are_shown(
    opened: Any, monkeypatch: pytest.MonkeyPatch, qtbot: Any
) -> None:
    import time

    from napari_globalxai.widgets.panels.peppr import peppr_plot

    plot, session, draw = opened.peppr.plot, opened.session, peppr_plot.draw_result
    session.choose_map("left")
    qtbot.waitUntil(lambda: session.result is not None, timeout=TIMEOUT)
    qtbot.waitUntil(lambda: not plot.is_drawing, timeout=TIMEOUT)

    def slowly(wanted: Any) -> Any:
        time.sleep(0.2)
        return draw(wanted)

    monkeypatch.setattr(peppr_plot, "draw_result", slowly)
    pictures, ends = [], []
    monkeypatch.setattr(plot, "update", lambda: pictures.append(plot.figure))
    plot.drawn.connect(lambda: ends.append(len(pictures)))
    asked = 0
    while len(pictures) < 3:
        asked += 1
        plot.show_part((0.0, 1 - 0.001 * asked))
        qtbot.wait(20)
        assert asked < 500
    assert asked > 9
    assert not ends
    qtbot.waitUntil(lambda: not plot.is_drawing, timeout=TIMEOUT)
    assert len(ends) == 1
    assert plot.curves_axes.get_xlim() == pytest.approx((0, 100 - 0.1 * asked))


def test_nothing_is_drawn_before_the_plot_has_its_place(
    make_napari_viewer: Any, finished_run: Path, monkeypatch: pytest.MonkeyPatch, qtbot: Any
) -> None:
    """It would hold up the window as it lays out the panel, and have letters of another size."""
    from napari_globalxai.widgets.panels.peppr import peppr_plot
    from napari_globalxai.widgets.workbench.open_panels import open_panel

    wanted, sizes, rooms = peppr_plot.PepprPlot._wanted, [], []

    def noting(plot: Any) -> Any:
        asked = wanted(plot)
        sizes.append(asked.size)
        # Docks may get narrower later, where a window takes long to find its form.
        rooms.append(peppr.width())
        return asked

    monkeypatch.setattr(peppr_plot.PepprPlot, "_wanted", noting)
    viewer = make_napari_viewer(show=True)
    peppr, explain = (open_panel(viewer, name) for name in ("PEPPR", "Global explanations"))
    with qtbot.waitSignal(explain.runner.succeeded, timeout=TIMEOUT):
        explain.open_run(finished_run)
    # Without a result there is nothing to draw.
    qtbot.wait(600)
    assert peppr.plot.isHidden()
    assert not sizes
    peppr.bring_forward()
    peppr.session.choose_map("left")
    qtbot.waitUntil(lambda: bool(sizes) and not peppr.plot.is_drawing, timeout=TIMEOUT)
    assert sizes[-1] == (peppr.plot.width(), peppr.plot.height())
    assert all(size[0] <= room for size, room in zip(sizes, rooms, strict=True))


def test_a_plot_that_nobody_shows_is_drawn_as_well(qtbot: Any) -> None:
    from napari_globalxai.widgets.panels.peppr.peppr_plot import PepprPlot

    plot = PepprPlot("dark")
    qtbot.addWidget(plot)
    assert plot.is_drawing
    # Until then it says by itself that there are no curves.
    begun = plot.grab().toImage()
    colours = {begun.pixel(x, y) for x in range(begun.width()) for y in range(begun.height())}
    assert len(colours) > 2
    qtbot.waitUntil(lambda: not plot.is_drawing, timeout=TIMEOUT)
    assert plot.figure is not None
