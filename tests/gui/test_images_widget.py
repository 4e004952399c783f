"""The table of all images, in a real viewer: sorted, filtered, in step with the slider."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from qtpy.QtCore import Qt

from napari_globalxai.widgets.session.image_ranking import facts_of, next_row, ordered

pytestmark = pytest.mark.gui

TIMEOUT = 60_000


@pytest.fixture
def images(opened: Any) -> Any:
    from napari_globalxai.widgets.workbench.open_panels import open_panel

    opened.session.choose_map("left")
    return open_panel(opened.viewer, "All images")


def column(panel: Any, heading: str) -> list[str]:
    at = panel.model.headings().index(heading)
    return [panel.model.texts(place)[at] for place in range(panel.model.rowCount())]


def test_every_image_is_listed_with_what_is_known_of_it(images: Any, opened: Any) -> None:
    run = opened.session.run
    assert images.model.rowCount() == 40
    assert {"Image", "Truth", "Probability", "Similarity", "Percentile", "age", "Status"} <= set(
        images.model.headings()
    )
    assert column(images, "Image") == run.images["file"].tolist()
    assert column(images, "Probability")[7] == f"{run.images['probability_left'][7]:.2f}"
    assert column(images, "age")[3] == "53"
    # Paths that do not fit show their ends, by which they differ.
    assert images.view.textElideMode() == Qt.TextElideMode.ElideLeft
    assert not images.view.wordWrap()
    assert "shortcut" not in images.header.text()
    assert "linear.yaml · saliency · cohort.csv · 40 of 40 images" in images.header.text()


def test_table_and_slider_go_together(images: Any, opened: Any, qtbot: Any) -> None:
    viewer = opened.viewer
    viewer.dims.set_current_step(0, 9)
    assert images.view.currentIndex().row() == 9
    images.view.setFocus()
    qtbot.keyClick(images.view, Qt.Key.Key_Down)
    assert viewer.dims.current_step[0] == 10
    assert opened.session.row == 10
    place = images.view.visualRect(images.model.index(2, 0)).center()
    images.view.scrollToTop()
    place = images.view.visualRect(images.model.index(2, 0)).center()
    qtbot.mouseClick(images.view.viewport(), Qt.MouseButton.LeftButton, pos=place)
    assert viewer.dims.current_step[0] == 2


def test_sorting_keeps_the_image_in_view(images: Any, opened: Any) -> None:
    opened.viewer.dims.set_current_step(0, 5)
    heading = images.model.headings().index("age")
    images.view.sortByColumn(heading, Qt.SortOrder.DescendingOrder)
    ages = [int(text) for text in column(images, "age")]
    assert ages == sorted(ages, reverse=True)
    assert opened.session.row == 5
    assert images.model.order[images.view.currentIndex().row()] == 5


def test_a_filter_is_a_selection_that_the_maps_follow(images: Any, opened: Any, qtbot: Any) -> None:
    run, session = opened.session.run, opened.session
    images.query_line.setText("age > 70 and LR == 'L'")
    images.query_line.editingFinished.emit()
    rows = np.flatnonzero((run.images["age"] > 70) & (run.images["LR"] == "L"))
    assert images.model.order.tolist() == rows.tolist()
    assert images.said.text() == f"{len(rows)} of 40 images"
    qtbot.waitUntil(lambda: session.shown is not None, timeout=TIMEOUT)
    layer = opened.explain.layers.layer("global map")
    expected = run.maps_of(rows)["left"].mean
    np.testing.assert_allclose(layer.data, expected, rtol=1e-6)
    assert layer.name == "Global map: left (age > 70 and LR == 'L')"
    # Also where somebody unfolds it only now.
    which = opened.explain.maps.more
    which.expand()
    assert which.among_line.text() == "age > 70 and LR == 'L'"
    assert which.counts.text().startswith("left: ")
    images.all_button.click()
    assert session.shown is None
    assert which.among_line.text() == which.counts.text() == ""
    np.testing.assert_array_equal(layer.data, run.maps["left"])
    assert layer.name == "Global map: left"
    assert images.model.rowCount() == 40


def test_a_warning_goes_with_the_query_that_it_is_about(
    images: Any, opened: Any, qtbot: Any
) -> None:
    which = opened.explain.maps.more
    which.expand()
    for line, said in ((images.query_line, images.said), (which.among_line, which.counts)):
        before = said.text()
        line.setText("nosuch == 1")
        line.editingFinished.emit()
        assert "nosuch" in said.text()
        line.setText("")
        line.editingFinished.emit()
        assert said.text() == before


def test_what_is_odd_about_a_query_is_told_where_it_chooses_images(
    images: Any, opened: Any, qtbot: Any
) -> None:
    session, which = opened.session, opened.explain.maps.more
    which.expand()
    first = session.run.images["file"][0]
    for line, said in ((images.query_line, images.said), (which.among_line, which.counts)):
        line.setText("age / row > 20 or LR == 'l'")
        line.editingFinished.emit()
        qtbot.waitUntil(lambda said=said: "⚠" in said.text(), timeout=TIMEOUT)
        assert "no image has LR 'l', but " in said.text()
        assert f"⚠ division by zero in age / row: {first} is among those chosen; row != 0" in (
            said.text()
        )
        assert said.text().count(" of 40 images\n") == (said is images.said)
        images.all_button.click()
        qtbot.waitUntil(lambda: session.shown is None, timeout=TIMEOUT)
        assert "⚠" not in said.text()


def test_a_map_that_no_image_gives_does_not_hide_those_that_come_after(
    images: Any, opened: Any, qtbot: Any
) -> None:
    session, layers, maps = opened.session, opened.explain.layers, opened.explain.maps
    session.choose_map("left")
    # Of one image there is no SD; "right" is carried by two of these, "left" by one.
    images.filter("row in [0, 2, 3]")
    session.choose_statistic("sd")
    qtbot.waitUntil(
        lambda: session.shown is not None and session.shown.choice.statistic == "sd",
        timeout=TIMEOUT,
    )
    assert session.map_image is None
    # Nothing, rather than the map of another selection.
    assert not layers.layer("global map").data.any()
    session.choose_statistic("mean")
    images.all_button.click()
    qtbot.waitUntil(lambda: session.map_image is not None, timeout=TIMEOUT)
    assert layers.layer("global map").visible
    assert layers.layer("global map").data.any()
    assert maps.global_map_box.isChecked()


def test_a_difference_of_two_selections(opened: Any, qtbot: Any) -> None:
    maps, session, run = opened.explain.maps, opened.session, opened.session.run
    session.choose_map("right")
    maps.more.expand()
    maps.more.among_line.setText("age > 70")
    maps.more.among_line.editingFinished.emit()
    maps.more.less_line.setText("age <= 70")
    maps.more.less_line.editingFinished.emit()
    qtbot.waitUntil(
        lambda: session.shown is not None and session.shown.choice.less is not None, timeout=TIMEOUT
    )
    old = run.maps_of(np.flatnonzero(run.images["age"] > 70))["right"].mean
    young = run.maps_of(np.flatnonzero(run.images["age"] <= 70))["right"].mean
    layer = opened.explain.layers.layer("global map")
    np.testing.assert_allclose(layer.data, old - young, atol=1e-7)
    low, high = layer.contrast_limits
    assert low == -high


@pytest.mark.parametrize("query", ["import os", "nothing == 1", "age >", "age > 1000"])
def test_a_query_that_cannot_be_taken_says_why(images: Any, opened: Any, query: str) -> None:
    images.query_line.setText(query)
    images.query_line.editingFinished.emit()
    assert images.said.text().startswith("⚠ ")
    assert opened.session.selection is None
    assert images.model.rowCount() == 40


def test_presets_put_what_does_not_follow_first(images: Any, opened: Any) -> None:
    run = opened.session.run
    truth, probability = run.images["left"], run.images["probability_left"]
    images.preset_box.setCurrentIndex(images.preset_box.findData("errors"))
    worst = np.abs(truth - probability).to_numpy()
    shown = worst[images.model.order]
    assert (np.diff(shown) <= 0).all()
    assert opened.session.row == images.model.order[0]
    images.preset_box.setCurrentIndex(images.preset_box.findData("unlike"))
    similarity = run.images["similarity_left"].to_numpy()
    carriers = images.model.order[: int(truth.sum())]
    assert (truth.to_numpy()[carriers] == 1).all()
    assert (np.diff(similarity[carriers]) >= 0).all()


class ManyImages:
    """As much of a run as the table looks at, with a row for each of 13 000 images."""

    labels = ("left", "right")

    def __init__(self, count: int = 13_000) -> None:
        rng = np.random.default_rng(0)
        self.images = pd.DataFrame(
            {
                "file": [f"images/{row:05}.png" for row in range(count)],
                "path": "",
                "patient": [f"P{row // 2}" for row in range(count)],
                "laterality": "L",
                "site": rng.choice(list("ABC"), count),
                "age": rng.integers(20, 90, count),
                "status": "ok",
                "error": "",
            }
        )
        for label in self.labels:
            self.images[label] = rng.integers(0, 2, count)
            self.images[f"probability_{label}"] = rng.random(count)
            self.images[f"similarity_{label}"] = rng.random(count)


def test_thirteen_thousand_rows_without_delay(qtbot: Any) -> None:
    from qtpy.QtWidgets import QTableView

    from napari_globalxai.widgets.panels.images.images_model import ImagesModel

    model, view = ImagesModel(), QTableView()
    qtbot.addWidget(view)
    view.setModel(model)
    view.show()
    run = ManyImages()
    steps = {
        "show": lambda: model.show_run(run, "left"),
        "sort": lambda: model.sort(model.headings().index("site"), Qt.SortOrder.AscendingOrder),
        "filter": lambda: model.show_rows(tuple(range(0, 13_000, 3))),
        "preset": lambda: model.show_preset("errors"),
    }
    for name, step in steps.items():
        start = time.thread_time()
        step()
        view.grab()
        took = time.thread_time() - start
        print(f"{name}: {1000 * took:.0f} ms")
        # Of the GUI thread itself, so that a busy machine does not count.
        assert took < 0.5, name
    assert model.rowCount() == 4334


def test_next_is_round_the_end_and_among_the_selected() -> None:
    marked = np.zeros(10, dtype=bool)
    marked[[2, 5, 8]] = True
    assert next_row(marked, 5) == 8
    assert next_row(marked, 8) == 2
    assert next_row(marked, 2, step=-1) == 8
    assert next_row(marked, 5, among=[2, 5]) == 2
    assert next_row(marked, 5, among=[5]) is None
    assert not next_row(np.zeros(10, dtype=bool), 3)


def test_facts_of_all_labels_are_the_worst_of_each() -> None:
    run: Any = ManyImages(60)
    run.images.loc[3, ["left", "probability_left"]] = np.nan
    facts = facts_of(run, "overall")
    table = run.images
    for row in range(60):
        errors = [
            abs(table[label][row] - table[f"probability_{label}"][row]) for label in run.labels
        ]
        assert facts.error[row] == pytest.approx(np.nanmax(errors))
        carried = [
            table[f"similarity_{label}"][row] for label in run.labels if table[label][row] == 1
        ]
        if carried:
            assert facts.similarity[row] == min(carried)
        else:
            assert np.isnan(facts.similarity[row])
    order = ordered(facts_of(run, "left"), "errors")
    assert order is not None
    # What is not known goes last.
    assert order[-1] == 3
    # The lowest percentile is that of the least similar of those that carry the label.
    one = facts_of(run, "left")
    carriers = np.flatnonzero(table["left"] == 1)
    least = carriers[table["similarity_left"].to_numpy()[carriers].argmin()]
    assert one.percentile[least] == pytest.approx(100 / len(carriers))
    assert np.nanmax(one.percentile) == 100


def test_keys_go_to_the_next_image_and_toggle_the_map(opened: Any, qtbot: Any) -> None:
    viewer, session = opened.viewer, opened.session
    window = opened.explain.window()
    viewer.window.show()
    qtbot.waitExposed(window)
    window.activateWindow()
    qtbot.waitUntil(window.isActiveWindow, timeout=TIMEOUT)
    session.choose_map("left")
    viewer.dims.set_current_step(0, 4)
    qtbot.keyClick(window, Qt.Key.Key_F6)
    carriers = np.flatnonzero(session.run.images["left"] == 1)
    assert session.row == carriers[carriers > 4][0]
    qtbot.keyClick(window, Qt.Key.Key_F6, Qt.KeyboardModifier.ShiftModifier)
    assert session.row == carriers[carriers < 5][-1]
    layer = opened.explain.layers.layer("global map")
    qtbot.keyClick(window, Qt.Key.Key_F9)
    assert not layer.visible
    assert not opened.explain.global_map_box.isChecked()
    qtbot.keyClick(window, Qt.Key.Key_F9)
    assert layer.visible


def test_saving_the_list(images: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from qtpy.QtWidgets import QFileDialog

    target = tmp_path / "list.csv"
    monkeypatch.setattr(QFileDialog, "getSaveFileName", lambda *given: (str(target), ""))
    images.filter("age > 80")
    images.save_button.click()
    saved = pd.read_csv(target)
    assert saved["age"].tolist() == list(range(81, 90))
    assert saved["row"].tolist() == images.model.order.tolist()
    assert images.said.text() == f"Saved: {target}"
