"""What holds of every panel: headers, keys, wheel, tabs, names, texts that fit, drops, jobs."""

from __future__ import annotations

import os
import re
import shutil
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from cut_text import (
    LETTERS_OF_A_TIP,
    cut_texts,
    not_readable,
    outside_parent,
    overlapping,
    texts_of_figure,
    wide_tips,
)
from dropping import drop
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from napari.settings import get_settings
from napari.utils.theme import get_theme
from qtpy.QtCore import Qt
from qtpy.QtWidgets import (
    QAbstractButton,
    QAbstractSpinBox,
    QComboBox,
    QDockWidget,
    QLabel,
    QLineEdit,
    QScrollArea,
    QSlider,
    QTableWidget,
    QTableWidgetItem,
    QWidget,
)
from unfolding import unfold_once

from napari_globalxai.progress import Progress
from napari_globalxai.widgets.fields.choice_box import choice_box
from napari_globalxai.widgets.fields.fold import Fold
from napari_globalxai.widgets.jobs.event_turns import TURNS
from napari_globalxai.widgets.words.panel_words import in_panel_words
from napari_globalxai.widgets.words.seen_colours import TEXT, contrast
from napari_globalxai.widgets.words.table_words import local_time
from napari_globalxai.widgets.workbench.open_panels import PANELS, open_panel

pytestmark = pytest.mark.gui

TIMEOUT = 60_000
# napari's menus: File, View, Layers, Plugins, Window, Help, and Debug where it is shown, in which
# Alt+T starts a trace; Alt+C and Alt+S copy and save a screenshot.
MENUS = set("fvlpwhd") | set("cst")


@pytest.fixture
def all_panels(opened: Any, qtbot: Any) -> dict[str, Any]:
    panels = {name: open_panel(opened.viewer, name) for name in PANELS}
    # What is in them comes a turn later.
    qtbot.waitUntil(lambda: TURNS.is_idle, timeout=TIMEOUT)
    return panels


def test_every_panel_of_a_run_says_what_is_shown(
    all_panels: dict[str, Any], opened: Any, inputs: Any, tmp_path: Path, qtbot: Any
) -> None:
    from napari_globalxai import explain

    headed = [panel for panel in all_panels.values() if hasattr(panel, "header")]
    assert len(headed) == 4
    other = tmp_path / "other" / "model.yaml"
    shutil.copytree(inputs.model.parent, other.parent)
    other.with_name("linear.yaml").rename(other)
    explain(inputs.cohort, other, tmp_path / "second", "saliency")
    for panel in headed:
        assert panel.header.text().startswith("Shown: linear.yaml · saliency · cohort.csv")
    opened.explain.model_field.path = inputs.model
    with qtbot.waitSignal(opened.explain.runner.succeeded, timeout=TIMEOUT):
        opened.explain.open_run(tmp_path / "second")
    finished = local_time(opened.session.run.record.finished)
    for panel in headed:
        assert panel.header.text() == (
            f"Shown: model.yaml · saliency · cohort.csv · 40 of 40 images · {finished}"
        )
    # The form is that of the next run, and says so.
    assert "Next run" in opened.explain.form.button.text()
    assert opened.explain.model_field.path == inputs.model


def mnemonics(panel: QWidget) -> Iterator[str]:
    for widget in panel.findChildren(QWidget):
        if isinstance(widget, QLabel | QAbstractButton):
            yield from re.findall(r"&(\w)", widget.text().lower())


def test_alt_keys_are_one_a_panel_and_none_of_naparis(all_panels: dict[str, Any]) -> None:
    for name, panel in all_panels.items():
        keys = list(mnemonics(unfold_once(panel)))
        assert len(keys) == len(set(keys)), name
        assert not MENUS & set(keys), name


