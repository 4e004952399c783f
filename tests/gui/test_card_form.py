"""The model's card as a form: opens where a card is missing, tries the model, writes the card."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import tiny
import torch
import yaml
from qtpy.QtWidgets import QFileDialog

from napari_globalxai.cohort.table import read_cohort
from napari_globalxai.models.card.model_card import read_card
from napari_globalxai.runs.inputs.check import check_inputs

pytestmark = pytest.mark.gui

TIMEOUT = 60_000


def choose(panels: Any, model: Path, qtbot: Any) -> Any:
    form = panels.explain.form
    form.model_field.path = model
    qtbot.waitUntil(lambda: not form.card.is_looking, timeout=TIMEOUT)
    return form.card


def say(card: Any, name: str, value: Any) -> None:
    field = card.fields[name]
    if hasattr(field, "setValue"):
        field.setValue(value)
    else:
        field.setText(value)


def press(button: Any, card: Any, qtbot: Any) -> None:
    with qtbot.waitSignal(card.runner.succeeded, timeout=TIMEOUT):
        button.click()


@pytest.fixture
def weights(inputs: Any, tmp_path: Path) -> Path:
    """A model without its card."""
    source = inputs.model.parent / "linear.pt"
    target = tmp_path / "models" / "linear.pt"
    target.parent.mkdir()
    target.write_bytes(source.read_bytes())
    return target


def test_a_card_that_is_well_stays_folded(panels: Any, inputs: Any, qtbot: Any) -> None:
    card = panels.explain.form.card
    assert not card.isVisibleTo(panels.explain)
    choose(panels, inputs.model, qtbot)
    assert card.isVisibleTo(panels.explain)
    assert not card.isExpanded()
    card.expand()
    assert "is complete" in card.said.text()
    assert card.fields["labels"].text() == "left, right"
    assert card.fields["input.height"].value() == 32
    assert card.draft().content == yaml.safe_load(inputs.model.read_text())


def test_from_weights_alone_to_a_card_and_its_check(
    panels: Any, inputs: Any, weights: Path, qtbot: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    card = choose(panels, weights, qtbot)
    assert card.isExpanded()
    assert "linear.yaml is not there yet" in card.said.text()
    assert "Labels" in card.said.text()
    panels.explain.cohort_field.path = inputs.cohort
    say(card, "input.height", 32)
    card.check_button.click()
    assert card.job_bar.status.text().startswith("Still to be said: ")
    assert not card.runner.is_running
    # The labels the wrong way round: what the check is for.
    for name, text in (
        ("labels", "right, left"), ("input.channels", "2"), ("input.mean", "0.3"),
        ("input.std", "0.1"),
    ):  # fmt: skip
        say(card, name, text)
    say(card, "input.width", 48)
    press(card.check_button, card, qtbot)
    found = card.found.text()
    assert "gives 2 outputs, one a label" in found
    expected = check_inputs(read_cohort(inputs.cohort), inputs.model).performance
    assert not any(str(each) in found for each in expected)
    assert not weights.with_suffix(".yaml").exists()
    say(card, "labels", "left, right")
    press(card.check_button, card, qtbot)
    assert all(str(each) in card.found.text() for each in expected)
    asked: list[str] = []

    def pick(parent: Any, title: str, start: str, kinds: str) -> tuple[str, str]:
        asked.append(start)
        return start, kinds

    monkeypatch.setattr(QFileDialog, "getSaveFileName", pick)
    press(card.write_button, card, qtbot)
    assert asked == [str(weights.with_suffix(".yaml"))]
    qtbot.waitUntil(lambda: "is complete" in card.said.text(), timeout=TIMEOUT)
    written, found_weights = read_card(weights)
    assert written.labels == tiny.LABELS
    assert found_weights == weights
    assert not card.isExpanded()


def test_a_wrong_card_is_mended_and_the_rest_of_it_stays(
    panels: Any, inputs: Any, weights: Path, qtbot: Any
) -> None:
    content = yaml.safe_load(inputs.model.read_text())
    content["labels"] = ["left", "right", "both"]
    content["mine"] = {"trained": "in May"}
    path = weights.with_suffix(".yaml")
    path.write_text(yaml.safe_dump(content))
    card = choose(panels, path, qtbot)
    assert "mine" in card.said.text()
    assert card.isExpanded()
    assert card.draft().content == content
    card.unknown_box.setChecked(True)
    with qtbot.waitSignal(card.runner.failed, timeout=TIMEOUT):
        card.check_button.click()
    assert "2 outputs but the card names 3 labels" in card.job_bar.status.text()
    say(card, "labels", "left, right")
    press(card.check_button, card, qtbot)
    other = weights.parent / "cards" / "mended.yaml"
    other.parent.mkdir()
    with qtbot.waitSignal(card.runner.succeeded, timeout=TIMEOUT):
        card.write(other)
    # A card elsewhere is what names the model from now on.
    assert panels.explain.form.model_field.path == other
    assert read_card(other)[1].resolve() == weights.resolve()
    assert yaml.safe_load(path.read_text()) == content


def test_no_code_runs_before_it_is_trusted(panels: Any, tmp_path: Path, qtbot: Any) -> None:
    path = tmp_path / "whole.pt"
    torch.save(tiny.LinearNet(tiny.sign_weights()), path)
    card = choose(panels, path, qtbot)
    # It may not be opened, so nothing is known of it.
    assert card.fields["input.channels"].text() == ""
    for name, text in (
        ("labels", "left, right"), ("input.channels", "red, green"), ("input.mean", "0.3"),
        ("input.std", "0.1"),
    ):  # fmt: skip
        say(card, name, text)
    say(card, "input.height", 32)
    say(card, "input.width", 48)
    with qtbot.waitSignal(card.runner.failed, timeout=TIMEOUT):
        card.check_button.click()
    assert "Trust this model's code" in card.job_bar.status.text()


def test_what_cannot_be_read_is_said(panels: Any, tmp_path: Path, qtbot: Any) -> None:
    (tmp_path / "model.yaml").write_text("a: [")
    card = choose(panels, tmp_path / "model.yaml", qtbot)
    assert "is not a YAML file" in card.said.text()
    assert not card.check_button.isVisibleTo(card)


def test_a_decimal_comma_is_no_list(panels: Any, inputs: Any, weights: Path, qtbot: Any) -> None:
    """Where 0,5 is written for a half, it must not become 0 for one channel and 5 for the other."""
    card = choose(panels, weights, qtbot)
    panels.explain.cohort_field.path = inputs.cohort
    for name, text in (
        ("labels", "left, right"), ("input.channels", "red, green"), ("input.mean", "0,3"),
        ("input.std", "0.1"),
    ):  # fmt: skip
        say(card, name, text)
    card.check_button.click()
    assert "0,3: may be numbers with a decimal comma" in card.job_bar.status.text()
    assert not card.runner.is_running
    say(card, "input.mean", "0.3,0.3")
    say(card, "input.range", "0,255")
    assert card.draft().content["input"]["mean"] == [0.3, 0.3]
    assert card.draft().content["input"]["range"] == [0, 255]
