"""Small parts that the panels are made of."""

from collections.abc import Callable
from pathlib import Path
from typing import Any, Optional
from weakref import WeakMethod

from qtpy.QtCore import QSize, Qt, Signal  # type: ignore[attr-defined]
from qtpy.QtGui import QIcon
from qtpy.QtWidgets import (
    QFileDialog,
    QHBoxLayout,
    QLabel,
    QLineEdit,
    QProgressBar,
    QPushButton,
    QScrollArea,
    QSizePolicy,
    QToolButton,
    QVBoxLayout,
    QWidget,
)
from superqt import QCollapsible

from napari_globalxai.progress import Progress, format_seconds
from napari_globalxai.widgets.workers import JobRunner

PANEL_WIDTH = 380


class PathField(QWidget):
    """A path that can be typed or picked.

    Parameters
    ----------
    caption : str
        Title of the file dialog.
    file_filter : str, optional
        Filter of the file dialog; without one, a folder is picked.

    Attributes
    ----------
    edited : Signal
        The user chose another path.
    """

    edited = Signal()

    def __init__(self, caption: str, file_filter: Optional[str] = None) -> None:  # noqa: UP045
        super().__init__()
        self._caption, self._filter = caption, file_filter
        self._is_chosen = False
        self.line = QLineEdit()
        self.line.setMinimumWidth(120)
        self.browse_button = QToolButton()
        self.browse_button.setText("…")
        self.browse_button.setToolTip(caption)
        self.browse_button.setAccessibleName(caption)
        self.browse_button.setMinimumSize(QSize(28, 24))
        layout = QHBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(4)
        layout.addWidget(self.line, 1)
        layout.addWidget(self.browse_button)
        self.setFocusProxy(self.line)
        self.browse_button.clicked.connect(self.browse)
        self.line.editingFinished.connect(self.edited)
        self.line.textEdited.connect(self._on_typed)

    @property
    def path(self) -> Optional[Path]:  # noqa: UP045
        """The path, or None where the field is empty."""
        text = self.line.text().strip()
        return Path(text).expanduser() if text else None

    @path.setter
    def path(self, path: Optional[Path]) -> None:  # noqa: UP045
        self.line.setText("" if path is None else str(path))
        # A long path is known by its end.
        self.line.setToolTip(self.line.text())
        self.edited.emit()

    def suggest(self, path: Path) -> None:
        """Fill in a path, unless the user typed or picked one."""
        if not self._is_chosen:
            self.path = path

    def browse(self) -> None:
        """Let the user pick a file or folder."""
        start = str(self.path or Path.home())
        if self._filter is None:
            chosen = QFileDialog.getExistingDirectory(self, self._caption, start)
        else:
            chosen, _ = QFileDialog.getOpenFileName(self, self._caption, start, self._filter)
        if chosen:
            self._is_chosen = True
            self.path = Path(chosen)

    def _on_typed(self, text: str) -> None:
        self._is_chosen = bool(text.strip())


class JobBar(QWidget):
    """Progress of a runner's job: stage, bar, remaining time, and a button to cancel it.

    Parameters
    ----------
    runner : JobRunner
        The runner.

    Attributes
    ----------
    bar : QProgressBar
        Share of the stage that is done.
    status : QLabel
        Stage and remaining time, or how the last job ended.
    cancel_button : QPushButton
        Cancels the job.
    """

    def __init__(self, runner: JobRunner) -> None:
        super().__init__()
        self._runner = runner
        self.bar = QProgressBar()
        self.bar.setTextVisible(False)
        self.bar.setMaximumHeight(14)
        self.cancel_button = QPushButton("Cancel")
        self.cancel_button.setToolTip("Stop after the current step; what is finished is kept")
        self.status = text_label()
        row = QHBoxLayout()
        row.addWidget(self.bar, 1)
        row.addWidget(self.cancel_button)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(4)
        layout.addLayout(row)
        layout.addWidget(self.status)
        self.cancel_button.clicked.connect(self.cancel)
        runner.started.connect(self._on_started)
        runner.progressed.connect(self._on_progressed)
        runner.finished.connect(self._on_finished)
        runner.failed.connect(self.say)
        self._on_finished()
        self.say("")

    def say(self, sentence: str) -> None:
        """Show a sentence under the bar."""
        self.status.setText(sentence)
        self.status.setVisible(bool(sentence))

    def cancel(self) -> None:
        """Ask the job to stop."""
        if self._runner.is_running:
            self._runner.cancel()
            self.cancel_button.setEnabled(False)
            self.say("Stopping after the current step…")

    def _on_started(self) -> None:
        self.bar.setRange(0, 0)
        self.bar.show()
        self.cancel_button.show()
        self.cancel_button.setEnabled(True)
        self.say("Starting…")

    def _on_progressed(self, progress: Progress) -> None:
        if not self.cancel_button.isEnabled():
            return
        # A stage of one step has no share to show.
        self.bar.setRange(0, progress.total if progress.total > 1 else 0)
        self.bar.setValue(progress.done)
        text = progress.stage
        if progress.total > 1:
            text += f": {progress.done} of {progress.total}"
        if progress.remaining:
            text += f", {format_seconds(progress.remaining)} left"
        self.say(text)

    def _on_finished(self) -> None:
        self.bar.hide()
        self.cancel_button.hide()


