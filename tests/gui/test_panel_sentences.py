"""Sentences of the whole package as panels say them: none sends the reader to a terminal."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

import napari_globalxai
from napari_globalxai.widgets.words.panel_words import in_panel_words

pytestmark = pytest.mark.gui

PACKAGE = Path(napari_globalxai.__file__).parent
OF_A_TERMINAL = re.compile(r"--[a-z]|`[a-z]|napari-globalxai card|in Python|command again")
# What no panel says: sentences that are read where the command was given.
COMMANDS_ALONE = {
    # The panel asks before it writes over a card, and before a store is asked.
    "models/card/card_template.py",
    "addresses.py",
    # Aligned images are for commands; quality controls are not.
    "runs/record.py",
    "widgets/words/panel_words.py",
}


def sentences(module: Path) -> Iterator[str]:
    """Texts of a module that are no docstrings; what is filled in is a word."""
    tree = ast.parse(module.read_text(encoding="utf-8"))
    left_out = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Expr):
            left_out.add(id(node.value))
        elif isinstance(node, ast.JoinedStr):
            left_out.update(id(part) for part in node.values)
    for node in ast.walk(tree):
        if id(node) in left_out:
            continue
        if isinstance(node, ast.JoinedStr):
            parts = (part.value if isinstance(part, ast.Constant) else "it" for part in node.values)
            yield "".join(map(str, parts))
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield node.value


def test_no_sentence_that_a_panel_can_say_names_an_option_or_a_command() -> None:
    seen, left = 0, []
    for module in sorted(PACKAGE.rglob("*.py")):
        name = module.relative_to(PACKAGE).as_posix()
        if name.startswith("cli/") or name in COMMANDS_ALONE:
            continue
        for sentence in sentences(module):
            if OF_A_TERMINAL.search(sentence) and " " in sentence.strip():
                seen += 1
                if OF_A_TERMINAL.search(in_panel_words(sentence)):
                    left.append((name, in_panel_words(sentence)))
    assert seen > 40
    assert left == []


# Which hand a sentence on to those that say it in the panels' words.
HANDED_ON = {
    "widgets/layers/native_layers.py",
    "widgets/layers/peppr_layers.py",
    "widgets/panels/cohort_and_model/card_view.py",
    "widgets/panels/cohort_and_model/cohort_preview.py",
    "widgets/session/lazy_images.py",
}


def unworded(module: Path) -> Iterator[str]:
    """Where a sentence of a refusal is used as it is: not worded, nor raised again."""
    for node in ast.walk(ast.parse(module.read_text(encoding="utf-8"))):
        if not isinstance(node, ast.ExceptHandler) or node.name is None or node.type is None:
            continue
        if "InputError" not in ast.unparse(node.type):
            continue
        worded = {
            id(inside)
            for each in ast.walk(node)
            if isinstance(each, ast.Raise)
            or (isinstance(each, ast.Call) and ast.unparse(each.func) == "in_panel_words")
            for inside in ast.walk(each)
        }
        for each in ast.walk(node):
            if isinstance(each, ast.Name) and each.id == node.name and id(each) not in worded:
                yield f"{module.name}:{each.lineno}"


def test_no_panel_shows_a_refusal_as_a_command_says_it() -> None:
    found = {
        place: name
        for module in sorted((PACKAGE / "widgets").rglob("*.py"))
        for place in unworded(module)
        if (name := module.relative_to(PACKAGE).as_posix()) not in HANDED_ON
    }
    assert not found


@pytest.mark.parametrize(
    ("sentence", "said"),
    [
        (
            "q: holds a quality control, not a run; look at its quality.html, open it in the panel "
            "Quality control, or give it to `explain --aligned`.",
            "q: holds a quality control, not a run; look at its quality.html or open it in the "
            "panel Quality control.",
        ),
        (
            "a: holds aligned images, not a run; give it to `explain --aligned`.",
            "a: holds aligned images, not a run; “Compute” aligns the images itself, and the "
            "command `explain --aligned` alone takes these.",
        ),
        (
            "r: holds a run; open it as a run, with `report`, `peppr` or in napari.",
            "r: holds a run; open it as a run, with “Open run…”.",
        ),
        (
            "a.json: is damaged; run `audit` again.",
            "a.json: is damaged; press “Audit” in the panel “Regions” again.",
        ),
        (
            "left.csv: is missing; run `peppr` again.",
            "left.csv: is missing; press “Run PEPPR” in the panel “PEPPR” again.",
        ),
        (
            "contrast.json: is missing; run `contrast` again.",
            "contrast.json: is missing; press “Ask” under “What the run was asked” again.",
        ),
        (
            "left.tif: is missing; explain the cohort again with --resume.",
            "left.tif: is missing; explain the cohort again with Compute, which goes on where it "
            "was.",
        ),
        (
            "r: cannot be written; give another folder with --out (out in Python).",
            "r: cannot be written; give another folder with the field “Run folder”.",
        ),
        (
            "r: is written to; delete the lock and give the command again, explain's with "
            "--resume.",
            "r: is written to; delete the lock and press the button again.",
        ),
    ],
)
def test_what_panels_do_is_said_in_their_words(sentence: str, said: str) -> None:
    assert in_panel_words(sentence) == said
