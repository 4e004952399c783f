"""Small parts that the panels are made of."""

import re

from qtpy.QtCore import Qt
from qtpy.QtWidgets import (
    QHBoxLayout,
    QLabel,
    QProgressBar,
    QPushButton,
    QSizePolicy,
    QWidget,
)

from napari_globalxai.progress import Progress, format_seconds
from napari_globalxai.widgets.fields.flow_row import FlowRow
from napari_globalxai.widgets.fields.layouts import in_column, in_row
from napari_globalxai.widgets.jobs.workers import JobRunner
from napari_globalxai.widgets.words.colours import WARNING
from napari_globalxai.widgets.words.plain_labels import plain_label

_LINK = re.compile(r"https?://\S+")
# napari frames a button only where it is disabled, and Qt remembers the larger size.
_FRAMED = "QPushButton { border: 1px solid transparent; }"


class JobBar(QWidget):
    """Progress of a runner's job: stage, bar, remaining time, and a button to cancel it.

    Parameters
    ----------
    runner : JobRunner
        The runner.

    Attributes
    ----------
    runner : JobRunner
        The runner.
    bar : QProgressBar
        Share of the stage that is done.
    status : QLabel
        Stage and remaining time, or how the last job ended.
    cancel_button : QPushButton
        Cancels the job.
    """

    def __init__(self, runner: JobRunner) -> None:
        super().__init__()
        self.runner = runner
        self._link = ""
        self.bar = QProgressBar()
        self.bar.setTextVisible(False)
        self.bar.setMaximumHeight(14)
        self.cancel_button = QPushButton("Cancel")
        self.cancel_button.setToolTip("Stop after the current step; what is finished is kept")
        self.status = text_label()
        row = QHBoxLayout()
        row.addWidget(self.bar, 1)
        row.addWidget(self.cancel_button)
        layout = in_column(self)
        layout.addLayout(row)
        layout.addWidget(self.status)
        self.cancel_button.clicked.connect(self.cancel)
        runner.started.connect(self._on_started)
        runner.progressed.connect(self._on_progressed)
        runner.finished.connect(self._on_finished)
        runner.failed.connect(self.say)
        self._on_finished()
        self.say("")
        if runner.is_running:
            # Another panel, closed by now, started it.
            self._on_started()
            self._link = link_in(runner.workers_shown)
            if runner.progress is not None:
                self._on_progressed(runner.progress)

    def say(self, sentence: str) -> None:
        """Show a sentence under the bar."""
        self.status.setText(sentence)
        self.status.setVisible(bool(sentence))
        # Without anything to say it takes no room.
        self.setVisible(bool(sentence) or self.runner.is_running)

    def forget(self) -> None:
        """Say no more of a job that is over: another run is on show."""
        if not self.runner.is_running:
            self.say("")

    def cancel(self) -> None:
        """Ask the job to stop."""
        if self.runner.is_running:
            self.runner.cancel()
            self.cancel_button.setEnabled(False)
            self.say("Stopping after the current step…")

    def _on_started(self) -> None:
        self._link = ""
        self.bar.setRange(0, 0)
        self.bar.show()
        self.cancel_button.show()
        self.cancel_button.setEnabled(True)
        self.say("Starting…")

    def _on_progressed(self, progress: Progress) -> None:
        if not self.cancel_button.isEnabled():
            return
        # Of reports that come in a row, Qt would paint the window for each, at once.
        self.bar.setUpdatesEnabled(False)
        # A stage of one step has no share to show.
        self.bar.setRange(0, progress.total if progress.total > 1 else 0)
        self.bar.setValue(progress.done)
        self.bar.setUpdatesEnabled(True)
        text = progress.stage
        if progress.total > 1:
            text += f": {progress.done} of {progress.total}"
        if progress.remaining:
            text += f", {format_seconds(progress.remaining)} left"
        self._link = link_in(progress.stage) or self._link
        if self._link and self._link not in text:
            text += f"\nWorkers are shown at {self._link}"
        self.say(text)

    def _on_finished(self) -> None:
        self.bar.hide()
        self.cancel_button.hide()
        self.setVisible(bool(self.status.text()))


def link_in(text: str) -> str:
    """Return the address in a text, such as that of Dask's own page; empty without one."""
    found = _LINK.search(text)
    return found[0] if found else ""


def text_label(text: str = "") -> QLabel:
    """Return a label for sentences: wrapped, and selectable so that an error can be copied."""
    label = plain_label(text)
    label.setWordWrap(True)
    label.setAlignment(Qt.AlignmentFlag.AlignLeft | Qt.AlignmentFlag.AlignTop)
    label.setTextInteractionFlags(
        Qt.TextInteractionFlag.TextSelectableByMouse
        | Qt.TextInteractionFlag.TextSelectableByKeyboard
    )
    label.setSizePolicy(QSizePolicy.Policy.Preferred, QSizePolicy.Policy.Minimum)
    return label


def red_flag(name: str) -> QLabel:
    """Return a label that warns in red; `raise_flag` shows it."""
    flag = text_label()
    flag.setAccessibleName(name)
    flag.setStyleSheet(
        f"background: {WARNING}; color: white; border-radius: 4px; padding: 3px 6px;"
    )
    flag.hide()
    return flag


def raise_flag(flag: QLabel, sentence: str) -> None:
    """Show a flag with a sentence, or hide it where there is none."""
    flag.setText(f"⚑ {sentence}" if sentence else "")
    flag.setVisible(bool(sentence))


def flowing(*widgets: QWidget) -> FlowRow:
    """Return a row of widgets that goes on below where the panel is too narrow for it."""
    for widget in widgets:
        if isinstance(widget, QPushButton) and not widget.styleSheet():
            widget.setStyleSheet(_FRAMED)
    return FlowRow(*widgets)


def side_by_side(*widgets: QWidget) -> QWidget:
    """Return widgets that stay together in one line, such as back and forward."""
    together = QWidget()
    row = in_row(together)
    for widget in widgets:
        row.addWidget(widget)
    return together


def tipped_button(text: str, tip: str) -> QPushButton:
    """Return a button with a tooltip."""
    button = QPushButton(text)
    button.setToolTip(tip)
    return button


def heading(text: str, wraps: bool = False) -> QLabel:
    """Return the heading of a part of a panel; in a row with others it cannot wrap."""
    label = plain_label(text)
    label.setWordWrap(wraps)
    font = label.font()
    font.setBold(True)
    label.setFont(font)
    return label
