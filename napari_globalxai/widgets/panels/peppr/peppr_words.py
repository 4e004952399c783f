"""What is said of a result of PEPPR."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from napari_globalxai.widgets.panels.peppr.published_result import PublishedResult
from napari_globalxai.widgets.session.image_result import ImageResult
from napari_globalxai.widgets.words.table_words import number, share_in_percent

if TYPE_CHECKING:
    from napari_globalxai.faithfulness.result import PepprResult
    from napari_globalxai.faithfulness.verdict.verdicts import Verdict

_DONE = {"restore": "restored", "erase": "erased"}


def reason_text(result: PepprResult, label: str, verdict: Verdict) -> str:
    """Return the numbers behind a verdict, with what was tested and what to be careful about."""
    areas, reason = result.areas[label], verdict.reason
    if np.isfinite(areas.get("sufficient_fraction", np.nan)):
        reason += f". {share_in_percent(areas['sufficient_fraction'])} of the pixels suffice"
    told = [reason, verdict.tested] if verdict.tested else [reason]
    if agreement := result.agreement(label):
        told.append(f"{agreement[0].upper()}{agreement[1:]}")
    told += [f"Caution: {caution}" for caution in result.cautions(label)]
    return ". ".join(told) + "."


def unjudged_texts(result: PepprResult) -> tuple[str, str]:
    """Return why there is no verdict on a label, in short, and what is said in its place."""
    if isinstance(result, ImageResult | PublishedResult):
        return "", result.sentence
    return f"The map {result.map_name} is judged by {', '.join(result.verdict)}.", ""


def probability_text(result: PepprResult, label: str, row: int, fraction: float, arm: str) -> str:
    """Return what the model predicted on an image at the step nearest to a fraction.

    Parameters
    ----------
    result : PepprResult
        The result.
    label : str
        Of which label.
    row : int
        Row of the image.
    fraction : float
        Fraction of the valid pixels.
    arm : str
        ``erase`` or ``restore``.
    """
    position = np.flatnonzero(result.rows == row)
    if not len(position):
        return "The image in view was not evaluated."
    index = result.labels.index(label)
    step = int(np.argmin(np.abs(result.fractions - fraction)))
    image = result.probabilities[arm][:, position[0], index]
    intact = result.own_output[position[0], index]
    return (
        f"Image in view: probability of {label} {number(float(image[step]))} with "
        f"{100 * result.fractions[step]:.1f} % {_DONE[arm]}, {number(float(intact))} intact."
    )