def test_what_is_asked_for_has_a_name_for_screen_readers(all_panels: dict[str, Any]) -> None:
    for name, panel in all_panels.items():
        for widget in unfold_once(panel).findChildren(QWidget):
            inside = isinstance(widget.parent(), QAbstractSpinBox | QComboBox)
            asks = isinstance(widget, QLineEdit | QComboBox | QAbstractSpinBox | QSlider)
            if asks and not inside:
                # Of a row of a form, the label before it is the name.
                assert widget.accessibleName(), (name, widget.objectName(), widget.toolTip())


def test_no_two_parts_of_a_panel_have_one_name(all_panels: dict[str, Any]) -> None:
    seen = 0
    for name, panel in all_panels.items():
        parts = unfold_once(panel).findChildren(QWidget)
        names = [
            part.button.accessibleName() if isinstance(part, Fold) else part.text()
            for part in parts
            if isinstance(part, Fold) or (isinstance(part, QLabel) and part.font().bold())
        ]
        seen += len(names)
        assert len(set(names)) == len(names), (name, sorted(names))
    assert seen > 25


def test_tab_passes_by_what_is_folded_away(opened: Any) -> None:
    form = opened.explain.form
    form.expand()
    folded = form.alignment_form
    assert not folded.isExpanded()
    assert all(not field.isVisibleTo(form) for field in folded.fields.values())
    folded.expand()
    assert all(field.isVisibleTo(form) for field in folded.fields.values())


def test_panels_stand_as_tabs_however_they_were_opened(
    all_panels: dict[str, Any], opened: Any, qtbot: Any
) -> None:
    opened.viewer.window.show()
    qtbot.wait(300)
    docks = [panel.dock() for panel in all_panels.values()]
    together = set(docks[0].parent().tabifiedDockWidgets(docks[0]))
    assert together == set(docks) - {docks[0]}
    # Once more is the same panel, in front.
    assert open_panel(opened.viewer, "Regions") is all_panels["Regions"]
    # A tab has room for a short name; menus and windows tell the whole one.
    short = {dock.windowTitle() for dock in docks}
    assert short == {"Maps", "Images", "Regions", "PEPPR", "Quality"}
    assert {dock.toggleViewAction().text() for dock in docks} == set(PANELS)
    docks[0].setFloating(True)
    assert docks[0].windowTitle() == docks[0].toggleViewAction().text() == "Global explanations"
    docks[0].setFloating(False)
    assert {dock.windowTitle() for dock in docks} == short


def test_no_text_is_cut_in_a_narrow_dock(
    all_panels: dict[str, Any], opened: Any, qtbot: Any
) -> None:
    opened.viewer.window.resize(1024, 768)
    opened.viewer.window.show()
    qtbot.wait(200)
    for name, panel in all_panels.items():
        dock = panel.dock()
        window = dock.parent()
        window.resizeDocks([dock], [280], Qt.Orientation.Horizontal)
        panel.bring_forward()
        qtbot.wait(100)
        assert panel.width() <= 420, name
        assert not_readable(panel) == [], name


def test_lines_tables_and_plots_have_naparis_letters(
    opened: Any, all_panels: dict[str, Any], qtbot: Any
) -> None:
    opened.viewer.window.show()
    for panel in all_panels.values():
        panel.bring_forward()
        qtbot.wait(50)
    appearance = get_settings().appearance
    before = appearance.font_size
    peppr, images = all_panels["PEPPR"], all_panels["All images"]
    for size in (before, 9, 16):
        appearance.font_size = size
        for part in (peppr.plot, peppr.results, images.view, images.query_line):
            assert part.font().pointSize() == size
    appearance.font_size = before


def test_empty_panels_are_laid_out(make_napari_viewer: Any, qtbot: Any) -> None:
    viewer = make_napari_viewer()
    viewer.window.show()
    for name in PANELS:
        panel = open_panel(viewer, name)
        qtbot.waitUntil(lambda: TURNS.is_idle, timeout=TIMEOUT)
        unfold_once(panel)
        qtbot.wait(150)
        assert not_readable(panel) == [], name


