"""What a verdict says, in words that need no numbers: for panels and the report's first lines."""

from __future__ import annotations

from napari_globalxai.faithfulness.verdict.verdicts import (
    FAITHFUL_INSIDE,
    NO_BETTER,
    NOT_ENOUGH_DATA,
    WELL_PLACED,
    Verdict,
    is_faithful,
)


def plain_verdict(verdict: Verdict, along: str, *, beside_word: bool = False) -> str:
    """Return a verdict as an answer to whether the model decides by what a map shows.

    Parameters
    ----------
    verdict : Verdict
        The verdict.
    along : str
        What the map is called in the sentence, such as ``its own map``.
    beside_word : bool, optional
        Whether the verdict's word stands beside it, and need not be said again.
    """
    if is_faithful(verdict.word):
        return f"Yes: along {along}, the decision rests on the places shown."
    if verdict.kind == FAITHFUL_INSIDE:
        return (
            f"In part: along {along}, the decision rests on the places shown inside the field of "
            "view, but much of the map lies outside."
        )
    if verdict.kind == WELL_PLACED:
        if beside_word:
            return "Not shown: a map that never saw the model serves as well."
        return f"Not shown: {along} is {verdict.word}."
    # Of version 0.1 the word is shorter.
    if verdict.kind in (NO_BETTER, "not faithful"):
        return (
            f"No: {along} is no better than maps like it that lie elsewhere. Do not use it as an "
            "explanation."
        )
    if verdict.kind == NOT_ENOUGH_DATA:
        return f"Cannot say, along {along}: {verdict.reason}."
    return f"Cannot say yet, along {along}: more controls or patients are needed."
