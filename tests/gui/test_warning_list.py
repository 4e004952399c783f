"""What is wrong stands in view as far as there is room, and is never lost."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from qtpy.QtCore import Qt

from napari_globalxai import align
from napari_globalxai.runs.inputs.check import CheckResult
from napari_globalxai.widgets.fields.warning_list import WarningList
from napari_globalxai.widgets.workbench.open_panels import open_panel

pytestmark = pytest.mark.gui

TIMEOUT = 60_000
MANY = [
    *(f"label {number}: PEPPR needs images with and without it." for number in range(30)),
    *(f"'{name}' is in rows {number}, 7 that differ (a, b)." for number, name in enumerate("abc")),
    *(f"cohort.csv: {number} of 60 files do not exist (x.png); correct it." for number in (3, 4)),
    *(f"Warning {name}, with a name for a kind." for name in ("one", "two", "three")),
    *(f"{name}: ROC AUC 0.4{number} is below chance." for number, name in enumerate("ABCDEF")),
]


def lines(text: str) -> list[str]:
    return text.splitlines()


def test_many_warnings_fold_under_what_they_are_about(qtbot: Any) -> None:
    shown = WarningList("Problems")
    qtbot.addWidget(shown)
    shown.resize(360, 400)
    shown.show()
    assert len(MANY) == 44
    shown.show_lines(warnings=MANY)
    # One of each kind, as far as there is room.
    assert lines(shown.first.text()) == [f"⚠ {MANY[at]}" for at in (0, 30, 33)]
    assert not shown.rest.isExpanded()
    assert shown.rest.button.accessibleName() == (
        "⚠ 41 more warnings: 29 × PEPPR needs images with and without it; 6 × ROC AUC … is below "
        "chance; 2 × … is in rows … that differ; 4 of other kinds"
    )
    shown.rest.button.setFocus()
    qtbot.keyClick(shown.rest.button, Qt.Key.Key_Space)
    folded = shown.rest.content()
    assert folded.isVisible()
    assert folded.accessibleName() == "Problems: the others"
    assert shown.first.accessibleName() == "Problems"
    assert sorted(lines(shown.text())) == sorted(f"⚠ {each}" for each in MANY)
    # All lines have room.
    for part in (shown.first, folded):
        qtbot.waitUntil(lambda part=part: part.height() >= part.heightForWidth(part.width()))
    # Others come folded.
    shown.show_lines(warnings=MANY[:4])
    assert not shown.rest.isExpanded()


def test_errors_stand_on_top_however_many(qtbot: Any) -> None:
    shown = WarningList("Problems")
    qtbot.addWidget(shown)
    errors = [f"Error {number}." for number in range(5)]
    shown.show_lines(errors, MANY)
    assert lines(shown.first.text()) == [f"✗ {each}" for each in errors]
    assert len(lines(shown.text())) == 5 + 44
    shown.show_lines(errors[:1], MANY)
    assert [each[0] for each in lines(shown.first.text())] == ["✗", "⚠", "⚠"]
    shown.show_lines(errors[:1], MANY[:1])
    assert shown.rest.isHidden()
    shown.show_lines()
    assert shown.isHidden()
    assert shown.text() == ""


def test_what_check_finds_begins_with_what_explain_refuses(panels: Any, qtbot: Any) -> None:
    explain = panels.explain
    found = CheckResult(["a fact"], ["Refused.", *MANY], refused=1)
    work = (found.facts, found.refusals, found.others)
    with qtbot.waitSignal(explain.check_runner.succeeded, timeout=TIMEOUT):
        explain.check_runner.run(lambda progress: work)
    view = explain.checked
    assert view.bar.status.text() == "45 problems"
    assert lines(view.problems.first.text())[:2] == ["✗ Refused.", f"⚠ {MANY[0]}"]
    view.facts.expand()
    assert view.facts.content().text() == "a fact"
    with qtbot.waitSignal(explain.check_runner.succeeded, timeout=TIMEOUT):
        explain.check_runner.run(lambda progress: ((), (), ()))
    assert view.bar.status.text() == "No problem was found."
    assert view.problems.isHidden()
    assert view.facts.isHidden()


def test_a_folder_that_cannot_be_taken_is_told_at_once(
    panels: Any, inputs: Any, finished_run: Path, tmp_path: Path, qtbot: Any
) -> None:
    align(inputs.cohort, tmp_path / "aligned", height=24, width=32)
    form, note = panels.explain.form, panels.explain.form.output_note
    assert note.isHidden()
    form.output_field.line.setFocus()
    qtbot.keyClicks(form.output_field.line, str(tmp_path / "aligned"))
    qtbot.keyClick(form.output_field.line, Qt.Key.Key_Return)
    qtbot.waitUntil(lambda: not note.isHidden(), timeout=TIMEOUT)
    said = note.text().removeprefix("✗ ")
    assert "holds aligned images, not a run; “Compute” aligns the images itself" in said
    # As it is told by the work.
    form.method_box.setCurrentText("saliency")
    form.cohort_field.path, form.model_field.path = inputs.cohort, inputs.model
    with qtbot.waitSignal(panels.explain.runner.failed, timeout=TIMEOUT):
        panels.explain.compute()
    assert panels.explain.job_bar.status.text() == said
    for folder in (tmp_path / "new", finished_run):
        form.output_field.choose(folder)
        assert note.isHidden()
        qtbot.waitUntil(lambda: not note._looking.is_running, timeout=TIMEOUT)
        assert note.isHidden()
    quality = open_panel(panels.viewer, "Quality control")
    quality.output_field.choose(finished_run)
    qtbot.waitUntil(lambda: not quality.output_note.isHidden(), timeout=TIMEOUT)
    assert "holds a run, not aligned images" in quality.output_note.text()
