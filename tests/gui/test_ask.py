"""What commands ask of a run is asked from the panel, with the same answers."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import tiny
from qtpy.QtCore import Qt
from qtpy.QtWidgets import QLabel

import napari_globalxai as gx
from napari_globalxai.errors import InputError
from napari_globalxai.widgets.jobs.event_turns import TURNS
from napari_globalxai.widgets.session.shown_maps import Selection
from napari_globalxai.widgets.words.questions import QUESTIONS
from napari_globalxai.widgets.workbench.open_panels import open_panel

pytestmark = pytest.mark.gui

TIMEOUT = 60_000
A, B = "age > 60", "not (age > 60)"
# By question: what is typed into its form, what is the same in Python, and where its answer lies.
ASKED: dict[str, tuple[dict[str, Any], Callable[[Path], object], str]] = {
    "contrast": (
        {"name": "age", "a": A, "b": B, "permutations": 19, "correction": "tfce"},
        lambda run: gx.contrast(run, "age", A, B, permutations=19, correction="tfce"),
        "contrasts",
    ),
    "maps": (
        {"name": "old", "where": A, "labels": "left", "statistic": "median", "smoothing": 1.5},
        lambda run: gx.make_maps(
            run, "old", where=A, labels=["left"], statistic="median", smoothing=1.5
        ),
        "selections",
    ),
    "stability": (
        {"name": "old", "splits": 100, "bootstrap": 100},
        lambda run: gx.stability(run, "old", splits=100, bootstrap=100),
        "selections/old/stability",
    ),
    "outliers": (
        {"where": A, "labels": "left, right", "top": 2},
        lambda run: gx.outliers(run, where=A, labels=["left", "right"], top=2),
        "outliers",
    ),
    "slices": ({"fewest_images": 4}, lambda run: gx.slices(run, fewest_images=4), "slices"),
    "audit": (
        {"erase": "none", "permutations": 199, "bootstrap": 100},
        lambda run: gx.audit(run, erase="none", permutations=199, bootstrap=100),
        "audit",
    ),
    "compare": (
        {"name": "both", "permutations": 19},
        lambda run: gx.compare(run, run, run / "comparisons" / "both", permutations=19),
        "comparisons",
    ),
}
# Moments and places, which are those of each run.
OF_ITS_OWN = ("written", "run_a", "run_b")


@pytest.fixture
def own(panels: Any, finished_run: Path, tmp_path: Path, qtbot: Any) -> Any:
    """Panels on a run that a test may write into, with the form unfolded as by a person."""
    shutil.copytree(finished_run, tmp_path / "run")
    with qtbot.waitSignal(panels.explain.runner.succeeded, timeout=TIMEOUT):
        panels.explain.open_run(tmp_path / "run")
    panels.explain.answers.expand()
    panels.explain.answers.ask.expand()
    return panels


def choose(ask: Any, question: str, values: dict[str, Any], qtbot: Any) -> None:
    # Chosen anew, it asks for nothing yet.
    for chosen in ("stability", "outliers", question):
        ask.box.setCurrentIndex(ask.box.findData(chosen))
    if values.keys() - ask.first.fields.keys():
        ask.more.expand()
    for name, value in values.items():
        field = {**ask.first.fields, **ask.more.fields}[name]
        if isinstance(value, str) and hasattr(field, "findData"):
            field.setCurrentIndex(field.findData(value))
        elif isinstance(value, str):
            field.setFocus()
            field.selectAll()
            qtbot.keyClicks(field, value)
        else:
            field.setValue(value)


def answer(ask: Any, qtbot: Any) -> None:
    with qtbot.waitSignal(ask.runner.succeeded, timeout=TIMEOUT):
        ask.ask_button.click()


def files(folder: Path) -> dict[str, Any]:
    """All files of an answer: records without moments, all else as it is."""
    found: dict[str, Any] = {}
    for path in sorted(each for each in folder.rglob("*") if each.is_file()):
        name, content = path.relative_to(folder).as_posix(), path.read_bytes()
        if path.suffix == ".json":
            record = json.loads(content)
            found[name] = {key: record[key] for key in record if key not in OF_ITS_OWN}
        elif path.suffix != ".html":
            found[name] = content
    return found


def test_every_question_has_the_answer_of_its_command(
    own: Any, finished_run: Path, tmp_path: Path, qtbot: Any
) -> None:
    answers, ask = own.explain.answers, own.explain.answers.ask
    assert set(ASKED) == set(QUESTIONS)
    other = Path(shutil.copytree(finished_run, tmp_path / "other"))
    for name, (typed, command, folder) in ASKED.items():
        choose(ask, name, typed, qtbot)
        if name == "compare":
            ask.first.fields["other"].path = tmp_path / "run"
        answer(ask, qtbot)
        assert ask.job_bar.status.text() == ""
        command(other)
        kept = files(tmp_path / "run" / folder)
        assert kept
        assert kept == files(other / folder), name
        # It is shown at once.
        chapter = QUESTIONS[name].chapter
        qtbot.waitUntil(
            lambda chapter=chapter: answers.box.currentData() == chapter, timeout=TIMEOUT
        )
        assert answers.chapter.isVisibleTo(own.explain)
    # Figures are drawn where they can be seen.
    figures = answers.figures
    own.viewer.window.show()
    own.explain.bring_forward()
    answers.box.setCurrentIndex(answers.box.findData("contrasts"))
    qtbot.waitUntil(lambda: bool(figures.pictures) and not figures.is_drawing, timeout=TIMEOUT)
    assert [each.accessibleName() for each in figures.pictures] == ["Contrast age"]


WRONG: tuple[tuple[str, dict[str, Any], str], ...] = (
    ("contrast", {"a": A, "b": B}, "“Name”: is empty; give the contrast a name"),
    ("contrast", {"name": "x", "a": A}, "give both “Side A” and “Side B”"),
    ("contrast", {"name": "x", "a": "age > 999", "b": B}, "“Side A”: 'age > 999' chooses no"),
    (
        "contrast",
        {"name": "x", "a": A, "label_a": "left"},
        "labels of both sides are given together",
    ),
    ("maps", {"where": A}, "has no name; give it one with “Name”"),
    ("stability", {"name": "nobody"}, "nobody"),
    ("compare", {"name": "x"}, "“Other run”: choose the folder"),
    ("slices", {"columns": "nothing"}, "nothing"),
)


def test_the_form_follows_what_is_on_show_and_says_what_is_wrong(own: Any, qtbot: Any) -> None:
    ask, session = own.explain.answers.ask, own.session
    own.viewer.window.show()

    def said(*names: str) -> list[str]:
        return [ask.first.fields[name].text() for name in names]

    assert said("a", "b", "labels") == ["", "", ""]
    for question, typed, words in WRONG:
        choose(ask, question, typed, qtbot)
        ask.ask_button.click()
        qtbot.waitUntil(lambda: not ask.runner.is_running, timeout=TIMEOUT)
        assert words in ask.job_bar.status.text()
        assert "--" not in ask.job_bar.status.text()
        assert ask.ask_button.isEnabled()
    ask.box.setCurrentIndex(ask.box.findData("contrast"))
    session.choose_map("left")
    session.select(Selection(A, (0, 1, 2)))
    assert said("a", "b", "labels") == [A, B, "left"]
    session.compare_with(Selection("age < 55", (3, 4)))
    assert said("b") == ["age < 55"]
    # What was written stays.
    choose(ask, "outliers", {"where": "age > 70"}, qtbot)
    session.select(None)
    assert said("where", "labels") == ["age > 70", "left"]
    session.select(Selection("cluster 1 of 2 of left", (1, 2, 3)))
    assert "no query" in ask.remark.text()
    assert ask.remark.isVisible()
    ask.box.setCurrentIndex(ask.box.findData("slices"))
    assert not ask.remark.isVisible()


def test_a_question_is_cancelled_and_outlives_its_panel(
    own: Any, tmp_path: Path, qtbot: Any
) -> None:
    ask, viewer, runner = own.explain.answers.ask, own.viewer, own.explain.answers.ask.runner
    choose(ask, "contrast", {"name": "age", "a": A, "b": B, "permutations": 1_000_000}, qtbot)
    with qtbot.waitSignal(runner.cancelled, timeout=TIMEOUT):
        qtbot.mouseClick(ask.ask_button, Qt.MouseButton.LeftButton)
        qtbot.waitUntil(lambda: " left" in ask.job_bar.status.text(), timeout=TIMEOUT)
        assert not ask.ask_button.isEnabled()
        ask.job_bar.cancel_button.click()
    assert "as it was before" in ask.job_bar.status.text()
    assert not (tmp_path / "run" / "contrasts").exists()
    # Within the first of the maps, whose draws would take minutes.
    choose(ask, "stability", {"splits": 100_000}, qtbot)
    with qtbot.waitSignal(runner.cancelled, timeout=TIMEOUT):
        ask.ask_button.click()
        qtbot.waitUntil(lambda: " left" in ask.job_bar.status.text(), timeout=TIMEOUT)
        ask.job_bar.cancel_button.click()
    assert not (tmp_path / "run" / "stability").exists()
    choose(ask, "contrast", {"name": "age", "a": A, "b": B, "permutations": 1_000_000}, qtbot)
    ask.ask_button.click()
    viewer.window.remove_dock_widget(own.explain.dock())
    panel = open_panel(viewer, "Global explanations")
    qtbot.waitUntil(lambda: TURNS.is_idle, timeout=TIMEOUT)
    again = panel.answers.ask
    assert again.runner is runner
    assert panel.answers.isExpanded()
    assert again.isExpanded()
    assert again.job_bar.cancel_button.isVisibleTo(again)
    with qtbot.waitSignal(runner.cancelled, timeout=TIMEOUT):
        again.cancel()
    # One that ends while its panel is closed is answered for all others.
    answered: list[str] = []
    own.session.answered.connect(lambda: answered.append("told"))
    choose(again, "maps", {"where": A, "name": "old"}, qtbot)
    qtbot.keyClick(again.first.fields["name"], Qt.Key.Key_Return)
    assert runner.is_running
    viewer.window.remove_dock_widget(panel.dock())
    qtbot.waitUntil(lambda: bool(answered), timeout=TIMEOUT)
    assert (tmp_path / "run" / "selections" / "old" / "left.tif").is_file()


def test_a_run_that_differs_is_compared_or_refused_by_what_differs(
    own: Any, inputs: Any, tmp_path: Path, qtbot: Any
) -> None:
    explain, ask = own.explain, own.explain.answers.ask
    usual, height = tiny.write_resnet(tmp_path / "resnet"), 2 * tiny.HEIGHT
    large = tiny.with_card(usual, tmp_path / "large", input={"height": height})
    gx.explain(inputs.cohort, large, tmp_path / "large-run", "saliency")
    choose(ask, "compare", {"name": "large"}, qtbot)
    ask.first.fields["other"].path = tmp_path / "large-run"
    with qtbot.waitSignal(ask.runner.failed, timeout=TIMEOUT):
        ask.ask_button.click()
    with pytest.raises(InputError) as refused:
        gx.compare(tmp_path / "run", tmp_path / "large-run", tmp_path / "out")
    assert ask.job_bar.status.text() == str(refused.value)
    assert f"{height} × {tiny.WIDTH} pixels" in str(refused.value)
    # Beside each other they are not laid, either.
    runner = explain.beside.runner
    with qtbot.waitSignal(runner.failed, timeout=TIMEOUT) as told:
        explain.beside.open_run(tmp_path / "large-run")
    assert told.args == [str(refused.value)]

    table = pd.read_csv(inputs.cohort)
    table["nose"] = table["right"]
    table["filename"] = [str(inputs.cohort.parent / name) for name in table["filename"]]
    table.to_csv(tmp_path / "renamed.csv", index=False)
    renamed = tiny.with_card(inputs.model, tmp_path / "renamed", labels=["left", "nose"])
    gx.explain(tmp_path / "renamed.csv", renamed, tmp_path / "renamed-run", "saliency")
    choose(ask, "compare", {"name": "renamed", "permutations": 19}, qtbot)
    ask.first.fields["other"].path = tmp_path / "renamed-run"
    answer(ask, qtbot)
    kept = json.loads((tmp_path / "run/comparisons/renamed/comparison.json").read_text())
    assert list(kept["labels"]) == ["left"]
    answers = explain.answers
    qtbot.waitUntil(lambda: answers.box.currentData() == "comparisons", timeout=TIMEOUT)
    words = "is not in the other run (nose)"
    qtbot.waitUntil(
        lambda: any(words in each.text() for each in answers.findChildren(QLabel)), timeout=TIMEOUT
    )
