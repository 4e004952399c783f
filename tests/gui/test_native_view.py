"""The image in view in the pixels of its file, in a real viewer."""

from __future__ import annotations

import inspect
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tiny
from PIL import Image

pytestmark = pytest.mark.gui

TIMEOUT = 60_000
LEFT, RIGHT, TURNED, WIDE, GONE = range(5)
TIMES = 6
HOME = np.eye(3)


@pytest.fixture(scope="session")
def native_run(inputs: Any, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Five images that all carry the sign `left`: two eyes, one lying on its side, one wider."""
    from napari_globalxai import explain

    folder = tmp_path_factory.mktemp("native")
    image = np.full((tiny.HEIGHT, tiny.WIDTH, 3), 70, np.uint8)
    image[tiny.SIGNS["left"]] = 200
    image = image.repeat(TIMES, 0).repeat(TIMES, 1)
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.fromarray(image).save(folder / "left.png")
    Image.fromarray(image[:, ::-1]).save(folder / "right.png")
    Image.fromarray(np.rot90(image)).save(folder / "turned.png", exif=exif)
    Image.fromarray(image.repeat(2, 1)).save(folder / "wide.png")
    names = [f"{name},{side},1,0" for name, side in zip(
        ("left.png", "right.png", "turned.png", "wide.png", "gone.png"), "LRLLL", strict=True
    )]  # fmt: skip
    (folder / "cohort.csv").write_text("\n".join(["filename,LR,left,right", *names]) + "\n")
    explain(folder / "cohort.csv", inputs.model, folder / "run", "saliency")
    return folder


@pytest.fixture
def native(panels: Any, native_run: Path, qtbot: Any) -> Any:
    """Panels with the run open and its left image in native pixels."""
    with qtbot.waitSignal(panels.explain.runner.succeeded, timeout=TIMEOUT):
        panels.explain.open_run(native_run / "run")
    panels.viewer.dims.set_current_step(0, LEFT)
    panels.explain.native_box.click()
    wait_for(panels, LEFT, qtbot)
    return panels


def wait_for(panels: Any, row: int, qtbot: Any) -> None:
    expected = panels.session.run.native_image(row)

    def is_shown() -> bool:
        layer = panels.explain.layers.layer("native")
        return layer is not None and layer.visible and np.array_equal(layer.data, expected)

    qtbot.waitUntil(is_shown, timeout=TIMEOUT)


def fits_the_view(panels: Any) -> bool:
    """Whether the camera shows the frame, all of it and nothing else; native or not."""
    if "layers" not in inspect.signature(panels.viewer.reset_view).parameters:
        pytest.skip("the oldest napari cannot be asked how it would fit one layer")
    camera = panels.viewer.scene.camera
    found = [*camera.center, camera.zoom]
    panels.viewer.reset_view(layers=[panels.explain.layers.layer("images")])
    return bool(np.allclose(found, [*camera.center, camera.zoom]))


def test_map_and_attribution_lie_on_the_native_image(native: Any, qtbot: Any) -> None:
    explain, session, viewer = native.explain, native.session, native.viewer
    session.choose_map("left")
    explain.attribution_box.setChecked(True)
    qtbot.waitUntil(lambda: explain.layers.layer("attribution") is not None, timeout=TIMEOUT)
    explain.layers.set_visible("attribution", True)
    for row in (LEFT, RIGHT, TURNED, WIDE):
        viewer.dims.set_current_step(0, row)
        wait_for(native, row, qtbot)
        photograph = explain.layers.layer("native")
        for role in ("global map", "attribution"):
            layer = explain.layers.layer(role)
            assert layer.interpolation2d == "linear"
            # The four corners of the sign, and what lies just outside.
            for place, bright in (((10, 8), 1), ((17, 15), 1), ((9, 8), 0), ((17, 16), 0)):
                world = layer.data_to_world(place)
                assert (photograph.get_value(world, world=True)[0] > 150) == bright
                np.testing.assert_allclose(
                    world, session.run.placements[row].affine[:2] @ (*place, 1), atol=1e-6
                )
                # What the status bar says of the map under the mouse.
                assert layer.get_value(world, world=True) == layer.data[place]
        assert fits_the_view(native)


def test_switching_off_brings_the_stack_back(native: Any, qtbot: Any) -> None:
    explain, viewer = native.explain, native.viewer
    viewer.dims.set_current_step(0, RIGHT)
    wait_for(native, RIGHT, qtbot)
    assert "right side, patient" in explain.image_panel.title.text()
    assert explain.image_panel.title.text().endswith(
        "288\N{NO-BREAK SPACE}×\N{NO-BREAK SPACE}192 pixels"
    )
    explain.native_box.click()
    assert explain.layers.layer("native") is None
    assert "right side, mirrored" in explain.image_panel.title.text()
    for role in ("images", "global map"):
        layer = explain.layers.layer(role)
        np.testing.assert_array_equal(layer.affine.affine_matrix[-3:, -3:], HOME)
    assert explain.layers.layer("global map").interpolation2d == "nearest"
    assert fits_the_view(native)
    viewer.dims.set_current_step(0, LEFT)
    assert native.session.row == LEFT


def test_layers_that_come_later_lie_right_too(native: Any, qtbot: Any) -> None:
    explain, session, viewer = native.explain, native.session, native.viewer
    viewer.dims.set_current_step(0, TURNED)
    wait_for(native, TURNED, qtbot)
    viewer.layers.remove(explain.layers.layer("global map"))
    session.choose_map("right")
    np.testing.assert_array_equal(
        explain.layers.layer("global map").affine.affine_matrix,
        session.run.placements[TURNED].affine,
    )
    names = native.layer_names()
    assert names.index("Images") < names.index("Native image") < names.index("Global map: right")


def test_the_stack_stands_in_until_the_file_is_read(native: Any, qtbot: Any) -> None:
    explain, viewer = native.explain, native.viewer
    viewer.dims.set_current_step(0, RIGHT)
    # Nothing was waited for: the frame lies where the photograph will.
    assert not explain.layers.layer("native").visible
    affine = explain.layers.layer("images").affine.affine_matrix
    np.testing.assert_array_equal(affine[1:, 1:], native.session.run.placements[RIGHT].affine)
    np.testing.assert_array_equal(affine[0], (1, 0, 0, 0))
    wait_for(native, RIGHT, qtbot)


def test_an_image_of_the_same_size_keeps_the_view(native: Any, qtbot: Any) -> None:
    viewer = native.viewer
    viewer.scene.camera.zoom, viewer.scene.camera.center = 9.0, (0, 100, 120)
    viewer.dims.set_current_step(0, RIGHT)
    wait_for(native, RIGHT, qtbot)
    assert viewer.scene.camera.zoom == 9
    assert tuple(viewer.scene.camera.center[-2:]) == (100, 120)
    viewer.dims.set_current_step(0, TURNED)
    wait_for(native, TURNED, qtbot)
    assert fits_the_view(native)


def test_a_failed_image_shows_nothing_and_the_next_one_is_native_again(
    native: Any, qtbot: Any
) -> None:
    explain = native.explain
    native.viewer.dims.set_current_step(0, GONE)
    assert not explain.layers.layer("native").visible
    assert "Failed: gone.png" in explain.image_panel.title.text()
    assert explain.native_box.isChecked()
    native.viewer.dims.set_current_step(0, WIDE)
    wait_for(native, WIDE, qtbot)


def test_a_file_that_moved_is_one_sentence_and_the_stack_stays(
    panels: Any, native_run: Path, tmp_path: Path, qtbot: Any, notifications: list[Any]
) -> None:
    explain = panels.explain
    shutil.copytree(native_run / "run", tmp_path / "run")
    table = tmp_path / "run" / "images.csv"
    table.write_text(table.read_text().replace(str(native_run / "left.png"), "/moved/left.png"))
    with qtbot.waitSignal(explain.runner.succeeded, timeout=TIMEOUT):
        explain.open_run(tmp_path / "run")
    panels.viewer.dims.set_current_step(0, LEFT)
    explain.native_box.click()
    qtbot.waitUntil(lambda: not explain.native_box.isChecked(), timeout=TIMEOUT)
    sentence = explain.moved_images.said.text().removeprefix("⚠ ")
    assert sentence.startswith("/moved/left.png: is not there any more")
    assert [str(shown.message) for shown in notifications] == [sentence]
    assert not panels.session.native
    assert explain.layers.layer("native") is None
    assert fits_the_view(panels)
    # The others are still there.
    panels.viewer.dims.set_current_step(0, RIGHT)
    explain.native_box.click()
    wait_for(panels, RIGHT, qtbot)


def test_another_run_opens_in_its_frame(native: Any, finished_run: Path, qtbot: Any) -> None:
    with qtbot.waitSignal(native.explain.runner.succeeded, timeout=TIMEOUT):
        native.explain.open_run(finished_run)
    assert not native.explain.native_box.isChecked()
    assert native.explain.layers.layer("native") is None
    layer = native.explain.layers.layer("global map")
    np.testing.assert_array_equal(layer.affine.affine_matrix, HOME)


def test_what_the_model_saw_lies_beside_the_native_image(opened: Any, qtbot: Any) -> None:
    explain, session, viewer = opened.explain, opened.session, opened.viewer
    session.choose_map("left")
    qtbot.waitUntil(lambda: session.result is not None, timeout=TIMEOUT)
    # Layers come a turn of the event loop later.
    qtbot.waitUntil(lambda: explain.layers.layer("seen") is not None, timeout=TIMEOUT)
    at_home = explain.layers.layer("seen").extent.world
    explain.native_box.click()
    # Every third eye is a right one: mirrored, but not put on the other side.
    for row in (3, 4):
        viewer.dims.set_current_step(0, row)
        wait_for(opened, row, qtbot)
        session.scrub(1.0, "restore")
        seen = explain.layers.layer("seen")
        np.testing.assert_allclose(seen.extent.world, at_home)
        place = session.run.placements[row].affine
        np.testing.assert_allclose(explain.layers.layer("area").affine.affine_matrix, place)
        shift = seen.extent.world[0, 1] - explain.layers.layer("native").extent.world[0, 1]
        valid = np.argwhere(session.run.valid)[::37]
        for point in valid:
            world = np.subtract(seen.data_to_world(point), (0, shift))
            stored = explain.layers.layer("native").get_value(world, world=True)
            np.testing.assert_array_equal(seen.data[tuple(point)][:2], stored[:2])
    explain.native_box.click()
    np.testing.assert_allclose(explain.layers.layer("seen").extent.world, at_home)


def test_without_the_images_layer_there_is_one_sentence_and_no_tick(native: Any) -> None:
    explain = native.explain
    explain.native_box.click()
    assert not native.session.native
    told: list[bool] = []
    native.session.native_changed.connect(told.append)
    native.viewer.layers.remove(explain.layers.layer("images"))
    explain.native_box.click()
    assert told == [True, False]
    assert not explain.native_box.isChecked()
    assert "taken off the layer list" in explain.job_bar.status.text()
