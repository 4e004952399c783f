"""The panel that computes global maps, in a real viewer."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import tiny
from qtpy.QtCore import Qt

import napari_globalxai as gx
from napari_globalxai.storage import read_json
from napari_globalxai.widgets.jobs.event_turns import TURNS
from napari_globalxai.widgets.session.run_view import open_view

pytestmark = pytest.mark.gui

TIMEOUT = 60_000


def fill_in(explain: Any, inputs: Any, out: Path) -> None:
    explain.cohort_field.path = inputs.cohort
    explain.model_field.path = inputs.model
    explain.method_box.setCurrentText("saliency")
    explain.output_field.path = out


def press(qtbot: Any, button: Any) -> None:
    qtbot.mouseClick(button, Qt.MouseButton.LeftButton)


def test_computes_and_shows_the_maps(panels: Any, inputs: Any, tmp_path: Path, qtbot: Any) -> None:
    explain = panels.explain
    fill_in(explain, inputs, tmp_path / "run")
    stages: list[Any] = []
    explain.runner.progressed.connect(stages.append)
    with qtbot.waitSignal(explain.runner.succeeded, timeout=TIMEOUT):
        press(qtbot, explain.compute_button)
        assert not explain.compute_button.isEnabled()
    assert explain.compute_button.isEnabled()
    assert "40 of 40 images explained" in explain.job_bar.status.text()
    assert {"Aligning images", "Averaging maps"} <= {progress.stage for progress in stages}

    run = panels.session.run
    assert read_json(tmp_path / "run" / "run.json")["status"] == "finished"
    images = explain.layers.layer("images")
    assert images.name == "Images"
    np.testing.assert_array_equal(images.data[7, :, :, 1], run.stack.images[7, 1])
    np.testing.assert_array_equal(images.data[..., 2], 0)
    shown = explain.layers.layer("global map")
    assert shown.name == "Global map: overall"
    np.testing.assert_array_equal(shown.data, run.maps["overall"])
    assert explain.map_table.texts()[0][:2] == ["overall", "30"]


def test_the_cam_layer_is_chosen_from_a_list(
    panels: Any, inputs: Any, tmp_path: Path, qtbot: Any
) -> None:
    explain, field = panels.explain, panels.explain.layer_field
    fill_in(explain, inputs, tmp_path / "run")
    assert not field.isEnabled()
    explain.method_box.setCurrentText("layer-cam")
    assert field.isEnabled()
    assert field.layer is None
    explain.model_field.path = tiny.write_resnet(tmp_path / "resnet")
    press(qtbot, field.list_button)
    assert not field.list_button.isEnabled()
    qtbot.waitUntil(lambda: field.list_button.isEnabled(), timeout=TIMEOUT)
    texts = [field.box.itemText(index) for index in range(field.box.count())]
    assert "layer4.0 (10 × 4 × 6)" in texts
    field.box.setCurrentIndex(field.box.findData("layer3"))
    assert field.layer == "layer3"
    explain.output_field.path = tmp_path / "run"
    with qtbot.waitSignal(explain.runner.succeeded, timeout=TIMEOUT):
        explain.compute()
    run = panels.session.run
    assert run.info["model"]["cam_layer"] == "layer3"
    assert run.image_map(0, "left").shape == (tiny.HEIGHT, tiny.WIDTH)
    # PEPPR finds the model that the run was made with.
    run._classifier = None
    assert run.classifier(device="cpu").split.layer == "layer3"
    # The layers of another model are others.
    explain.model_field.path = inputs.model
    assert field.layer is None
    assert field.box.count() == 1


def test_the_run_folder_is_that_of_the_layer_in_force(
    panels: Any, inputs: Any, tmp_path: Path, qtbot: Any
) -> None:
    explain, field = panels.explain, panels.explain.layer_field
    explain.cohort_field.path = inputs.cohort
    explain.model_field.path = tiny.write_resnet(tmp_path / "resnet")
    explain.method_box.setCurrentText("grad-cam")
    press(qtbot, field.list_button)
    qtbot.waitUntil(lambda: field.list_button.isEnabled(), timeout=TIMEOUT)

    def folder() -> str:
        return str(explain.output_field.path.name)

    field.box.setCurrentIndex(field.box.findData("layer2"))
    assert folder().endswith("grad-cam-layer-layer2")
    explain.method_box.setCurrentText("saliency")
    assert folder().endswith("saliency")
    explain.method_box.setCurrentText("grad-cam")
    assert folder().endswith("grad-cam-layer-layer2")


def test_a_model_whose_layers_cannot_be_listed_says_why(
    panels: Any, tmp_path: Path, qtbot: Any
) -> None:
    field = panels.explain.layer_field
    panels.explain.model_field.path = tmp_path / "gone.yaml"
    press(qtbot, field.list_button)
    qtbot.waitUntil(lambda: field.list_button.isEnabled(), timeout=TIMEOUT)
    assert "gone.yaml: the model does not exist" in panels.explain.job_bar.status.text()
    assert field.box.count() == 1


def test_choosing_a_label_shows_its_map(opened: Any, qtbot: Any) -> None:
    explain = opened.explain
    explain.map_box.setCurrentText("right")
    layer = explain.layers.layer("global map")
    assert layer.name == "Global map: right"
    np.testing.assert_array_equal(layer.data, opened.session.run.maps["right"])
    explain.map_table.chosen.emit("left")
    assert explain.map_box.currentText() == "left"
    assert layer.name == "Global map: left"
    assert opened.peppr.map_box.currentText() == "left"


def test_labels_share_a_scale_unless_told_otherwise(opened: Any) -> None:
    explain, session = opened.explain, opened.session
    limits = {}
    for shared in (True, False):
        explain.shared_scale_box.setChecked(shared)
        for label in ("left", "right"):
            session.choose_map(label)
            limits[shared, label] = explain.layers.layer("global map").contrast_limits[1]
    peaks = {label: float(session.run.maps[label].max()) for label in ("left", "right")}
    assert limits[True, "left"] == limits[True, "right"] == pytest.approx(max(peaks.values()))
    for label, peak in peaks.items():
        assert limits[False, label] == pytest.approx(peak)


def test_attribution_follows_the_image_in_view(opened: Any, qtbot: Any) -> None:
    explain, session, viewer = opened.explain, opened.session, opened.viewer
    session.choose_map("left")
    for row in (3, 12):
        viewer.dims.set_current_step(0, row)
        qtbot.waitUntil(
            lambda row=row: shows_attribution(explain, session, row, "left"), timeout=TIMEOUT
        )
        assert session.row == row
        assert explain.image_panel.title.text().startswith(f"{row + 1} of 40: images/{row:03}.png")
    assert explain.layers.layer("attribution").name == "Attribution: left"
    expected = session.run.images.loc[12, "probability_left"]
    assert explain.image_panel.table.texts()[0][:3] == ["left", "no", f"{expected:.2f}"]


def shows_attribution(explain: Any, session: Any, row: int, label: str) -> bool:
    layer = explain.layers.layer("attribution")
    if layer is None:
        return False
    expected = session.run.image_map(row, label) / session.view.attribution_limits[label]
    return bool(np.allclose(layer.data, expected))


def test_check_boxes_show_and_hide_layers(opened: Any, qtbot: Any) -> None:
    explain = opened.explain
    qtbot.waitUntil(lambda: explain.layers.layer("attribution") is not None, timeout=TIMEOUT)
    assert not explain.layers.layer("attribution").visible
    explain.attribution_box.setChecked(True)
    explain.global_map_box.setChecked(False)
    assert explain.layers.layer("attribution").visible
    assert not explain.layers.layer("global map").visible


def test_cancel_keeps_what_is_finished_and_compute_goes_on(
    panels: Any, inputs: Any, tmp_path: Path, qtbot: Any
) -> None:
    explain, out = panels.explain, tmp_path / "run"
    fill_in(explain, inputs, out)

    def stop_while_aligning(progress: Any) -> None:
        if progress.stage == "Aligning images":
            explain.cancel()

    explain.runner.progressed.connect(stop_while_aligning)
    with qtbot.waitSignal(explain.runner.cancelled, timeout=TIMEOUT):
        explain.compute()
    explain.runner.progressed.disconnect(stop_while_aligning)
    assert "Stopped" in explain.job_bar.status.text()
    assert panels.session.run is None
    assert read_json(out / "run.json")["status"] == "running"

    starts: dict[str, int] = {}
    explain.runner.progressed.connect(lambda report: starts.setdefault(report.stage, report.done))
    before = len((out / "aligned.zarr" / "rows.jsonl").read_text().splitlines())
    with qtbot.waitSignal(explain.runner.succeeded, timeout=TIMEOUT):
        explain.compute()
    assert starts["Aligning images"] == before
    assert panels.session.run.info["counts"]["explained"] == 40


def test_missing_file_is_one_sentence(
    panels: Any, inputs: Any, tmp_path: Path, qtbot: Any, notifications: list[Any]
) -> None:
    explain = panels.explain
    fill_in(explain, inputs, tmp_path / "run")
    explain.cohort_field.path = tmp_path / "nothing.csv"
    with qtbot.waitSignal(explain.runner.failed, timeout=TIMEOUT) as failure:
        explain.compute()
    sentence = explain.job_bar.status.text()
    assert failure.args == [sentence]
    assert "nothing.csv" in sentence
    assert "\n" not in sentence
    assert [str(shown.message) for shown in notifications] == [sentence]
    assert explain.compute_button.isEnabled()
    # The panel still works.
    explain.cohort_field.path = inputs.cohort
    with qtbot.waitSignal(explain.runner.succeeded, timeout=TIMEOUT):
        explain.compute()


def test_empty_form_says_what_is_missing(panels: Any) -> None:
    panels.explain.compute()
    assert panels.explain.job_bar.status.text() == "Choose a cohort table."
    assert not panels.explain.runner.is_running


def test_failed_images_are_listed(panels: Any, inputs: Any, tmp_path: Path, qtbot: Any) -> None:
    table = pd.read_csv(inputs.cohort)
    table["filename"] = [str(inputs.cohort.parent / name) for name in table["filename"]]
    table.loc[2, "filename"] = "gone.png"
    table.to_csv(tmp_path / "cohort.csv", index=False)
    explain = panels.explain
    fill_in(explain, inputs, tmp_path / "run")
    explain.cohort_field.path = tmp_path / "cohort.csv"
    explain.output_field.path = tmp_path / "run"
    with qtbot.waitSignal(explain.runner.succeeded, timeout=TIMEOUT):
        explain.compute()
    assert "1 of 40 images failed" in explain.warnings.text()
    assert "gone.png" in explain.warnings.text()
    panels.viewer.dims.set_current_step(0, 2)
    assert "Failed: gone.png" in explain.image_panel.title.text()


def test_default_run_folder_never_mixes_cohorts(inputs: Any, tmp_path: Path, home: Path) -> None:
    from napari_globalxai import explain
    from napari_globalxai.widgets.panels.maps.explain_widget import default_run_folder

    first = default_run_folder(inputs.cohort, inputs.model, "saliency", {})
    assert home in first.parents
    explain(inputs.cohort, inputs.model, first, "saliency")
    assert default_run_folder(inputs.cohort, inputs.model, "saliency", {}) == first
    other = tiny.write_cohort(tmp_path / "cohort", size=4)
    assert default_run_folder(other, inputs.model, "saliency", {}) == first.with_name(
        f"{first.name}-2"
    )


def test_every_method_of_the_core_is_offered(panels: Any) -> None:
    from napari_globalxai.catalogue import METHODS

    box = panels.explain.method_box
    assert [box.itemText(index) for index in range(box.count())] == list(METHODS.entries)


def test_closing_the_viewer_while_computing_stops_the_work(
    make_napari_viewer: Any, inputs: Any, tmp_path: Path, qtbot: Any
) -> None:
    from docked import dock_panels
    from qtpy.QtCore import QThreadPool

    viewer = make_napari_viewer()
    explain, _ = dock_panels(viewer)
    fill_in(explain, inputs, tmp_path / "run")
    explain.compute()
    record = tmp_path / "run" / "run.json"
    qtbot.waitUntil(record.exists, timeout=TIMEOUT)
    viewer.close()
    assert QThreadPool.globalInstance().waitForDone(TIMEOUT)
    assert read_json(record)["status"] == "running"


def test_panels_that_are_gone_are_told_nothing(opened: Any, qtbot: Any) -> None:
    for panel in (opened.explain, opened.peppr):
        opened.viewer.window.remove_dock_widget(panel)
        panel.deleteLater()
    qtbot.wait(50)
    opened.session.choose_map("left")
    opened.viewer.dims.set_current_step(0, 5)
    assert opened.session.row == 5
    opened.session.open(opened.session.view)


def test_layers_that_are_there_show_another_run_in_turns_of_their_own(
    opened: Any, finished_run: Path, qtbot: Any
) -> None:
    """All panels take it up before, which holds up the window as long again."""
    layers, view = opened.explain.layers, open_view(finished_run)
    qtbot.waitUntil(lambda: layers.layer("attribution") is not None, timeout=TIMEOUT)
    qtbot.waitUntil(lambda: TURNS.is_idle, timeout=TIMEOUT)
    taken: list[str] = []
    for role in ("images", "global map"):
        layers.layer(role).events.data.connect(lambda event, role=role: taken.append(role))
    turns: list[int] = []

    def end_of_turn() -> None:
        turns.append(len(taken))

    opened.session.open(view)
    end_of_turn()
    TURNS.go_on(end_of_turn)
    qtbot.waitUntil(lambda: TURNS.is_idle, timeout=TIMEOUT)
    end_of_turn()
    assert turns == [0, 1, 2]
    assert taken == ["images", "global map"]
    assert layers.layer("images").data is view.images
    np.testing.assert_array_equal(layers.layer("global map").data, view.maps["overall"])


def test_two_viewers_do_not_share_a_session(
    panels: Any, make_napari_viewer: Any, finished_run: Path, qtbot: Any
) -> None:
    from napari_globalxai.widgets import ExplainWidget

    other = ExplainWidget(make_napari_viewer())
    qtbot.addWidget(other)
    with qtbot.waitSignal(panels.explain.runner.succeeded, timeout=TIMEOUT):
        panels.explain.open_run(finished_run)
    assert panels.session.run is not None
    assert other.session.run is None
    assert other.layers.layer("images") is None


def test_code_of_a_model_runs_only_where_it_is_ticked(
    panels: Any, inputs: Any, tmp_path: Path, qtbot: Any
) -> None:
    import torch

    torch.save(tiny.LinearNet(tiny.sign_weights()), tmp_path / "linear.pt")
    card = tmp_path / "linear.yaml"
    card.write_text((inputs.model.parent / "linear.yaml").read_text())
    explain = panels.explain
    fill_in(explain, inputs, tmp_path / "run")
    explain.model_field.path = card
    with qtbot.waitSignal(explain.runner.failed, timeout=TIMEOUT):
        explain.compute()
    assert "“Trust this model's code”" in explain.job_bar.status.text()
    explain.trust_box.setChecked(True)
    with qtbot.waitSignal(explain.runner.succeeded, timeout=TIMEOUT):
        explain.compute()
    session = panels.session
    assert session.run.info["model"]["trusted"]
    assert session.trusts(session.run)
    # A run of somebody else's names a model of its own.
    folder = shutil.copytree(session.run.folder, tmp_path / "given")
    record = json.loads((folder / "run.json").read_text())
    record["model"]["source"] = str(shutil.copy(card, tmp_path / "other.yaml"))
    (folder / "run.json").write_text(json.dumps(record))
    assert not session.trusts(gx.open_run(folder))
    # Another model is not trusted because this one was.
    explain.model_field.path = inputs.model
    assert not explain.trust_box.isChecked()
    assert not panels.session.trusts_model


def test_alignment_reaches_the_run_and_names_its_folder(
    panels: Any, inputs: Any, home: Path, qtbot: Any
) -> None:
    explain = panels.explain
    explain.cohort_field.path, explain.model_field.path = inputs.cohort, inputs.model
    explain.method_box.setCurrentText("saliency")
    plain = explain.output_field.path
    explain.alignment_form.expand(animate=False)
    explain.alignment_form.registration_box.setCurrentText("landmarks")
    explain.alignment_form.sides_box.setChecked(True)
    folder = explain.output_field.path
    assert folder.name == f"{plain.name}-registration-landmarks-estimate_laterality-True"
    with qtbot.waitSignal(explain.runner.succeeded, timeout=TIMEOUT):
        press(qtbot, explain.compute_button)
    settings = read_json(folder / "run.json")["settings"]
    assert settings["registration"] == "landmarks"
    assert settings["estimate_laterality"] is True


def test_a_template_is_of_use_only_with_a_registration(panels: Any) -> None:
    form = panels.explain.alignment_form
    assert form.values() == {}
    assert not form.isExpanded()
    form.template_field.path = Path("eye.png")
    assert not form.template_field.isEnabled()
    assert form.values() == {}
    form.registration_box.setCurrentText("similarity")
    assert form.template_field.isEnabled()
    assert form.values() == {"registration": "similarity", "template": Path("eye.png")}


def test_every_setting_is_in_the_panel_at_its_default(panels: Any) -> None:
    from napari_globalxai.settings.cohort_settings import CohortSettings
    from napari_globalxai.settings.explain_settings import ExplainSettings

    explain = panels.explain
    forms = (explain.alignment_form, explain.maps_form, explain.computing_form)
    shown = {name for form in forms for name in form.fields}
    # Method, its parameters and its layer have fields of their own.
    own = {"method", "method_settings", "cam_layer"}
    assert shown | own == set(ExplainSettings.model_fields)
    assert set(explain.cohort_form.fields) == set(CohortSettings.model_fields)
    assert explain.settings() == ExplainSettings()


def test_what_is_chosen_in_the_folds_reaches_the_run(
    panels: Any, inputs: Any, home: Path, qtbot: Any
) -> None:
    explain = panels.explain
    explain.cohort_field.path, explain.model_field.path = inputs.cohort, inputs.model
    explain.method_box.setCurrentText("saliency")
    fields = {**explain.maps_form.fields, **explain.computing_form.fields}
    fields["selection"].setCurrentText("all")
    fields["scale"].setCurrentText("mass")
    fields["valid_share"].setValue(0.25)
    fields["batch_size"].setValue(2)
    fields["precision"].setCurrentText("float32")
    fields["seed"].setValue(7)
    folder = explain.output_field.path
    assert "selection-all-scale-mass-valid_share-0.25-seed-7" in folder.name
    with qtbot.waitSignal(explain.runner.succeeded, timeout=TIMEOUT):
        press(qtbot, explain.compute_button)
    settings = read_json(folder / "run.json")["settings"]
    assert settings["aggregation"]["selection"] == "all"
    assert settings["aggregation"]["scale"] == "mass"
    assert (settings["valid_share"], settings["batch_size"], settings["seed"]) == (0.25, 2, 7)
    assert settings["precision"] == "float32"
