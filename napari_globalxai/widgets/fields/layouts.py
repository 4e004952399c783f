"""Layouts of parts that are nested in a panel, which has the only margins."""

from qtpy.QtWidgets import QHBoxLayout, QVBoxLayout, QWidget

# Between things that belong together, in pixels.
CLOSE = 4


def in_column(part: QWidget, spacing: int = CLOSE) -> QVBoxLayout:
    """Lay out a part of a panel from top to bottom, without margins of its own."""
    box = QVBoxLayout(part)
    box.setContentsMargins(0, 0, 0, 0)
    box.setSpacing(spacing)
    return box


def in_row(part: QWidget, spacing: int = CLOSE) -> QHBoxLayout:
    """Lay out a part of a panel from left to right, without margins of its own."""
    box = QHBoxLayout(part)
    box.setContentsMargins(0, 0, 0, 0)
    box.setSpacing(spacing)
    return box
