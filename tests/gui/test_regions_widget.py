"""Regions that somebody draws: measured, erased, kept."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import napari
import numpy as np
import pytest
import tiny
from napari.layers import Image, Labels, Shapes
from qtpy.QtCore import Qt

from napari_globalxai.errors import InputError
from napari_globalxai.report.drawn_chapter import drawn_chapter
from napari_globalxai.storage import read_json
from napari_globalxai.widgets.jobs.event_turns import TURNS
from napari_globalxai.widgets.layers.region_drawing import draw_region
from napari_globalxai.widgets.layers.region_mask import region_mask
from napari_globalxai.widgets.session.mass import mass_zones
from napari_globalxai.widgets.session.shown_maps import Selection

pytestmark = pytest.mark.gui

TIMEOUT = 60_000


@pytest.fixture
def regions(panels: Any, finished_run: Path, tmp_path: Path, qtbot: Any) -> Any:
    """The panel, with a run of its own open, as regions are kept in the run."""
    from napari_globalxai.widgets.workbench.open_panels import open_panel

    folder = Path(shutil.copytree(finished_run, tmp_path / "run"))
    with qtbot.waitSignal(panels.explain.runner.succeeded, timeout=TIMEOUT):
        panels.explain.open_run(folder)
    panels.session.choose_map("left")
    return open_panel(panels.viewer, "Regions")


def draw_sign(regions: Any, qtbot: Any, label: str = "left") -> np.ndarray:
    """Draw a rectangle around a label's sign, and return its pixels."""
    qtbot.mouseClick(regions.new_button, Qt.MouseButton.LeftButton)
    layer = napari.current_viewer().layers[regions.layer_box.currentText()]
    assert layer.mode == "add_rectangle"
    rows, columns = tiny.SIGNS[label]
    top, bottom = rows.start - 0.5, rows.stop - 0.5
    left, right = columns.start - 0.5, columns.stop - 0.5
    layer.add_rectangles([[top, left], [top, right], [bottom, right], [bottom, left]])
    mask = np.zeros((tiny.HEIGHT, tiny.WIDTH), bool)
    mask[rows, columns] = True
    return mask


def choose_layer(regions: Any, name: str) -> None:
    """Choose a layer as the region, as a person does."""
    regions.layer_box.setCurrentText(name)
    regions.layer_box.activated.emit(regions.layer_box.currentIndex())


def test_a_drawn_region_is_measured_for_all_labels(regions: Any, panels: Any, qtbot: Any) -> None:
    mask = draw_sign(regions, qtbot)
    drawn = regions.drawn_region()
    assert (drawn ^ mask).sum() <= 16  # the rim, of which a shape covers pixels in part
    with qtbot.waitSignal(regions.runner.succeeded, timeout=TIMEOUT):
        qtbot.mouseClick(regions.measure_button, Qt.MouseButton.LeftButton)
    run = panels.session.run
    assert [share.label for share in regions.numbers.shares] == list(run.labels)
    for share in regions.numbers.shares:
        maps = [np.abs(run.image_map(int(row), share.label)) for row in run.members(share.label)]
        expected = sum(image[drawn].sum() for image in maps) / sum(image.sum() for image in maps)
        assert share.share == pytest.approx(expected, rel=1e-3)
        assert share.area == drawn.mean()
    # Saliency of the linear model lies on the signs alone.
    assert regions.numbers.shares[0].share > 0.95
    assert regions.numbers.shares[1].share < 0.05
    times = regions.numbers.table.texts()[0][3]
    assert float(times) == pytest.approx(regions.numbers.shares[0].ratio, abs=0.05)
    assert f"{times} times its share" in regions.said.text()
    assert len(regions.numbers.image_table.texts()) == len(run.members("left"))


