"""Texts that Qt shows as they are, whatever names look like, with numbers beside their units."""

import re
from typing import Optional

from qtpy.QtCore import Qt
from qtpy.QtWidgets import QLabel, QWidget

# A tag, a comment or a declaration.
_TAG = re.compile(r"<(?=[A-Za-z/!?])")
_UNITS = "%|px|pixels?|SDs?|ms|s|min|h|[kMGT]i?B|mm|µm|°"
# Between a number and its unit, between the sides of a size, and around the sign of a number.
_TOGETHER = re.compile(
    rf"(?<=\d) (?=(?:{_UNITS})(?!\w))|(?<=\d) (?=× ?\d)|(?<=\d ×) (?=\d)"
    r"|(?<=\b[pnrΔ]) (?=[=<>≤≥] [\d−-])|(?<=[=<>≤≥]) (?=[\d−-])"
    # A day and its hour.
    r"|(?<=-\d\d) (?=\d\d:\d\d)"
)
_INDENT = 3
_NO_BREAK = "\N{NO-BREAK SPACE}"


def plain(text: str) -> str:
    """Return a text that Qt does not take for HTML, in which a name could have it open files."""
    return _TAG.sub("‹", text)


def unbroken(text: str) -> str:
    """Return a text whose lines do not end between a number and its unit."""
    return _TOGETHER.sub(_NO_BREAK, text)


class UnbrokenLabel(QLabel):
    """A label in which no line ends between a number and its unit, whoever made the sentence.

    Parameters
    ----------
    text : str, optional
        What it says.
    parent : QWidget, optional
        The parent.
    """

    def __init__(self, text: str = "", parent: Optional[QWidget] = None) -> None:  # noqa: UP045
        super().__init__(parent)
        # Of what Qt takes by itself, a label that napari dresses has half drawn and all counted: it
        # would ask for a line more than it has.
        self.setIndent(_INDENT)
        self._said = ""
        self.setText(text)

    def setText(self, text: Optional[str]) -> None:  # noqa: UP045
        """Say something else."""
        self._said = text or ""
        super().setText(unbroken(self._said))

    def text(self) -> str:
        """Return what it says, as it was given."""
        return self._said


def plain_label(text: str = "") -> QLabel:
    """Return a label that shows a text as it is, whatever somebody's names look like."""
    label = UnbrokenLabel()
    label.setTextFormat(Qt.TextFormat.PlainText)
    label.setText(text)
    return label
