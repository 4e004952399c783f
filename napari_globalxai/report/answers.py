"""The report's plain-language answer, one label at a time."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from napari_globalxai.faithfulness.result import PepprResult
from napari_globalxai.faithfulness.verdict.outside_share import MASS_WORTH_SAYING, outside_share
from napari_globalxai.faithfulness.verdict.plain_verdict import plain_verdict
from napari_globalxai.faithfulness.verdict.verdicts import (
    FAITHFUL_INSIDE,
    NOT_ENOUGH_DATA,
    is_faithful,
)
from napari_globalxai.report.style import FloatImage, Mask, is_missing, number, percent
from napari_globalxai.runs.run import Run
from napari_globalxai.statistics.global_map import OVERALL

NOT_TESTED = "not tested"


@dataclass(frozen=True)
class LabelAnswer:
    """What the run says about one label.

    Attributes
    ----------
    label, word : str
        The label and the verdict's word, or ``not tested``.
    where : str
        Where the label's global map is strong.
    sentence : str
        Whether the decision rests on it.
    numbers : str
        What the verdict rests on; empty where that is said.
    """

    label: str
    word: str
    where: str
    sentence: str
    numbers: str = ""


def answer(run: Run, label: str, results: Mapping[str, PepprResult]) -> LabelAnswer:
    """Return the answer for one label, by the label's own map, else by the overall one.

    Parameters
    ----------
    run : Run
        The run.
    label : str
        One of its labels.
    results : mapping of str to PepprResult
        Its results of PEPPR, by map.
    """
    where = place_in_words(run.maps[label], run.valid)
    for name in (label, OVERALL):
        result = results.get(name)
        if result is not None and label in result.verdict:
            sentence = _sentence(label, name, result)
            sentence += "".join(f" But {caution}." for caution in result.cautions(label))
            if name != label:
                sentence += " PEPPR was not run along the label's own map."
            numbers = _numbers(label, result)
            return LabelAnswer(label, result.word(label), where, sentence, numbers)
    sentence = (
        "PEPPR was not run along this map, so nothing here says whether the model's decision rests "
        "on the places it shows."
    )
    if OVERALL in results:
        sentence += " The overall map was tested for all labels together, see below."
    return LabelAnswer(label, NOT_TESTED, where, sentence)


def _sentence(label: str, name: str, result: PepprResult) -> str:
    """Return what the verdict says, without the numbers that it rests on."""
    verdict = result.verdict[label]
    text = plain_verdict(verdict, "its own map" if name == label else "the overall map")
    tested = f" {verdict.tested}." if verdict.tested else ""
    rests_on_it = is_faithful(verdict.word) or verdict.kind == FAITHFUL_INSIDE
    return f"{text}{_fractions(result.areas[label]) if rests_on_it else ''}{tested}"


def _numbers(label: str, result: PepprResult) -> str:
    """Return what the verdict rests on; nothing where the sentence has said it."""
    verdict = result.verdict[label]
    is_said = verdict.kind == NOT_ENOUGH_DATA
    return "" if is_said else f"The verdict in numbers: {verdict.reason}."


def _fractions(areas: Mapping[str, Any]) -> str:
    """Return how much of the image carries the performance."""
    sufficient, necessary = areas.get("sufficient_fraction"), areas.get("necessary_fraction")
    if is_missing(sufficient):
        return ""
    text = (
        f" Restoring the strongest {percent(sufficient, 1)} of the valid area brings back 95 % "
        f"of what the ROC AUC of {number(areas.get('intact_auc'))} has above chance"
    )
    if is_missing(necessary):
        return f"{text}."
    return f"{text}; erasing the strongest {percent(necessary, 1)} takes half of it."


def place_in_words(image: FloatImage, valid: Mask) -> str:
    """Say where a map is strong: the place of its peak, and how narrow it is.

    Parameters
    ----------
    image : numpy.ndarray
        The map, (height, width); its absolute value counts.
    valid : numpy.ndarray
        Valid area, (height, width).
    """
    size = np.abs(np.nan_to_num(np.asarray(image, np.float64)))
    total = float(size.sum())
    if total <= 0:
        return "Its global map is zero everywhere."
    row, column = (int(at) for at in np.unravel_index(int(size.argmax()), size.shape))
    height, width = size.shape
    down, across = (row + 0.5) / height, (column + 0.5) / width
    text = (
        f"Its global map is strongest at the {_region(down, across)} of the frame "
        f"({percent(across)} of the width, {percent(down)} of the height)"
    )
    inside = np.sort(size[valid])[::-1]
    if inside.sum() > 0:
        needed = int(np.searchsorted(np.cumsum(inside), inside.sum() / 2)) + 1
        text += (
            f"; {percent(needed / len(inside), 1)} of the valid area hold half of the map's mass"
        )
    outside = outside_share(image, valid)
    if outside > MASS_WORTH_SAYING:
        text += f"; {percent(outside)} of the mass lie outside the valid area"
    return f"{text}."


def _region(down: float, across: float) -> str:
    rows, columns = ("upper", "", "lower"), ("left", "", "right")
    words = (rows[min(int(down * 3), 2)], columns[min(int(across * 3), 2)])
    if words == ("", ""):
        return "centre"
    if "" in words:
        return {"upper": "top", "lower": "bottom", "left": "left", "right": "right"}["".join(words)]
    return " ".join(words)