def test_what_is_painted_on_labels_is_measured_at_once(
    regions: Any, panels: Any, qtbot: Any
) -> None:
    labels = panels.viewer.add_labels(np.zeros((tiny.HEIGHT, tiny.WIDTH), np.uint8), name="Mine")
    choose_layer(regions, "Mine")
    rows, columns = tiny.SIGNS["left"]
    labels.brush_size = 6
    labels.paint(((rows.start + rows.stop) // 2, (columns.start + columns.stop) // 2), 1)
    qtbot.waitUntil(lambda: len(regions.numbers.shares) == 2, timeout=TIMEOUT)
    assert regions.numbers.shares[0].area == (labels.data > 0).mean()
    assert regions.numbers.shares[0].ratio > 5


def test_layers_of_somebody_elses_are_regions_once_they_are_chosen(
    regions: Any, panels: Any, qtbot: Any
) -> None:
    viewer, size = panels.viewer, (tiny.HEIGHT, tiny.WIDTH)
    cells = viewer.add_labels(np.ones((7, 9), np.uint8), name="Cells", scale=(2, 2))
    viewer.add_shapes([[[1, 1], [9, 9]]], shape_type="rectangle", name="Nuclei")
    slices = viewer.add_labels(np.ones((5, *size), np.uint8), name="Slices")
    # Offered by name, and nothing else, also where one is painted on, renamed or taken away.
    cells.paint((1, 1), 2)
    viewer.layers["Nuclei"].name = "Nuclei of cells"
    assert regions.regions.layer is None
    assert regions.layer_box.currentText() == "None chosen"
    assert regions.said.text().endswith(
        "or choose a layer at “Region”: “Cells”, “Nuclei of cells”, “Slices”."
    )
    regions.measure()
    qtbot.wait(400)
    assert not regions.runner.is_running
    assert not regions.numbers.shares
    # What is of something else is refused, what lies otherwise is read in a way that is told.
    choose_layer(regions, "Slices")
    qtbot.waitUntil(lambda: "of another stack than the run's 40 images" in regions.said.text())
    viewer.layers.remove(slices)
    assert regions.regions.layer is None
    choose_layer(regions, "Cells")
    qtbot.waitUntil(lambda: len(regions.numbers.shares) == 2, timeout=TIMEOUT)
    height, width = 14, 18
    assert regions.numbers.shares[0].area == pytest.approx(
        height * width / (size[0] * size[1]), abs=0.02
    )
    assert "“Cells” has another grid (7 × 9 pixels) than the frame" in regions.said.text()
    assert "it covers" in regions.said.text()
    # What is made here is the region at once, and a place takes nothing from a layer of its name.
    regions.new_region()
    assert regions.layer_box.currentText() == "Region"
    # Nor is one taken for it that was looked at before.
    viewer.layers.remove(regions.regions.layer)
    assert regions.regions.layer is None
    before = cells.data.copy()
    rim = np.zeros(size, bool)
    rim[0], rim[5, 5] = True, True
    rim[5, 7:9], rim[6, 7] = True, True
    drawn = draw_region(viewer, rim, "Cells", regions.layers.layer("images"))
    assert drawn is not cells
    np.testing.assert_array_equal(cells.data, before)


def test_a_region_kept_before_in_capitals_is_the_same(finished_run: Path, tmp_path: Path) -> None:
    import tifffile

    from napari_globalxai.runs.run import open_run
    from napari_globalxai.widgets.panels.regions.region_view import keep_region

    run = open_run(shutil.copytree(finished_run, tmp_path / "run"))
    region = np.zeros((tiny.HEIGHT, tiny.WIDTH), bool)
    region[3:6, 2:9] = True
    old = run.folder / "regions" / "Top-left-corner.tif"
    old.parent.mkdir()
    tifffile.imwrite(old, region.astype(np.uint8))
    assert keep_region(run, "Top left corner", region, [], {}) == old
    other = keep_region(run, "Top left corner", ~region, [], {})
    assert other.name == "top-left-corner-2.tif"
    assert read_json(other.with_suffix(".json"))["name"] == "Top left corner-2"


def test_erasing_the_sign_takes_the_gain(regions: Any, panels: Any, qtbot: Any) -> None:
    draw_sign(regions, qtbot)
    with qtbot.waitSignal(regions.eraser.succeeded, timeout=TIMEOUT):
        qtbot.mouseClick(regions.erase_button, Qt.MouseButton.LeftButton)
    effect = regions.numbers.effects["left"]
    assert effect.intact_auc == 1
    assert effect.erased_auc < 0.75
    assert effect.logit_change < 0
    assert regions.numbers.effects["right"].erased_auc > 0.95
    assert "of the gain over chance" in regions.said.text()
    # The label on show is the one that is spoken of, and a click on another shows it.
    regions.numbers.table.cellClicked.emit(1, 0)
    assert panels.session.map_name == "right"
    assert regions.said.text().startswith("right: ")


def test_what_erasing_found_is_kept_for_the_region(regions: Any, panels: Any, qtbot: Any) -> None:
    """Where its panel was closed meanwhile as well; it is not told of some of the images."""
    from napari_globalxai.widgets.workbench.open_panels import open_panel

    draw_sign(regions, qtbot)
    regions.erase()
    runner = regions.eraser
    panels.viewer.window.remove_dock_widget(regions)
    qtbot.waitUntil(lambda: not runner.is_running, timeout=TIMEOUT)
    again = open_panel(panels.viewer, "Regions")
    qtbot.waitUntil(lambda: "takes" in again.said.text(), timeout=TIMEOUT)
    assert again.numbers.effects["left"].erased_auc < 0.75
    panels.session.select(Selection("age > 70", tuple(range(21, 40))))
    qtbot.waitUntil(lambda: again.said.text().endswith("age > 70."), timeout=TIMEOUT)
    assert not again.numbers.effects
    assert "erasing" not in again.said.text()
    with qtbot.waitSignal(again.eraser.succeeded, timeout=TIMEOUT):
        again.erase()
    assert again.said.text().endswith("Of all images, not of those selected.")
    panels.session.select(None)
    qtbot.waitUntil(lambda: "images selected" not in again.said.text(), timeout=TIMEOUT)
    assert again.numbers.effects["left"].erased_auc < 0.75


def test_a_kept_region_is_read_by_the_audit(regions: Any, panels: Any, qtbot: Any) -> None:
    from napari_globalxai.images.labels_image import read_labels_image

    mask = draw_sign(regions, qtbot)
    drawn = regions.drawn_region()
    with qtbot.waitSignal(regions.runner.succeeded, timeout=TIMEOUT):
        regions.measure()
    regions.name_line.setText("lower corner!")
    qtbot.mouseClick(regions.keep_button, Qt.MouseButton.LeftButton)
    folder = panels.session.run.folder / "regions"
    path = folder / "lower-corner.tif"
    (read,) = read_labels_image(path, mask.shape).values()
    np.testing.assert_array_equal(read, drawn)
    facts = read_json(path.with_suffix(".json"))
    assert facts["name"] == "lower corner!"
    assert facts["labels"]["left"]["ratio"] == pytest.approx(regions.numbers.shares[0].ratio)
    # Another region of that name takes nothing from it; the same one is kept once.
    draw_sign(regions, qtbot, "right")
    for _ in range(2):
        regions.name_line.setText("lower corner!")
        qtbot.mouseClick(regions.keep_button, Qt.MouseButton.LeftButton)
    assert sorted(each.stem for each in folder.glob("*.tif")) == ["lower-corner", "lower-corner-2"]
    np.testing.assert_array_equal(next(iter(read_labels_image(path, mask.shape).values())), drawn)
    # It is drawn again from the list.
    regions.kept_box.setCurrentIndex(1)
    regions.kept_box.activated.emit(1)
    assert regions.layer_box.currentText() == "lower-corner"
    np.testing.assert_array_equal(regions.drawn_region(), drawn)


def test_where_there_is_nothing_to_measure_the_panel_says_so(regions: Any, qtbot: Any) -> None:
    regions.measure()
    assert "New region" in regions.said.text()
    regions.new_region()
    regions.measure()
    assert "covers no pixel" in regions.said.text()


def test_an_image_by_its_share_comes_into_view(regions: Any, panels: Any, qtbot: Any) -> None:
    draw_sign(regions, qtbot)
    with qtbot.waitSignal(regions.runner.succeeded, timeout=TIMEOUT):
        regions.measure()
    regions.numbers.image_table.cellClicked.emit(2, 0)
    assert panels.session.row == regions.numbers.image_rows[2]
    file = panels.session.run.images["file"][panels.session.row]
    assert regions.numbers.image_table.text(2, 0) == file


# Without a window.


def frame_layer(affine: np.ndarray | None = None) -> Image:
    layer = Image(np.zeros((4, 30, 40), np.uint8))
    if affine is not None:
        whole = np.eye(4)
        whole[-3:, -3:] = affine
        layer.affine = whole
    return layer


@pytest.mark.parametrize("turned", [False, True])
def test_shapes_are_pixels_of_the_frame_wherever_it_lies(turned: bool) -> None:
    # The frame lies mirrored and enlarged on a native image.
    affine = np.array([[2.0, 0, 5], [0, -2.0, 100], [0, 0, 1]]) if turned else np.eye(3)
    corners = np.array([[9.5, 4.5], [9.5, 14.5], [19.5, 14.5], [19.5, 4.5]])
    world = corners @ affine[:2, :2].T + affine[:2, 2]
    mask = region_mask(Shapes([world]), frame_layer(affine), (30, 40))
    expected = np.zeros((30, 40), bool)
    expected[10:20, 5:15] = True
    assert (mask ^ expected).sum() <= 20


@pytest.mark.parametrize("stacked", [False, True])
def test_labels_are_pixels_of_the_frame(stacked: bool) -> None:
    drawn = np.zeros((30, 40), np.uint8)
    drawn[3:9, 30:38] = 7
    data = np.stack([np.zeros_like(drawn), drawn]) if stacked else drawn
    mask = region_mask(Labels(data), frame_layer(), (30, 40))
    np.testing.assert_array_equal(mask, drawn > 0)


def test_labels_of_a_native_image_are_brought_to_the_frame() -> None:
    affine = np.array([[2.0, 0, 0], [0, 2.0, 0], [0, 0, 1]])
    drawn = np.zeros((60, 80), np.uint8)
    drawn[20:40, 10:30] = 1
    mask = region_mask(Labels(drawn), frame_layer(affine), (30, 40))
    expected = np.zeros((30, 40), bool)
    expected[10:20, 5:15] = True
    np.testing.assert_array_equal(mask, expected)


def test_what_lies_beside_the_frame_is_refused() -> None:
    far = Shapes([np.array([[200.0, 200], [200, 210], [210, 210], [210, 200]])], name="far")
    with pytest.raises(InputError, match="'far' covers no pixel"):
        region_mask(far, frame_layer(), (30, 40))


def test_zones_hold_the_mass_that_they_say() -> None:
    rng = np.random.default_rng(3)
    image = rng.random((20, 30)) ** 4
    zones = mass_zones(image)
    for number, share in ((1, 0.5), (2, 0.8)):
        inside = (zones > 0) & (zones <= number)
        held = image[inside].sum() / image.sum()
        # The smallest area: without its weakest pixel it would hold too little.
        assert share <= held < share + image[inside].min() / image.sum() + 1e-12
        assert image[inside].min() >= image[~inside].max()
    assert not mass_zones(np.zeros((4, 5))).any()


# Findings of an audit.


def test_a_table_without_findings_is_a_sentence(
    panels: Any, finished_run: Path, tmp_path: Path, qtbot: Any
) -> None:
    from napari_globalxai.storage import write_json
    from napari_globalxai.widgets.panels.regions.first_sight import first_sight
    from napari_globalxai.widgets.workbench.open_panels import open_panel

    folder = Path(shutil.copytree(finished_run, tmp_path / "run"))
    with qtbot.waitSignal(panels.explain.runner.succeeded, timeout=TIMEOUT):
        panels.explain.open_run(folder)
    assert first_sight(panels.session.run) == []
    regions = open_panel(panels.viewer, "Regions")
    said = regions.audit_view.said
    qtbot.waitUntil(lambda: "“Audit” searches everywhere" in said.text(), timeout=TIMEOUT)
    assert said.isVisibleTo(regions)
    assert not regions.findings.isVisibleTo(regions)
    # Nor before anything is measured.
    assert not regions.numbers.table.isVisibleTo(regions)
    assert not regions.numbers.image_table.isVisibleTo(regions)
    # Once somebody has searched.
    (folder / "audit").mkdir()
    write_json(folder / "audit" / "audit.json", {"findings": []})
    with qtbot.waitSignal(panels.explain.runner.succeeded, timeout=TIMEOUT):
        panels.explain.open_run(folder)
    qtbot.waitUntil(lambda: said.text().startswith("The audit found nothing"), timeout=TIMEOUT)


def test_an_audit_takes_the_place_of_the_first_look(
    panels: Any, finished_run: Path, tmp_path: Path, qtbot: Any
) -> None:
    """Also of those who asked elsewhere: the sentence above the maps told to audit from then on."""
    from napari_globalxai.storage import write_json

    folder = Path(shutil.copytree(finished_run, tmp_path / "run"))
    with qtbot.waitSignal(panels.explain.runner.succeeded, timeout=TIMEOUT):
        panels.explain.open_run(folder)
    stands_out = panels.explain.stands_out
    assert not stands_out.isVisibleTo(panels.explain)
    finding = {"label": "right", "kind": "outside-field", "where": "corner-top-left", "effect": 9,
               "query": "age > 70", "p": 0.004, "sentence": "right: a corner."}  # fmt: skip
    (folder / "audit").mkdir()
    write_json(folder / "audit" / "audit.json", {"findings": [finding]})
    panels.session.answered.emit()
    qtbot.waitUntil(lambda: stands_out.said.text() == "⚑ right: a corner.", timeout=TIMEOUT)
    assert stands_out.isVisibleTo(panels.explain)


@pytest.mark.parametrize(
    ("kind", "among"),
    [("outside-field", "all"), ("region", "all"), ("cluster", "cluster of 21"),
     ("subgroup", "mark == 1")],
)  # fmt: skip
def test_a_finding_is_among_the_images_that_its_numbers_are_of(kind: str, among: str) -> None:
    """Of places and clusters, the query is what goes with them."""
    from napari_globalxai.widgets.panels.regions.findings_view import ShownFinding

    assert ShownFinding({"kind": kind, "query": "mark == 1", "images": 21}, None).among == among


def test_a_finding_shows_its_map_images_and_place(
    panels: Any, finished_run: Path, tmp_path: Path, qtbot: Any
) -> None:
    from napari_globalxai.storage import write_json
    from napari_globalxai.widgets.workbench.open_panels import open_panel

    folder = Path(shutil.copytree(finished_run, tmp_path / "run"))
    finding = {
        "label": "right", "kind": "subgroup", "where": "corner-top-left", "query": "age > 70",
        "effect": 7.25, "p": 0.004, "shown": [{"row": 23, "file": "images/023.png", "share": 0.5}],
        "sentence": "right: where age > 70, the top left corner holds 7.2 times its share.",
    }  # fmt: skip
    (folder / "audit").mkdir()
    write_json(folder / "audit" / "audit.json", {"findings": [finding]})
    with qtbot.waitSignal(panels.explain.runner.succeeded, timeout=TIMEOUT):
        panels.explain.open_run(folder)
    regions = open_panel(panels.viewer, "Regions")
    qtbot.waitUntil(lambda: bool(regions.findings.texts()), timeout=TIMEOUT)
    assert regions.findings.texts() == [["right", "Top left corner", "age > 70", "7.2", "0.004"]]
    regions.findings.cellClicked.emit(0, 0)
    session = panels.session
    assert session.map_name == "right"
    # What draws the window and fills tables again has turns of its own.
    assert session.selection is None
    assert session.row != 23
    qtbot.waitUntil(lambda: TURNS.is_idle)
    assert session.row == 23
    assert session.selection.where == "age > 70"
    assert regions.said.text() == finding["sentence"]
    layer = panels.viewer.layers["Top left corner"]
    (corner,) = layer.data
    np.testing.assert_array_equal(corner.min(axis=0), [-0.5, -0.5])
    assert (corner.max(axis=0) < np.array(session.view.valid.shape) / 4).all()
    # A rectangle, beside which others can be drawn, as napari's buttons say.
    assert layer.mode == "add_rectangle"
    controls = panels.viewer.window._qt_viewer.controls.widgets[layer]
    assert controls.rectangle_button.isChecked()
    assert regions.layer_box.currentText() == "Top left corner"
    # It is measured at once, and what was found of it stays in view.
    qtbot.waitUntil(lambda: bool(regions.numbers.shares), timeout=TIMEOUT)
    assert {share.label for share in regions.numbers.shares} == {"left", "right"}
    assert regions.said.text() == finding["sentence"]
    session.choose_map("left")
    assert regions.said.text().startswith("left: ")


def test_numbers_are_of_the_layer_and_run_on_show(
    regions: Any, panels: Any, finished_run: Path, tmp_path: Path, qtbot: Any
) -> None:
    draw_sign(regions, qtbot)
    qtbot.waitUntil(lambda: len(regions.numbers.shares) == 2, timeout=TIMEOUT)
    first = regions.regions.layer
    # Renamed by hand, it is the same; a second one has its own numbers and its own name.
    first.name = "mine"
    assert regions.layer_box.currentText() == "mine"
    regions.name_line.setText("a name for the first")
    draw_sign(regions, qtbot, "right")
    assert regions.name_line.text() == ""
    qtbot.waitUntil(lambda: len(regions.numbers.shares) == 2, timeout=TIMEOUT)
    assert regions.numbers.shares[1].share > 0.95
    # Taken away, its numbers go; those of the one that is left come.
    panels.viewer.layers.remove(regions.regions.layer)
    assert regions.numbers.shares == []
    assert regions.regions.layer is first
    qtbot.waitUntil(lambda: len(regions.numbers.shares) == 2, timeout=TIMEOUT)
    assert regions.numbers.shares[0].share > 0.95
    # What was asked of a run does not come under the header of another.
    other = Path(shutil.copytree(finished_run, tmp_path / "other"))
    regions.measure()
    regions.erase()
    with qtbot.waitSignal(panels.explain.runner.succeeded, timeout=TIMEOUT):
        panels.explain.open_run(other)
    qtbot.waitUntil(lambda: not (regions.runner.is_running or regions.eraser.is_running))
    qtbot.wait(50)
    assert regions.numbers.effects == {}
    assert regions.numbers.table.texts() == [] or regions.numbers.shares


def test_numbers_follow_the_selection_and_name_it(regions: Any, panels: Any, qtbot: Any) -> None:
    draw_sign(regions, qtbot)
    qtbot.waitUntil(lambda: len(regions.numbers.shares) == 2, timeout=TIMEOUT)
    everybody = regions.numbers.shares[0].rows
    assert "selected" not in regions.said.text()
    panels.session.select(Selection("age > 70", tuple(range(21, 40))))
    qtbot.waitUntil(
        lambda: regions.said.text().endswith("Of the images selected: age > 70."), timeout=TIMEOUT
    )
    assert regions.numbers.shares[0].rows.tolist() == [row for row in everybody if row >= 21]
    regions.keep()
    kept = read_json(panels.session.run.folder / "regions" / "region.json")
    assert kept["where"] == "age > 70"
    rows = drawn_chapter(panels.session.run.folder).tables[0].rows
    assert rows[0][0] == "Region, of images with age > 70"
    panels.session.select(None)
    qtbot.waitUntil(lambda: "selected" not in regions.said.text(), timeout=TIMEOUT)
    assert regions.numbers.shares[0].rows.tolist() == everybody.tolist()


def test_the_report_tells_of_what_was_measured(regions: Any, panels: Any, qtbot: Any) -> None:
    from napari_globalxai.report.chapters import collect_chapters

    draw_sign(regions, qtbot)
    with qtbot.waitSignal(regions.eraser.succeeded, timeout=TIMEOUT):
        regions.erase()
    kept: list[Any] = []
    panels.explain.write_report = lambda: kept.append(collect_chapters(panels.session.run))
    qtbot.mouseClick(regions.report_button, Qt.MouseButton.LeftButton)
    (table,) = kept[0]["drawn"].tables
    assert [row[:2] for row in table.rows] == [["Region", "left"], ["Region", "right"]]
    effect = regions.numbers.effects["left"]
    assert [float(row) for row in table.rows[0][5:7]] == pytest.approx(
        [effect.intact_auc, effect.erased_auc], abs=0.001
    )
    # In the panel, too.
    answers = panels.explain.answers
    answers.expand()
    qtbot.waitUntil(lambda: answers.box.findData("drawn") >= 0, timeout=TIMEOUT)


def test_places_that_are_known_are_taken_as_regions(regions: Any, panels: Any, qtbot: Any) -> None:
    from napari_globalxai.audit.places import find_places

    box, run = regions.places.box, panels.session.run
    known = find_places(run, None).regions
    assert box.count() == 1
    # Asked for by a click or a key, found in a worker.
    box.activated.emit(0)
    qtbot.waitUntil(lambda: box.count() == 1 + len(known), timeout=TIMEOUT)
    # As the command line calls them, and in words for people.
    assert [box.itemData(at) for at in range(1, box.count())] == list(known)
    assert not any("-" in box.itemText(at) for at in range(1, box.count()))
    # Of rectangles, and of pixels.
    for name, kind in (("corner-top-left", Shapes), ("rim", Labels)):
        box.setCurrentIndex(box.findData(name))
        with qtbot.waitSignal(regions.runner.succeeded, timeout=TIMEOUT):
            box.activated.emit(box.currentIndex())
        layer = panels.viewer.layers[regions.layer_box.currentText()]
        assert isinstance(layer, kind)
        np.testing.assert_array_equal(regions.drawn_region(), known[name])
        assert regions.numbers.shares[0].area == known[name].mean()
        assert "changed" not in layer.name
        # Drawn on, it is no more what it is called.
        before = layer.name
        with qtbot.waitSignal(regions.runner.succeeded, timeout=TIMEOUT):
            if kind is Shapes:
                layer.add_rectangles([[20, 30], [25, 36]])
            else:
                layer.paint((12, 20), 1)
        assert regions.layer_box.currentText() == layer.name == f"{before}, changed"
    # Another run has others.
    regions.places.show_run(run)
    assert box.count() == 1
