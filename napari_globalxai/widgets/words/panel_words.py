"""Sentences of the command line in the words of the panels."""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from napari_globalxai.settings.declared import Declared

# What the panels have fields of their own for.
_OWN = {
    "trust": "“Trust this model's code”",
    "resume": "Compute, which goes on where it was",
    "model": "the field “Model”",
    "out": "the field “Run folder”",
    "run": "the field “Run folder”",
    "map": "the field “Map”",
    "method": "the field “Method”",
    "cam-layer": "the field “CAM layer”",
    "set": "“Method settings”",
    "aligned": "the field “Run folder”",
    "strict": "the list of failed images",
}
_AGAIN = re.compile(r"(,? ?and )?go on with the same command, explain's with --resume")
_ONCE_MORE = re.compile(r"give the (?:same )?command again(?:, explain's with --resume)?")
# What stands in backticks is a command to copy, and stays one.
_OPTION = re.compile(
    r"""`[^`]*`|--(?P<name>[a-z][a-z-]*)"""
    r"""(?:[ =](?P<value>"[^"]*"|'[^']*'|[^\s,;=]+=[^\s;]*[^\s;.,]|none\b|\d+))?"""
)
_CARD = re.compile(r"this writes (one|a card) to fill in: napari-globalxai card \S+")
_IN_PYTHON = re.compile(r" \([\w=]+ in Python[^)]*\)")
# What a command does that panels do, too.
_COMMANDS = (
    (re.compile(r", (open it in the panel [^,]*), or give it to `explain --aligned`"), r" or \1"),
    (
        re.compile(r"give it to `explain --aligned`"),
        "“Compute” aligns the images itself, and the command `explain --aligned` alone takes these",
    ),
    (re.compile(r"with `report`, `peppr` or in napari"), "with “Open run…”"),
    (re.compile(r"run `audit`"), "press “Audit” in the panel “Regions”"),
    (
        re.compile(r"run `(?:outliers|stability|contrast|slices|compare)`"),
        "press “Ask” under “What the run was asked”",
    ),
    (re.compile(r"run `peppr`"), "press “Run PEPPR” in the panel “PEPPR”"),
    (re.compile(r"run `sanity`"), "press “Compare” under “Random weights” in the panel “PEPPR”"),
    (re.compile(r"with `maps`"), "with “Ask” under “What the run was asked”"),
)


@cache
def _fields() -> dict[str, str]:
    """Return where each option of the command line stands in the panels."""
    # Every setting there is: a panel opens without most of them.
    from napari_globalxai.settings.cohort_settings import CohortSettings
    from napari_globalxai.settings.declared import declared_fields
    from napari_globalxai.settings.execution_settings import ExecutionSettings
    from napari_globalxai.settings.explain_settings import ExplainSettings
    from napari_globalxai.settings.frame_settings import CohortFrameSettings
    from napari_globalxai.settings.peppr_question import PepprQuestion
    from napari_globalxai.settings.peppr_settings import PepprSettings
    from napari_globalxai.settings.sanity_settings import SanitySettings
    from napari_globalxai.widgets.words.questions import QUESTIONS

    places = dict(_OWN)
    for model in (
        CohortSettings,
        ExplainSettings,
        ExecutionSettings,
        CohortFrameSettings,
        PepprSettings,
        PepprQuestion,
        SanitySettings,
    ):
        for setting in declared_fields(model):
            fold = f" under “{setting.heading}”" if setting.heading else ""
            places.setdefault(setting.option, f"the field “{setting.title}”{fold}")
    for question in QUESTIONS.values():
        for setting in question.fields():
            places.setdefault(setting.option, f"the field “{setting.title}” under “Ask”")
    return places


def in_panel_words(sentence: str, form: Iterable[Declared] = ()) -> str:
    """Return a sentence that names fields of the panels where it named command-line options.

    Parameters
    ----------
    sentence : str
        The sentence.
    form : iterable of Declared
        What the form at hand asks for, where the sentence is of that; its fields go first.
    """
    places = {**_fields(), **{each.option: f"“{each.title}”" for each in form}}
    sentence = _IN_PYTHON.sub("", _AGAIN.sub(", and press the button again", sentence))
    sentence = _ONCE_MORE.sub("press the button again", sentence)
    for command, words in _COMMANDS:
        sentence = command.sub(words, sentence)
    sentence = _CARD.sub("fill it in under “Model card”", sentence)

    def in_words(match: re.Match[str]) -> str:
        place = places.get(match["name"] or "")
        if place is None:
            return match[0]
        value = (match["value"] or "").strip("\"'")
        return f"{value} in {place}" if value else place

    return _OPTION.sub(in_words, sentence)
