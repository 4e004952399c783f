"""The verdict of PEPPR: its word and a plain sentence, and elsewhere the numbers behind it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from qtpy.QtCore import Qt
from qtpy.QtWidgets import QWidget

from napari_globalxai.faithfulness.verdict.plain_verdict import plain_verdict
from napari_globalxai.faithfulness.verdict.verdicts import NOT_ENOUGH_DATA, kind_of
from napari_globalxai.widgets.fields.layouts import in_column
from napari_globalxai.widgets.fields.parts import text_label
from napari_globalxai.widgets.panels.peppr.peppr_words import reason_text, unjudged_texts
from napari_globalxai.widgets.words.colours import VERDICT_COLOURS
from napari_globalxai.widgets.words.plain_labels import plain_label

if TYPE_CHECKING:
    from napari_globalxai.faithfulness.result import PepprResult


class VerdictView(QWidget):
    """A word on a coloured ground, and a sentence below it.

    The numbers behind it take many lines: the panel puts them below the curves, which are to be in
    view on a small screen.

    Attributes
    ----------
    badge, sentence : QLabel
        The word; what it says in short.
    reason : QLabel
        The numbers behind it; the panel has it below the curves.
    """

    def __init__(self) -> None:
        super().__init__()
        self.badge = plain_label()
        self.badge.setAlignment(Qt.AlignmentFlag.AlignCenter)
        # Verdicts are of several words.
        self.badge.setWordWrap(True)
        self.badge.setAccessibleName("Verdict")
        self.sentence, self.reason = text_label(), text_label()
        self.sentence.setAccessibleName("Verdict in short")
        self.reason.setAccessibleName("Verdict in numbers")
        box = in_column(self)
        box.addWidget(self.badge)
        box.addWidget(self.sentence)
        self.show_verdict(None, "")

    def show_verdict(self, result: PepprResult | None, label: str) -> None:
        """Show the verdict on a label, or nothing."""
        self.setVisible(result is not None)
        if result is None:
            self.reason.hide()
            return
        verdict = result.verdict.get(label)
        word = "not judged" if verdict is None else result.word(label)
        colour = VERDICT_COLOURS.get(kind_of(word), VERDICT_COLOURS[NOT_ENOUGH_DATA])
        self.badge.setText(word)
        self.badge.setStyleSheet(
            f"background: {colour}; color: white; border-radius: 4px; padding: 3px 8px;"
            "font-weight: bold;"
        )
        if verdict is None:
            short, numbers = unjudged_texts(result)
        else:
            short = plain_verdict(verdict, "this map", beside_word=True)
            numbers = reason_text(result, label, verdict)
        for part, text in ((self.sentence, short), (self.reason, numbers)):
            part.setText(text)
            part.setVisible(bool(text))
