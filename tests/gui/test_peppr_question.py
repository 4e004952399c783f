"""Maps compared, regions, the published protocol: asked from the panel, answered as by command."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile
from cut_text import not_readable
from napari.settings import get_settings
from qtpy.QtCore import Qt

import napari_globalxai as gx
from napari_globalxai import cli
from napari_globalxai.runs.peppr.compare_maps import compare_maps
from napari_globalxai.runs.peppr.evaluate_otherwise import peppr_as_published
from napari_globalxai.runs.peppr.evaluate_regions import peppr_regions
from napari_globalxai.widgets.jobs.event_turns import TURNS
from napari_globalxai.widgets.panels.peppr.further_reading import map_of
from napari_globalxai.widgets.session.run_view import open_view
from napari_globalxai.widgets.workbench.open_panels import open_panel

pytestmark = pytest.mark.gui

TIMEOUT = 60_000
STEPS, MANY = 6, 80
CORNER = (slice(0, 8), slice(0, 10))


@pytest.fixture
def own(panels: Any, finished_run: Path, tmp_path: Path, qtbot: Any) -> Any:
    """Panels in a window, on a run that holds a region, with this part unfolded by a click."""
    run = gx.open_run(shutil.copytree(finished_run, tmp_path / "run"))
    corner = np.zeros(run.stack.shape, np.uint8)
    corner[CORNER] = 1
    (run.folder / "regions").mkdir()
    tifffile.imwrite(run.folder / "regions" / "corner.tif", corner)
    shutil.copytree(run.folder, tmp_path / "second")
    shutil.copytree(run.folder, tmp_path / "by command")
    with qtbot.waitSignal(panels.explain.runner.succeeded, timeout=TIMEOUT):
        panels.explain.open_run(run.folder)
    panels.viewer.window.show()
    panels.viewer.window.resize(1200, 900)
    panels.peppr.bring_forward()
    qtbot.waitUntil(lambda: TURNS.is_idle, timeout=TIMEOUT)
    view = panels.peppr.otherwise
    assert not view.isExpanded()
    qtbot.mouseClick(view.button, Qt.MouseButton.LeftButton)
    panels.peppr.steps_box.setValue(STEPS)
    return panels


def choose(form: Any, qtbot: Any, maps: str = "", run: Path | None = None, **boxes: str) -> None:
    """Choose by the space bar and in the boxes, and nothing else."""
    form.against.tick(())
    if run is not None:
        form.add_run(run)
    names, wanted = form.maps.names(), set(maps.split())
    form.maps.setFocus()
    for row, name in enumerate(names):
        form.maps.setCurrentRow(row)
        if (name in form.maps.ticked()) != (name in wanted):
            qtbot.keyClick(form.maps, Qt.Key.Key_Space)
    form.regions_box.setCurrentText(boxes.get("regions", "None"))
    form.protocol_box.setCurrentText(boxes.get("protocol", "with-controls"))


def start(view: Any, qtbot: Any) -> None:
    with qtbot.waitSignal(view.runner.succeeded, timeout=TIMEOUT):
        view.start_button.click()
    qtbot.waitUntil(lambda: TURNS.is_idle, timeout=TIMEOUT)


def answers(run: Path, stem: str) -> tuple[bytes, Any]:
    """The two files of an answer, but for where the run lies."""
    told = json.loads((run / "peppr" / f"{stem}.json").read_text())
    told["settings"].pop("runs", None)
    for settings in (told["settings"], *(each["settings"] for each in told.get("tests", ()))):
        if "file" in settings:
            settings["file"] = Path(settings["file"]).relative_to(run).as_posix()
    return (run / "peppr" / f"{stem}.csv").read_bytes(), told


def test_what_is_chosen_is_said_and_what_does_not_go_together(own: Any, qtbot: Any) -> None:
    view, form = own.peppr.otherwise, own.peppr.otherwise.form
    second = own.session.run.folder.with_name("second")
    assert form.maps.names() == ["overall", "left", "right"]
    assert not form.against.isVisibleTo(view)
    for chosen, words, can_start in (
        ({}, "Tick two maps or more", False),
        ({"maps": "left"}, "One map alone is tested by “Run PEPPR”", False),
        ({"maps": "left right"}, "Compares left and right of this run:", True),
        ({"run": second}, "Compares overall of this run and second:", True),
        ({"regions": "corner"}, "Keeps and erases corner in the whole frame", True),
        ({"regions": "corner", "maps": "left"}, "the AUC of left,", True),
        ({"protocol": "paper"}, "neither controls nor folds nor verdict", True),
        ({"protocol": "paper", "maps": "overall"}, "neither controls", True),
        ({"protocol": "paper", "maps": "left"}, "⚠ “Protocol”: the published one runs", False),
        ({"protocol": "paper", "run": second}, "leave “Against” out", False),
        ({"regions": "corner", "run": second}, "⚠ “Regions”: are those of this run", False),
        ({"regions": "corner", "maps": "left right"}, "⚠ “Maps”: several maps", False),
    ):
        choose(form, qtbot, **chosen)
        assert words in view.said.text(), chosen
        assert "--" not in view.said.text()
        assert view.start_button.isEnabled() == can_start
    view.start()
    assert not view.runner.is_running
    # Of several fills these take the first, as the command does; regions take all.
    for chosen, is_said in (({"regions": "corner"}, False), ({"maps": "left right"}, True)):
        choose(form, qtbot, **chosen)
        own.peppr.form.fills.put(("black", "blur"))
        assert ("Of the fills, black alone is taken here." in view.said.text()) == is_said
    own.peppr.form.fills.put(("mean-image",))
    assert "black" not in view.said.text()
    appearance = get_settings().appearance
    before, appearance.font_size = appearance.font_size, 16
    window = own.viewer.window._qt_window
    # Until napari's lists have moved, if they do.
    qtbot.wait(800)
    window.resizeDocks([own.peppr.dock()], [280], Qt.Orientation.Horizontal)
    qtbot.wait(300)
    assert not_readable(own.peppr) == []
    appearance.font_size = before
    # The run itself is none to compare with.
    form.add_run(own.session.run.folder / "run.json")
    assert form.against.names() == [str(second)]
    # Another run has other maps, and nothing is chosen of it.
    with qtbot.waitSignal(own.explain.runner.succeeded, timeout=TIMEOUT):
        own.explain.open_run(second)
    assert form.maps.ticked() == form.against.names() == []


def test_every_question_has_the_answer_of_its_command(own: Any, tmp_path: Path, qtbot: Any) -> None:
    peppr, session = own.peppr, own.session
    view, form, further = peppr.otherwise, peppr.otherwise.form, peppr.further
    run, other = tmp_path / "run", gx.open_run(tmp_path / "by command")
    second, file = tmp_path / "second", other.folder / "regions" / "corner.tif"
    image = np.roll(session.run.maps["left"], 9, axis=1)
    tifffile.imwrite(tmp_path / "moved.tif", image)
    moved = str(tmp_path / "moved.tif")
    asked: tuple[tuple[dict[str, Any], str, Callable[[], object]], ...] = (
        (
            {"maps": f"left right {moved}"},
            "compared",
            lambda: compare_maps(other, ["left", "right", moved], steps=STEPS),
        ),
        (
            {"maps": "left", "run": second},
            "compared",
            # The names of maps hold that of the run's folder.
            lambda: compare_maps(run, ["left"], against=[second], steps=STEPS),
        ),
        (
            {"maps": "right", "regions": "corner"},
            "regions",
            lambda: peppr_regions(other, file, "right", steps=STEPS),
        ),
        ({"regions": "corner"}, "regions", lambda: peppr_regions(other, file, steps=STEPS)),
        ({"protocol": "paper"}, "overall.paper", lambda: peppr_as_published(other, steps=STEPS)),
    )
    form.add_map(tmp_path / "moved.tif")
    further.ensure_made()
    for chosen, stem, command in asked:
        choose(form, qtbot, **chosen)
        start(view, qtbot)
        kept = answers(run, stem)
        command()
        assert kept == answers(run if "run" in chosen else other.folder, stem)
        if stem == "compared" and "run" not in chosen:
            assert (run / "figures" / "peppr_comparison.svg").is_file()
            qtbot.waitUntil(lambda: len(further.pairs.texts()) == 6, timeout=TIMEOUT)
            told = kept[1]
            assert [line[:2] for line in further.maps.texts()] == [
                [each["name"], each["label"]] for each in told["maps"]
            ]
            assert told["sentences"][0][1:] in further.words("pairs")
    assert further.isExpanded()
    # The curves of the published protocol, with the scrubber along them.
    qtbot.waitUntil(lambda: type(session.result).__name__ == "PublishedResult", timeout=TIMEOUT)
    qtbot.waitUntil(lambda: not peppr.plot.is_drawing and TURNS.is_idle, timeout=TIMEOUT)
    assert peppr.map_box.currentText() == session.map_name == "overall"
    assert peppr.badge.text() == "not judged"
    assert "judges nothing" in peppr.reason.text()
    told = answers(run, "overall.paper")[1]["labels"]
    labels = [peppr.label_box.itemText(at) for at in range(peppr.label_box.count())]
    assert labels == list(told)
    drawn = {line.get_label(): line for line in peppr.plot.curves_axes.get_lines()}
    x, y = drawn["Restored along the map"].get_data()
    area = told[peppr.label_box.currentText()]["area_restore"]
    assert np.trapezoid(y, np.asarray(x) / 100) == pytest.approx(area)
    session.scrub(0.25, "restore")
    kept_pixels = np.sort(session.run.maps["overall"][session.run.valid])[::-1]
    shown = own.explain.layers.layer("area").data > 0
    assert shown.sum() == round(0.25 * len(kept_pixels))
    assert session.run.maps["overall"][shown].min() >= kept_pixels[shown.sum() - 1]
    # A click on a line shows its map, or its region as a layer.
    further.pairs.setCurrentCell(0, 0)
    assert session.map_name == "left"
    further.regions.setCurrentCell(0, 0)
    assert "Erasing corner takes the AUC of" in further.words("regions")
    name = "Tested region: corner"
    qtbot.waitUntil(lambda: name in own.layer_names(), timeout=TIMEOUT)
    expected = np.zeros(session.run.stack.shape, bool)
    expected[CORNER] = True
    layer = own.viewer.layers[name]
    found = layer.to_labels(labels_shape=expected.shape) if hasattr(layer, "to_labels") else 0
    np.testing.assert_array_equal(found > 0, expected)
    # What cannot be read is named.
    (run / "peppr" / "compared.json").write_text("{}")
    further.show_run(session.run)
    qtbot.waitUntil(lambda: "compared.json" in further.said.text(), timeout=TIMEOUT)
    assert further.maps.texts() == []
    assert further.regions.texts()


def test_a_line_of_another_run_shows_no_map_of_this_one() -> None:
    runs = {"run": "/a/run", "second": "/b/second"}
    assert map_of("run:left", runs) == "left"
    assert map_of("second:left", runs) == ""
    assert map_of("left", {"run": "/a/run"}) == "left"


def test_a_place_is_kept_as_a_region_and_tested(own: Any, tmp_path: Path, qtbot: Any) -> None:
    view, form, run = own.peppr.otherwise, own.peppr.otherwise.form, own.session.run
    place = np.zeros(run.stack.shape, bool)
    place[-6:, -6:] = True
    form.places.chosen.emit("Lower right corner", place)
    assert "Keeps and erases Lower right corner" in view.said.text()
    assert not (run.folder / "regions" / "lower-right-corner.tif").exists()
    start(view, qtbot)
    file = run.folder / "regions" / "lower-right-corner.tif"
    assert (tifffile.imread(file) > 0).tolist() == place.tolist()

    def listed() -> list[str]:
        return [form.regions_box.itemText(at) for at in range(form.regions_box.count())]

    # It is listed once: as the file that the run keeps it in, which is chosen in its place.
    expected = ["None", "corner", "lower-right-corner", "File…"]
    qtbot.waitUntil(lambda: listed() == expected, timeout=TIMEOUT)
    assert form.regions_box.currentText() == "lower-right-corner"
    assert form.question().regions == file
    assert form.place is None
    assert "Keeps and erases lower-right-corner" in view.said.text()
    # Taken again, and in a window that is opened later, too.
    for _ in range(2):
        form.places.chosen.emit("Lower right corner", place)
        qtbot.waitUntil(lambda: listed() == expected, timeout=TIMEOUT)
        assert form.regions_box.currentText() == "lower-right-corner"
        form.show_run(run)
    # Another place of that name is another one.
    form.places.chosen.emit("Lower right corner", ~place)
    assert form.place is not None
    qtbot.waitUntil(lambda: not form._reads.is_running and TURNS.is_idle, timeout=TIMEOUT)
    assert listed() == [*expected[:-1], "Lower right corner", "File…"]
    assert form.regions_box.currentText() == "Lower right corner"
    qtbot.waitUntil(own.peppr.further.isExpanded, timeout=TIMEOUT)
    further = own.peppr.further.regions
    assert {line[1] for line in further.texts()} == {"lower-right-corner"}
    # The next region does not take its place.
    form.regions_box.setCurrentText("corner")
    start(view, qtbot)
    both = {"lower-right-corner", "corner"}
    qtbot.waitUntil(lambda: {line[1] for line in further.texts()} == both, timeout=TIMEOUT)


def test_cancelled_it_goes_on_by_command_and_is_shown(
    own: Any, tmp_path: Path, qtbot: Any, stops_at: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    view, runner, run = own.peppr.otherwise, own.peppr.otherwise.runner, tmp_path / "run"
    choose(view.form, qtbot, "left right")
    own.peppr.steps_box.setValue(MANY)
    # Along the second map, of which nothing is put by yet.
    stops_at(runner, view.job_bar.cancel_button, lambda progress: "along right" in progress.stage)
    with qtbot.waitSignal(runner.cancelled, timeout=TIMEOUT):
        view.start_button.click()
        assert not view.start_button.isEnabled()
    assert "Stopped" in view.job_bar.status.text()
    assert not list(run.glob("peppr/compared*"))
    assert not list(run.glob(".*"))
    kept = {path: path.stat().st_mtime_ns for path in run.glob("peppr/controls/*-course.npy")}
    command = ["peppr", str(run), "--map", "left", "--map", "right", "--steps", str(MANY)]
    monkeypatch.setattr("sys.argv", ["napari-globalxai", *command])
    with pytest.raises(SystemExit) as end:
        cli.main()
    assert not end.value.code
    assert kept == {path: path.stat().st_mtime_ns for path in kept}
    # A panel that is opened now lists it.
    own.viewer.window.remove_dock_widget(own.peppr.dock())
    again = open_panel(own.viewer, "PEPPR")
    qtbot.waitUntil(lambda: TURNS.is_idle, timeout=TIMEOUT)
    again.further.expand()
    qtbot.waitUntil(lambda: len(again.further.pairs.texts()) == 2, timeout=TIMEOUT)
    assert again.otherwise.runner is runner


def test_a_region_that_is_cancelled_goes_on_in_panel_and_command(
    own: Any, tmp_path: Path, qtbot: Any, stops_at: Any
) -> None:
    view, runner, run = own.peppr.otherwise, own.peppr.otherwise.runner, tmp_path / "run"
    other = gx.open_run(tmp_path / "by command")
    own.peppr.more_form.fields["batch_size"].setValue(4)
    choose(view.form, qtbot, regions="corner")
    stopped: list[Any] = []

    def is_there(progress: Any) -> bool:
        # Only once: it is started again below.
        if not stopped and any(run.glob("peppr/controls/*-masks.npy")):
            stopped.append(progress)
        return any(each is progress for each in stopped)

    stops_at(runner, view.job_bar.cancel_button, is_there)
    with qtbot.waitSignal(runner.cancelled, timeout=TIMEOUT):
        view.start_button.click()
    assert "What was predicted is kept" in view.job_bar.status.text()
    assert not list(run.glob("peppr/regions*"))
    kept = {path: path.stat().st_mtime_ns for path in run.glob("peppr/controls/*-masks.npy")}
    assert kept
    # A command goes on from a copy of it, the panel from the run itself.
    shutil.copytree(run, tmp_path / "gone on")
    peppr_regions(
        tmp_path / "gone on", tmp_path / "gone on/regions/corner.tif", steps=STEPS, batch_size=4
    )
    start(view, qtbot)
    assert kept == {path: path.stat().st_mtime_ns for path in kept}
    whole = list(run.glob("peppr/controls/*-masks.npy"))
    assert len(whole) > len(kept)
    peppr_regions(other, other.folder / "regions" / "corner.tif", steps=STEPS, batch_size=4)
    own_answer = answers(run, "regions")
    assert own_answer == answers(other.folder, "regions")
    assert own_answer == answers(tmp_path / "gone on", "regions")


def test_an_answer_is_told_only_of_the_run_on_show(own: Any, tmp_path: Path, qtbot: Any) -> None:
    view, said, run = own.peppr.otherwise, own.peppr.otherwise.job_bar.status, own.session.run
    choose(view.form, qtbot, regions="corner")
    start(view, qtbot)
    assert said.text().startswith("Erasing corner takes the AUC of")
    shutil.rmtree(run.folder / "peppr")
    with qtbot.waitSignal(view.runner.succeeded, timeout=TIMEOUT):
        view.start_button.click()
        own.session.open(open_view(tmp_path / "second", lambda report: None))
    assert said.text() == "run: the test is done, and kept in that run."
    assert list(run.folder.glob("peppr/*.csv"))
    own.session.open(open_view(run.folder, lambda report: None))
    assert not said.text()
    # Nothing is written where it lay.
    view.form.places.chosen.emit("Rim", np.ones(run.stack.shape, bool))
    run.folder.rename(tmp_path / "elsewhere")
    with qtbot.waitSignal(view.runner.failed, timeout=TIMEOUT):
        view.start_button.click()
    assert said.text() == f"{run.folder}: is not there any more; open the run where it lies now."
    assert not run.folder.exists()
