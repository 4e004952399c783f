"""Texts that Qt shows as they are, whatever somebody's names look like."""

import re

from qtpy.QtCore import Qt
from qtpy.QtWidgets import QLabel

# A tag, a comment or a declaration.
_TAG = re.compile(r"<(?=[A-Za-z/!?])")


def plain(text: str) -> str:
    """Return a text that Qt does not take for HTML, in which a name could have it open files."""
    return _TAG.sub("‹", text)


def plain_label(text: str = "") -> QLabel:
    """Return a label that shows a text as it is, whatever somebody's names look like."""
    label = QLabel()
    label.setTextFormat(Qt.TextFormat.PlainText)
    label.setText(text)
    return label
