"""The form of a method's parameters, in the panel of a real viewer."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from qtpy.QtWidgets import QComboBox, QDoubleSpinBox, QSpinBox

from napari_globalxai.attribution.method import make_method
from napari_globalxai.catalogue import METHODS
from napari_globalxai.storage import read_json

pytestmark = pytest.mark.gui

TIMEOUT = 60_000


def unfold(form: Any, method: str, qtbot: Any) -> None:
    """Show the parameters of a method, as a user would by a click on the heading."""
    form.expand(animate=False)
    form.show_method(method)
    qtbot.waitUntil(lambda: form._shown == method, timeout=TIMEOUT)


def test_every_method_has_its_form(panels: Any, qtbot: Any) -> None:
    form = panels.explain.settings_form
    for name in list(METHODS.entries):
        unfold(form, name, qtbot)
        parameters = make_method(name).settings.model_dump()
        assert list(form.fields) == list(parameters)
        shown = {each: form._defaults[each] for each in parameters}
        assert shown == pytest.approx(parameters)
        assert all(field.toolTip() for field in form.fields.values())
        assert form.values() == {}


def test_what_is_not_asked_for_is_not_looked_up(panels: Any) -> None:
    form = panels.explain.settings_form
    form.show_method("rise")
    assert not form.isExpanded()
    assert form.fields == {}
    assert not form._schemas.is_running


def test_bounds_are_those_of_the_method(panels: Any, qtbot: Any) -> None:
    form = panels.explain.settings_form
    unfold(form, "rise", qtbot)
    masks, visible, score = (form.fields[name] for name in ("masks", "visible", "score"))
    assert isinstance(masks, QSpinBox)
    assert (masks.minimum(), masks.maximum()) == (2, 100_000)
    assert isinstance(visible, QDoubleSpinBox)
    assert 0 < visible.minimum() < 0.01
    assert 0.99 < visible.maximum() < 1
    assert isinstance(score, QComboBox)
    assert [score.itemText(index) for index in range(score.count())] == ["probability", "logit"]


def test_a_parameter_reaches_the_run(panels: Any, inputs: Any, home: Path, qtbot: Any) -> None:
    explain = panels.explain
    explain.cohort_field.path, explain.model_field.path = inputs.cohort, inputs.model
    explain.method_box.setCurrentText("integrated-gradients")
    plain = explain.output_field.path
    unfold(explain.settings_form, "integrated-gradients", qtbot)
    explain.settings_form.fields["steps"].setValue(5)
    out = explain.output_field.path
    assert out != plain
    assert "steps-5" in out.name
    with qtbot.waitSignal(explain.runner.succeeded, timeout=TIMEOUT):
        explain.compute()
    settings = read_json(out / "run.json")["settings"]
    assert settings["method"]["steps"] == 5
    explain.method_box.setCurrentText("saliency")
    assert explain.settings_form.values() == {}
    assert "steps" not in explain.output_field.path.name