def test_a_cut_text_would_be_found(qtbot: Any) -> None:
    label = QLabel("A sentence that needs more room than it has")
    panel = QWidget()
    qtbot.addWidget(panel)
    label.setParent(panel)
    label.resize(label.sizeHint())
    assert cut_texts(panel) == []
    label.resize(60, label.height())
    assert cut_texts(panel) == [f"QLabel: {label.text()}"]


def test_what_else_cannot_be_read_would_be_found(qtbot: Any) -> None:
    panel = QWidget()
    qtbot.addWidget(panel)
    panel.resize(400, 300)
    table = QTableWidget(1, 1, panel)
    table.setHorizontalHeaderLabels(["A"])
    table.setItem(0, 0, QTableWidgetItem("what the cell holds is longer"))
    table.setWordWrap(False)
    table.setGeometry(0, 0, 300, 100)
    table.setColumnWidth(0, 40)
    assert cut_texts(panel) == ["QTableWidget: what the cell holds is longer"]
    table.item(0, 0).setToolTip("what the cell holds is longer, and where")
    assert cut_texts(panel) == []
    box = QComboBox(panel)
    box.addItem("a choice that is longer than its box")
    box.setGeometry(0, 110, 100, 30)
    assert cut_texts(panel) == ["QComboBox: a choice that is longer than its box"]
    box.setParent(None)
    line = QLineEdit(panel)
    line.setPlaceholderText("what is taken where nothing is said")
    line.setGeometry(0, 150, 60, 30)
    assert cut_texts(panel) == ["QLineEdit: what is taken where nothing is said"]
    assert overlapping(panel) == outside_parent(panel) == wide_tips(panel) == []
    line.setGeometry(250, 80, 200, 30)
    line.setToolTip("x " * LETTERS_OF_A_TIP)
    assert overlapping(panel) == ["QTableWidget and QLineEdit"]
    assert outside_parent(panel) == ["QLineEdit beyond its parent"]
    assert len(wide_tips(panel)) == 1
    area = QScrollArea()
    qtbot.addWidget(area)
    wide = QWidget()
    wide.setMinimumWidth(500)
    area.setWidget(wide)
    area.resize(200, 200)
    area.show()
    assert any("pixels beyond its edge" in text for text in cut_texts(area))


