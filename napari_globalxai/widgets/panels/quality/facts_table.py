"""The counts of a quality control, side by side where there is room."""

from __future__ import annotations

from typing import TYPE_CHECKING

from qtpy.QtCore import QEvent, QSize, Qt
from qtpy.QtGui import QResizeEvent

from napari_globalxai.widgets.panels.quality.quality_words import facts_text
from napari_globalxai.widgets.words.plain_labels import UnbrokenLabel

if TYPE_CHECKING:
    from napari_globalxai.frame.modality import Modality
    from napari_globalxai.runs.inputs.quality_control import Findings

# Width of two columns in heights of a letter.
_ROOMY = 18


class FactsTable(UnbrokenLabel):
    """Counts, two side by side where they fit."""

    def __init__(self) -> None:
        super().__init__()
        self.setTextFormat(Qt.TextFormat.RichText)
        self.setWordWrap(True)
        self.setTextInteractionFlags(
            Qt.TextInteractionFlag.TextSelectableByMouse
            | Qt.TextInteractionFlag.TextSelectableByKeyboard
        )
        self._shown: tuple[Findings, Modality] | None = None

    def show_findings(self, findings: Findings, words: Modality) -> None:
        """Show the counts of a quality control."""
        self._shown = findings, words
        self._fit()

    def minimumSizeHint(self) -> QSize:
        """Return a width that leaves it to the panel how many stand side by side."""
        return QSize(1, int(super().minimumSizeHint().height()))

    def resizeEvent(self, event: QResizeEvent | None) -> None:
        """Take as many columns as fit."""
        super().resizeEvent(event)
        self._fit()

    def changeEvent(self, event: QEvent | None) -> None:
        """Follow the size of the letters."""
        super().changeEvent(event)
        if event is not None and event.type() == QEvent.Type.FontChange:
            self._fit()

    def _fit(self) -> None:
        if self._shown is None:
            return
        letters = self.width() / self.fontMetrics().height()
        text = facts_text(*self._shown, columns=2 if letters >= _ROOMY else 1)
        if text != self.text():
            self.setText(text)