def text_label(text: str = "") -> QLabel:
    """Return a label for sentences: wrapped, and selectable so that an error can be copied."""
    label = QLabel(text)
    label.setWordWrap(True)
    label.setTextInteractionFlags(
        Qt.TextInteractionFlag.TextSelectableByMouse
        | Qt.TextInteractionFlag.TextSelectableByKeyboard
    )
    label.setSizePolicy(QSizePolicy.Policy.Preferred, QSizePolicy.Policy.Minimum)
    return label


def heading(text: str) -> QLabel:
    """Return the heading of a part of a panel."""
    label = QLabel(text)
    font = label.font()
    font.setBold(True)
    label.setFont(font)
    return label


class Fold(QCollapsible):
    """A part of a form that is folded away until somebody asks for it.

    Parameters
    ----------
    title : str
        Heading, which folds and unfolds by a click.
    """

    def __init__(self, title: str) -> None:
        super().__init__()
        self._title = title
        self.setDuration(0)
        # Its own arrows are black in every theme, and napari paints a pressed button blue.
        self.setCollapsedIcon(QIcon())
        self.setExpandedIcon(QIcon())
        self.toggleButton().setStyleSheet(
            "background: transparent; border: none; padding: 0; text-align: left;"
        )
        outer = self.layout()
        if outer is not None:
            outer.setContentsMargins(0, 0, 0, 0)
        self._name_heading(False)
        self.toggled.connect(self._name_heading)

    def show_content(self, content: QWidget) -> None:
        """Put another content in place of the one there is."""
        before = self.content()
        self.setContent(content)
        before.deleteLater()
        # Once more, as it takes the new content's height then, or hides it.
        again = self.expand if self.isExpanded() else self.collapse
        self.blockSignals(True)
        again(animate=False)
        self.blockSignals(False)

    def _name_heading(self, expanded: bool) -> None:
        self.setText(f"{'▾' if expanded else '▸'}  {self._title}")


class Panel(QScrollArea):
    """A dock widget whose content scrolls where the window is too small for it.

    Attributes
    ----------
    content : QVBoxLayout
        What the panel shows.
    """

    def __init__(self) -> None:
        super().__init__()
        inside = QWidget()
        self.content = QVBoxLayout(inside)
        self.content.setContentsMargins(8, 8, 8, 8)
        self.content.setSpacing(8)
        self.setWidget(inside)
        self.setWidgetResizable(True)
        self.setFrameShape(QScrollArea.Shape.NoFrame)
        self.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.setMinimumWidth(PANEL_WIDTH)

    def follow(self, signal: Any, slot: Callable[..., None]) -> None:
        """Connect a signal of the viewer or its session, which outlive the panel.

        Parameters
        ----------
        signal : psygnal.SignalInstance or napari's EventEmitter
            The signal.
        slot : callable
            A method of the panel.
        """
        signal.connect(slot)
        # Python's half of a panel that Qt has deleted may still be there, and would be called.
        known = WeakMethod(slot)

        def leave() -> None:
            method = known()
            if method is not None:
                signal.disconnect(method)

        self.destroyed.connect(leave)

    def sizeHint(self) -> QSize:
        """Return the size that Qt starts from."""
        return QSize(PANEL_WIDTH + 40, 640)
