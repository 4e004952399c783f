"""What is said of a quality control."""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING

from napari_globalxai.frame.modality import Modality
from napari_globalxai.runs.tables import FAILED, OUTLIER_SCORE, REGISTRATION_NOTE, STATUS
from napari_globalxai.widgets.session.quality_view import QualityView
from napari_globalxai.widgets.words.table_words import number

if TYPE_CHECKING:
    from napari_globalxai.runs.inputs.quality_control import Findings

INTRODUCTION = (
    "Brings the images of a cohort into one frame, compares each with all others, and lists those "
    "that do not seem to belong: of the other side, dark, blurred, partly hidden, unlike the rest. "
    "No model is needed."
)


def facts_text(findings: Findings, words: Modality, columns: int = 2) -> str:
    """Return the counts of a quality control as a small table of rich text.

    Parameters
    ----------
    findings : Findings
        What was found.
    words : Modality
        What images show.
    columns : int, optional
        How many facts stand side by side.
    """
    facts = [(kind.capitalize(), str(count)) for kind, count in findings.counts.items()]
    facts.append(("Sharpness of mean", number(findings.sharpness, 3)))
    # A folder of somebody else's may call things as it likes.
    cells = [
        f"<td>{escape(name)}</td><td align='right'><b>{value}</b></td>" for name, value in facts
    ]
    # Read downwards.
    high = -(-len(cells) // columns)
    gap = "<td>&nbsp;&nbsp;&nbsp;&nbsp;</td>"
    rows = [gap.join(cells[at::high]) for at in range(high)]
    text = f"<table width='100%'>{''.join(f'<tr>{row}</tr>' for row in rows)}</table>"
    if findings.outlier_reasons:
        reasons = (f"{reason} ({count})" for reason, count in findings.outlier_reasons.items())
        text += f"<p>Noticed: {escape(', '.join(reasons))}.</p>"
    if not findings.sides_compared:
        text += (
            "<p>Sides could not be compared: the images are too few, or show no "
            f"{escape(words.landmarks)} in common.</p>"
        )
    return text


def noticed_text(view: QualityView, row: int) -> str:
    """Return what was noticed of an image.

    Parameters
    ----------
    view : QualityView
        A quality control.
    row : int
        Row of the image.
    """
    image = view.quality.images.iloc[row]
    if image[STATUS] == FAILED:
        return ""
    parts = []
    if row in view.noticed:
        parts.append(f"Noticed: {view.noticed[row]}, score {number(image[OUTLIER_SCORE], 1)}.")
    else:
        parts.append("Nothing was noticed.")
    if image[REGISTRATION_NOTE]:
        parts.append(f"Not registered: {image[REGISTRATION_NOTE]}.")
    return " ".join(parts)
