"""The form of a method's parameters, in the panel of a real viewer."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal

import pytest
from pydantic import Field
from qtpy.QtCore import QLocale, Qt
from qtpy.QtTest import QTest
from qtpy.QtWidgets import QComboBox, QDoubleSpinBox, QSpinBox

from napari_globalxai.attribution.method import make_method
from napari_globalxai.catalogue import METHODS
from napari_globalxai.settings.declared import SettingsModel, Size, declared_fields
from napari_globalxai.storage import read_json
from napari_globalxai.widgets.fields.settings_form import SettingsForm

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


class OfEachKind(SettingsModel):
    flag: bool = False
    whole: int = 3
    number: float | None = Field(default=None, ge=0)
    choice: Literal["one", "two"] = "one"
    text: str | None = None
    path: Path | None = None
    names: tuple[str, ...] = ()
    size: Size = Size((32, 48))


def test_what_is_taken_stands_in_the_fields_and_what_is_not_is_left_open(qtbot: Any) -> None:
    form = SettingsForm("Settings", declared_fields(OfEachKind))
    qtbot.addWidget(form)
    told: list[dict[str, Any]] = []
    form.changed.connect(lambda: told.append(form.values()))
    chosen = {
        "flag": True,
        "whole": 7,
        "number": 0.25,
        "choice": "two",
        "text": "a, b",
        "path": Path("/a/b c"),
        "names": ("A, B", "C"),
        "size": (64, 96),
    }
    form.take(chosen)
    assert told == [chosen]
    assert form.arguments() == chosen
    # A line that somebody was in, and left as it was, is no change.
    form.fields["text"].editingFinished.emit()
    form.take({"names": ["C"]})
    assert told[1:] == [{"names": ("C",)}]
    form.take({})
    assert form.values() == {}


@pytest.fixture
def with_comma() -> Iterator[None]:
    """The language of a computer on which a half is written 0,5."""
    before = QLocale()
    QLocale.setDefault(QLocale(QLocale.Language.German, QLocale.Country.Germany))
    yield
    QLocale.setDefault(before)


@pytest.mark.parametrize("typed", ["0.25", "0,25", "0.250", "0,250", ".25"])
def test_a_number_is_what_was_typed_wherever_the_window_runs(
    with_comma: None, typed: str, qtbot: Any
) -> None:
    form = SettingsForm("Settings", declared_fields(OfEachKind))
    qtbot.addWidget(form)
    box = form.fields["number"]
    assert isinstance(box, QDoubleSpinBox)
    box.selectAll()
    QTest.keyClicks(box, typed)
    QTest.keyClick(box, Qt.Key.Key_Return)
    assert box.value() == 0.25
    assert form.arguments()["number"] == 0.25
    # As it stands in tables and queries.
    assert box.text() == "0.250"