def test_texts_of_a_figure_that_lie_on_each_other_would_be_found() -> None:
    figure = Figure(figsize=(4, 3), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    axes.set(xlim=(0, 1), ylim=(0, 1), xlabel="Share")
    figure.canvas.draw()
    assert texts_of_figure(figure) == []
    axes.text(0.5, 0.5, "one of them")
    axes.text(0.52, 0.5, "another")
    figure.text(0.97, 0.2, "beyond the edge of the figure")
    figure.canvas.draw()
    assert texts_of_figure(figure) == [
        "figure: one of them on another", "figure: beyond the edge of the figure"
    ]  # fmt: skip


def test_a_narrow_box_tells_its_whole_choice(qtbot: Any) -> None:
    box = choice_box("Map", "The map")
    qtbot.addWidget(box)
    box.addItems(["Neovascular age-related macular degeneration", "糖尿病"])
    box.resize(120, 30)
    box.show()
    assert "…" in box.shown_text
    assert box.whole_tip == "Neovascular age-related macular degeneration\nThe map"
    box.setCurrentIndex(1)
    assert box.shown_text == "糖尿病"
    assert not box.grab().isNull()


def test_panels_take_the_letters_that_napari_has_when_they_open(
    make_napari_viewer: Any, qtbot: Any
) -> None:
    appearance = get_settings().appearance
    before = appearance.font_size
    appearance.font_size = 15
    try:
        viewer = make_napari_viewer()
        viewer.window.show()
        panel = open_panel(viewer, "All images")
        qtbot.waitUntil(lambda: panel.widget() is not None and panel.font().pointSize() == 15)
        for part in (panel.view, panel.query_line, panel.view.horizontalHeader()):
            qtbot.waitUntil(lambda part=part: part.font().pointSize() == 15)
        # What is made when it is unfolded has them, too.
        form = open_panel(viewer, "PEPPR").more_form
        qtbot.waitUntil(lambda: TURNS.is_idle, timeout=TIMEOUT)
        form.expand()
        assert min(field.font().pointSize() for field in form.fields.values()) == 15
    finally:
        appearance.font_size = before


def test_the_main_button_stands_out_in_every_theme(make_napari_viewer: Any, qtbot: Any) -> None:
    appearance = get_settings().appearance
    before = appearance.theme
    viewer = make_napari_viewer()
    viewer.window.show()
    panel = open_panel(viewer, "Quality control")
    qtbot.waitUntil(lambda: panel.widget() is not None and panel.check_button.isVisible())
    try:
        for theme in ("light", "dark"):
            appearance.theme = theme
            colours = get_theme(theme)
            qtbot.waitUntil(lambda colours=colours: in_button(panel) == colours.current.as_hex())
            assert contrast(colours.text.as_hex(), in_button(panel)) >= TEXT
    finally:
        appearance.theme = before


def in_button(panel: Any) -> str:
    """The colour of the button within its edge."""
    return str(panel.check_button.grab().toImage().pixelColor(5, 5).name())


def test_renamed_layers_stay_renamed_and_recoloured(opened: Any) -> None:
    layer = opened.explain.layers.layer("global map")
    layer.name = "Where it looks"
    layer.colormap = "inferno"
    opened.session.choose_map("right")
    assert layer.name == "Where it looks"
    assert layer.colormap.name == "inferno"
    np.testing.assert_array_equal(layer.data, opened.session.run.maps["right"])


def test_check_boxes_follow_the_eye(opened: Any, qtbot: Any) -> None:
    explain = opened.explain
    qtbot.waitUntil(lambda: explain.layers.layer("attribution") is not None, timeout=TIMEOUT)
    explain.layers.layer("global map").visible = False
    explain.layers.layer("attribution").visible = True
    assert not explain.global_map_box.isChecked()
    assert explain.attribution_box.isChecked()


def test_the_map_of_all_and_that_of_one_have_colours_of_their_own(opened: Any, qtbot: Any) -> None:
    layers = opened.explain.layers
    qtbot.waitUntil(lambda: layers.layer("attribution") is not None, timeout=TIMEOUT)
    for scale in ("linear", "logarithm", "percentile"):
        opened.explain.maps.scale_box.setCurrentText(scale.capitalize())
        one = layers.layer("global map").colormap.map(np.array([0.9]))[0, :3]
        other = layers.layer("attribution").colormap.map(np.array([0.9]))[0, :3]
        assert np.abs(one - other).max() > 0.3


def test_colours_of_images_that_were_looked_at_do_not_stay_in_the_lists_of_napari(
    panels: Any, inputs: Any, tmp_path: Path, qtbot: Any
) -> None:
    from napari.utils.colormaps import AVAILABLE_COLORMAPS

    from napari_globalxai import explain

    # Of a linear model, what differs between images.
    explain(inputs.cohort, inputs.model, tmp_path / "run", "input-x-gradient")
    panels.explain.open_run(tmp_path / "run")
    layers, viewer = panels.explain.layers, panels.viewer
    qtbot.waitUntil(lambda: layers.layer("attribution") is not None, timeout=TIMEOUT)
    panels.explain.attribution_box.setChecked(True)
    panels.explain.maps.scale_box.setCurrentText("Percentile")
    qtbot.waitUntil(lambda: TURNS.is_idle, timeout=TIMEOUT)
    known, seen = len(AVAILABLE_COLORMAPS), []
    for row in range(6):
        viewer.dims.set_current_step(0, row)
        qtbot.wait(20)
        qtbot.waitUntil(lambda: TURNS.is_idle, timeout=TIMEOUT)
        seen.append(layers.layer("attribution").colormap.colors.tobytes())
    assert len(set(seen)) > 3
    assert len(AVAILABLE_COLORMAPS) == known
    assert layers.layer("attribution").colormap.name.endswith("attribution, percentile")
    # Whoever takes others finds these again, on a scale that is the same for all images, too.
    panels.explain.maps.scale_box.setCurrentText("Linear")
    with qtbot.waitSignal(layers.attribution_shown, timeout=TIMEOUT):
        viewer.dims.set_current_step(0, 0)
    layer = layers.layer("attribution")
    own = layer.colormap.name
    layer.colormap = "gray"
    layer.colormap = own
    assert layer.colormap.name == own


@pytest.mark.parametrize(
    ("scale", "shows"), [("linear", False), ("logarithm", True), ("percentile", True)]
)
def test_a_weak_but_wide_part_shows_on_the_bent_scales(scale: str, shows: bool) -> None:
    from napari_globalxai.widgets.words.colours import map_colormap

    # As of integrated gradients: a shortcut of 18 % of the maximum at many pixels.
    values = np.concatenate([np.zeros(700), np.full(290, 0.18), np.linspace(0.2, 1, 10)])
    colormap = map_colormap(signed=False, scale=scale, values=values)
    alpha = colormap.map(np.array([0.0, 0.18, 1.0]))[:, 3]
    assert alpha[0] < 0.01
    assert alpha[2] > 0.99
    assert (alpha[1] > 0.35) == shows


def test_the_camera_fits_a_frame_of_another_size(
    make_napari_viewer: Any, finished_run: Path, qtbot: Any
) -> None:
    viewer = make_napari_viewer()
    # As the sample's: images of a role that are larger than the frame of the run.
    viewer.add_image(
        np.zeros((3, 320, 480, 3), np.uint8), rgb=True, name="Images",
        metadata={"napari_globalxai": {"role": "images"}},
    )  # fmt: skip
    explain = open_panel(viewer, "Global explanations")
    zoom = viewer.scene.camera.zoom
    with qtbot.waitSignal(explain.runner.succeeded, timeout=TIMEOUT):
        explain.open_run(finished_run)
    assert viewer.scene.camera.zoom > 5 * zoom
    assert viewer.scene.camera.center[-2:] == pytest.approx((15.5, 23.5))


def test_contours_and_colour_bar(opened: Any) -> None:
    maps, layers = opened.explain.maps, opened.explain.layers
    maps.contour_box.click()
    zones = layers.layer("contours")
    image = opened.session.run.maps["overall"]
    assert image[zones.data == 1].sum() == pytest.approx(image.sum() / 2, rel=0.1)
    opened.session.choose_map("left")
    left = opened.session.run.maps["left"]
    assert left[layers.layer("contours").data > 0].sum() >= 0.8 * left.sum()
    maps.colour_bar_box.click()
    assert layers.layer("global map").colorbar.visible
    maps.contour_box.click()
    assert layers.layer("contours") is None


# Words.


@pytest.mark.parametrize(
    ("sentence", "said"),
    [
        (
            "t.csv: no column was recognised, so name it with --file-column.",
            "t.csv: no column was recognised, so name it with the field “File column” under "
            "“Cohort table”.",
        ),
        (
            "the codes mean sides; --laterality-values \"0=L,1=R\", or the reverse, says so.",
            "the codes mean sides; 0=L,1=R in the field “Side values” under “Cohort table”, or the "
            "reverse, says so.",
        ),
        (
            "m.pt: used only where you say that you trust it: --trust (trust=True in Python).",
            "m.pt: used only where you say that you trust it: “Trust this model's code”.",
        ),
        ("as `explain --aligned` does.", "as `explain --aligned` does."),
    ],
)  # fmt: skip
def test_sentences_name_fields_of_the_panel(sentence: str, said: str) -> None:
    assert in_panel_words(sentence) == said


def test_no_option_of_settings_is_left_in_a_sentence() -> None:
    from napari_globalxai.settings.cohort_settings import CohortSettings
    from napari_globalxai.settings.declared import declared_fields
    from napari_globalxai.settings.explain_settings import ExplainSettings

    for model in (CohortSettings, ExplainSettings):
        for setting in declared_fields(model):
            assert "--" not in in_panel_words(f"choose another --{setting.option}.")


def test_problems_are_listed_before_compute(panels: Any, tmp_path: Path, qtbot: Any) -> None:
    import tiny

    table = tiny.write_cohort(tmp_path / "c", size=6)
    lines = table.read_text().splitlines()
    lines[2] = lines[2].replace(",L,", ",,")
    table.write_text("\n".join([*lines, lines[3]]) + "\n")
    explain = panels.explain
    explain.cohort_field.path = table
    preview = explain.form.preview
    qtbot.waitUntil(lambda: "7 images" in preview.facts.text(), timeout=TIMEOUT)
    assert "patient: ID" in preview.facts.text()
    assert "repeats an earlier row" in preview.problems.text()
    assert "--" not in preview.problems.text()
    explain.cohort_form.fields["patient_column"].setText("nobody")
    explain.cohort_form.fields["patient_column"].editingFinished.emit()
    qtbot.waitUntil(lambda: "nobody" in preview.problems.text(), timeout=TIMEOUT)
    # Mended in its file, it is read again once the field is left.
    explain.cohort_form.fields["patient_column"].setText("")
    explain.cohort_form.fields["patient_column"].editingFinished.emit()
    qtbot.waitUntil(lambda: "repeats" in preview.problems.text(), timeout=TIMEOUT)
    table.write_text("\n".join(lines[:2]) + "\n")
    os.utime(table, (1, 1))
    explain.cohort_field.line.editingFinished.emit()
    qtbot.waitUntil(lambda: preview.facts.text().startswith("1 image ·"), timeout=TIMEOUT)
    assert preview.problems.text() == ""


# Drops.


def test_a_run_is_not_swallowed_while_another_is_made(
    opened: Any, finished_run: Path, qtbot: Any, notifications: Any
) -> None:
    explain, done = opened.explain, threading.Event()
    before = explain.session.view
    explain.runner.run(lambda progress: done.wait(20) and before)
    drop(explain.cohort_field.line, finished_run)
    assert [str(each.message) for each in notifications] == [
        "finished is not opened while another run is computed or read; open it again then."
    ]
    with qtbot.waitSignal(explain.runner.succeeded, timeout=TIMEOUT):
        done.set()
    qtbot.waitUntil(explain.open_button.isEnabled, timeout=TIMEOUT)
    assert explain.session.view is before


@pytest.mark.filterwarnings("ignore:Function. 'QDragEnterEvent:DeprecationWarning")
@pytest.mark.parametrize("part", ["", "run.json", "aligned.zarr"])
def test_a_run_dropped_on_a_field_is_opened(
    panels: Any, finished_run: Path, part: str, qtbot: Any
) -> None:
    with qtbot.waitSignal(panels.explain.runner.succeeded, timeout=TIMEOUT):
        drop(panels.explain.cohort_field.line, finished_run / part)
    assert panels.session.run.folder == finished_run
    assert panels.explain.cohort_field.path is None


@pytest.mark.filterwarnings("ignore:Function. 'QDragEnterEvent:DeprecationWarning")
def test_table_and_model_find_their_fields(panels: Any, inputs: Any) -> None:
    explain = panels.explain
    drop(explain.model_field.line, inputs.cohort)
    drop(explain.cohort_field.line, inputs.model)
    assert explain.cohort_field.path == inputs.cohort
    assert explain.model_field.path == inputs.model
    assert "//" not in explain.cohort_field.line.text()


@pytest.fixture
def with_plugin(npe2pm: Any, make_napari_viewer: Any) -> Any:
    from npe2 import PluginManifest

    npe2pm.register(PluginManifest.from_file(Path(__file__).parents[2] / "napari.yaml"))
    return make_napari_viewer()


@pytest.mark.filterwarnings("ignore:Function. 'QDragEnterEvent:DeprecationWarning")
@pytest.mark.parametrize("part", ["", "run.json", "aligned.zarr"])
def test_napari_opens_a_run(with_plugin: Any, finished_run: Path, part: str, qtbot: Any) -> None:
    with_plugin.open(finished_run / part, plugin="napari-globalxai")
    qtbot.waitUntil(lambda: "Global map: overall" in with_plugin.layers, timeout=TIMEOUT)


def test_napari_takes_tables_and_models(with_plugin: Any, inputs: Any) -> None:
    with_plugin.open(inputs.cohort, plugin="napari-globalxai")
    with_plugin.open(inputs.model, plugin="napari-globalxai")
    panel = open_panel(with_plugin, "Global explanations")
    assert panel.cohort_field.path == inputs.cohort
    assert panel.model_field.path == inputs.model
    assert len(with_plugin.layers) == 0


def test_a_damaged_run_is_one_sentence(
    with_plugin: Any, tmp_path: Path, qtbot: Any, notifications: list[Any]
) -> None:
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "run.json").write_text('{"format": 2, "kind": "run"')
    panel = open_panel(with_plugin, "Global explanations")
    with qtbot.waitSignal(panel.runner.failed, timeout=TIMEOUT):
        with_plugin.open(tmp_path / "run", plugin="napari-globalxai")
    assert "run.json: is damaged" in panel.job_bar.status.text()
    assert len(notifications) == 1


