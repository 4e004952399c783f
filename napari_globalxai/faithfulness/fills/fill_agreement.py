"""Whether verdicts along one map agree over several fills."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from napari_globalxai.faithfulness.result import PepprResult


def fill_agreement(results: Mapping[str, PepprResult]) -> dict[str, dict[str, Any]]:
    """Return, for each judged label, what each fill says and whether all say the same.

    Parameters
    ----------
    results : mapping of str to PepprResult
        Along one map, by fill.

    Returns
    -------
    dict of str to dict
        By label: ``verdicts`` by fill, ``delta`` by fill, ``agree``, and a ``sentence``.
    """
    labels = dict.fromkeys(label for result in results.values() for label in result.verdict)
    return {label: _of_label(label, results) for label in labels}


def _of_label(label: str, results: Mapping[str, PepprResult]) -> dict[str, Any]:
    verdicts = {fill: result.verdict[label].word for fill, result in results.items()}
    fills_by_word: dict[str, list[str]] = {}
    for fill, word in verdicts.items():
        fills_by_word.setdefault(word, []).append(fill)
    agree = len(fills_by_word) == 1
    if agree:
        sentence = f"all {len(results)} fills say {next(iter(fills_by_word))}"
    else:
        said = "; ".join(f"{word} by {', '.join(them)}" for word, them in fills_by_word.items())
        sentence = f"the fills do not agree: {said}"
    return {
        "verdicts": verdicts,
        "delta": {fill: result.areas[label].get("delta") for fill, result in results.items()},
        "agree": agree,
        "sentence": sentence,
    }
