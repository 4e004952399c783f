"""A part of a panel that is folded away, and not even made, until somebody asks for it."""

from collections.abc import Callable
from typing import Optional, Protocol, runtime_checkable

from qtpy.QtCore import Qt, Signal  # type: ignore[attr-defined]
from qtpy.QtGui import QPainter, QPaintEvent, QResizeEvent
from qtpy.QtWidgets import QSizePolicy, QToolButton, QWidget

from napari_globalxai.widgets.fields.layouts import in_column
from napari_globalxai.widgets.fields.tab_order import put_in_tab_order
from napari_globalxai.widgets.fields.wrapped import wrapped
from napari_globalxai.widgets.jobs.workers import JobRunner

_LEFT = int(Qt.AlignmentFlag.AlignLeft.value | Qt.AlignmentFlag.AlignVCenter.value)


@runtime_checkable
class TakesParts(Protocol):
    """What is told of parts of it that are made late: the panel."""

    def take_in(self, part: QWidget) -> None:
        """Give a part its letters and keys, and its bars a place at the foot."""


class _Heading(QToolButton):
    """A button whose lines begin at its left edge; those of Qt's own are centred."""

    def paintEvent(self, event: Optional[QPaintEvent]) -> None:  # noqa: UP045
        """Write the heading."""
        painter = QPainter(self)
        font = self.font()
        font.setUnderline(self.hasFocus())
        painter.setFont(font)
        painter.setPen(self.palette().color(self.foregroundRole()))
        painter.drawText(self.rect(), _LEFT, self.text())
        painter.end()


class Fold(QWidget):
    """A heading that shows and hides what is below it.

    What is folded away is hidden, not squeezed to nothing, so that Tab passes it by.

    Parameters
    ----------
    title : str
        The heading, which folds and unfolds by a click or the space bar.

    Attributes
    ----------
    toggled : Signal
        Whether it is unfolded now.
    button : QToolButton
        The heading.
    """

    toggled = Signal(bool)

    def __init__(self, title: str) -> None:
        super().__init__()
        self.button = _Heading()
        self.button.setCheckable(True)
        self.button.setToolButtonStyle(Qt.ToolButtonStyle.ToolButtonTextOnly)
        self.button.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        self.button.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        # napari paints a pressed button blue, and centres its text.
        self.button.setStyleSheet(
            "QToolButton {background: transparent; border: none; padding: 2px 0;}"
        )
        # Its hint is that of the lines as they are broken now.
        self.button.setMinimumWidth(1)
        self._make: Optional[Callable[[], QWidget]] = None  # noqa: UP045
        self._content = QWidget()
        self._content.hide()
        row = in_column(self)
        row.addWidget(self.button, 0, Qt.AlignmentFlag.AlignLeft)
        row.addWidget(self._content)
        self.set_title(title)
        self.button.toggled.connect(self._on_toggled)

    def set_title(self, title: str) -> None:
        """Give it another heading."""
        self._title = title
        self._name_heading()

    def make_content(self, make: Callable[[], QWidget], *runners: JobRunner) -> None:
        """Have what is below the heading made once it is unfolded, or needed before.

        A panel whose folded parts are not there opens at once.

        Parameters
        ----------
        make : callable
            Makes it, as it is to be by then; what changed before is not told.
        *runners : JobRunner
            Whose work has its bar there: it is needed as soon as one of them works.
        """
        self._make = make
        for runner in runners:
            runner.started.connect(self.ensure_made)
        if self.isExpanded() or any(runner.is_running for runner in runners):
            self.ensure_made()

    @property
    def is_made(self) -> bool:
        """Whether what is below the heading is there."""
        return self._make is None

    def ensure_made(self) -> None:
        """Make what is below the heading, unless it is there."""
        if self._make is not None:
            make, self._make = self._make, None
            self.show_content(make())

    def content(self) -> QWidget:
        """Return what is shown below the heading."""
        self.ensure_made()
        return self._content

    def show_content(self, content: QWidget) -> None:
        """Put another content in place of the one there is, or that would have been made."""
        self._make = None
        before, self._content = self._content, content
        layout = self.layout()
        assert layout is not None
        layout.replaceWidget(before, content)
        # In its place: before, it would be a window of its own.
        content.setVisible(self.isExpanded())
        before.hide()
        before.deleteLater()
        # What is made later would come last.
        put_in_tab_order(self.button, content)
        _tell_panel(self)

    def isExpanded(self) -> bool:
        """Return whether it is unfolded."""
        return self.button.isChecked()

    def expand(self, animate: bool = False) -> None:
        """Unfold it."""
        self.button.setChecked(True)

    def collapse(self, animate: bool = False) -> None:
        """Fold it away."""
        self.button.setChecked(False)

    def _on_toggled(self, expanded: bool) -> None:
        if expanded:
            self.ensure_made()
        self._content.setVisible(expanded)
        self._name_heading()
        self.toggled.emit(expanded)

    def resizeEvent(self, event: Optional[QResizeEvent]) -> None:  # noqa: UP045
        """Break the lines of the heading anew."""
        super().resizeEvent(event)
        self._name_heading()

    def _name_heading(self) -> None:
        # The line is not broken after the mark.
        mark = ("▾" if self.isExpanded() else "▸") + 2 * "\N{NO-BREAK SPACE}"
        letters = self.button.fontMetrics()
        # Qt asks for a space on each side of a button's words.
        room = self.width() - 2 * letters.horizontalAdvance(" ")
        text = wrapped(mark + self._title, letters, room)
        if text != self.button.text():
            self.button.setText(text)
        self.button.setAccessibleName(self._title)


def _tell_panel(part: QWidget) -> None:
    above = part.parentWidget()
    while above is not None and not isinstance(above, TakesParts):
        above = above.parentWidget()
    if above is not None:
        above.take_in(part)