# Jobs.


def test_a_closed_panel_keeps_its_job_and_a_new_one_shows_it(panels: Any, qtbot: Any) -> None:
    viewer, go_on = panels.viewer, threading.Event()

    def work(progress: Any) -> str:
        progress(Progress("Starting workers, shown at http://127.0.0.1:40000/status", 1, 1))
        while not go_on.wait(0.02):
            progress(Progress("Explaining images", 3, 7, remaining=90))
        return "done"

    found: list[str] = []
    panels.peppr.runner.run(work, then=found.append)
    assert viewer.window._task_status_manager.is_busy()
    dock = panels.peppr.dock()
    dock.destroyOnClose()
    qtbot.wait(100)
    again = open_panel(viewer, "PEPPR")
    assert again is not panels.peppr
    assert again.runner.is_running
    # What is in a panel comes a turn later, and is not in view before.
    qtbot.waitUntil(lambda: TURNS.is_idle, timeout=TIMEOUT)
    qtbot.waitUntil(lambda: "3 of 7" in again.job_bar.status.text(), timeout=TIMEOUT)
    assert "left" in again.job_bar.status.text()
    assert again.job_bar.status.text().endswith("shown at http://127.0.0.1:40000/status")
    assert again.job_bar.cancel_button.isVisibleTo(again)
    assert again.job_bar.cancel_button.isEnabled()
    assert not again.compute_button.isEnabled()
    with qtbot.waitSignal(again.runner.finished, timeout=TIMEOUT):
        go_on.set()
    assert found == ["done"]
    assert not viewer.window._task_status_manager.is_busy()


def test_a_run_computed_behind_a_closed_panel_is_shown(
    panels: Any, inputs: Any, tmp_path: Path, qtbot: Any
) -> None:
    explain = panels.explain
    explain.cohort_field.path, explain.model_field.path = inputs.cohort, inputs.model
    explain.method_box.setCurrentText("saliency")
    explain.output_field.path = tmp_path / "run"
    runner = explain.runner
    explain.compute()
    dock: QDockWidget = explain.dock()
    dock.destroyOnClose()  # type: ignore[attr-defined]
    with qtbot.waitSignal(runner.succeeded, timeout=TIMEOUT):
        pass
    assert panels.session.run.folder == tmp_path / "run"
    assert "Global map: overall" in panels.layer_names()
