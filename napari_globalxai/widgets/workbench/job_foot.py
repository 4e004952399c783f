"""Work under way at the foot of a panel, where its own bar is scrolled or folded out of view."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from qtpy.QtCore import QEvent, QObject, QRect, Qt
from qtpy.QtGui import QResizeEvent
from qtpy.QtWidgets import QHBoxLayout, QProgressBar, QSizePolicy, QVBoxLayout, QWidget

from napari_globalxai.widgets.fields.layouts import in_column
from napari_globalxai.widgets.fields.parts import JobBar, tipped_button
from napari_globalxai.widgets.words.plain_labels import UnbrokenLabel, plain

if TYPE_CHECKING:
    from napari_globalxai.widgets.workbench.panel import Panel

_MOVES = {QEvent.Type.Resize, QEvent.Type.LayoutRequest, QEvent.Type.Show}


class JobFoot(QWidget):
    """A line for each bar of a panel that is not in view while its job runs.

    Parameters
    ----------
    panel : Panel
        The panel, with all that is in it; its bars stay where they are.

    Attributes
    ----------
    lines : list of QWidget
        A line a bar, hidden where it is not needed.
    """

    def __init__(self, panel: Panel) -> None:
        super().__init__(panel)
        self._panel = panel
        self._content: Any = panel.widget()
        self.setAccessibleName("Work under way")
        self.lines: list[_Line] = []
        self._box = QVBoxLayout(self)
        self._box.setContentsMargins(8, 4, 8, 4)
        self._box.setSpacing(4)
        for scroll in (panel.verticalScrollBar(), panel.horizontalScrollBar()):
            scroll.valueChanged.connect(self._look)  # type: ignore[union-attr]
        for part in (panel.viewport(), self._content):
            part.installEventFilter(self)  # type: ignore[union-attr]
        self.hide()
        self.take_in(panel)

    def take_in(self, part: QWidget) -> None:
        """Have a line for each bar of a part of the panel, which may be made late."""
        known = [line.bar for line in self.lines]
        for bar in part.findChildren(JobBar):
            if bar not in known:
                line = _Line(bar)
                self.lines.append(line)
                self._box.addWidget(line)
                for told in (bar.runner.started, bar.runner.finished, bar.runner.progressed):
                    told.connect(self._look)
        self._look()

    def eventFilter(self, of: QObject | None, event: QEvent | None) -> bool:
        """Look again where the view or what is in it takes another size."""
        if event is not None and event.type() in _MOVES:
            self._look()
        return False

    def _look(self, *what: object) -> None:
        """Show the lines that are needed, and leave the rest of the panel to what is in it."""
        shown = [line for line in self.lines if self._is_needed(line.bar)]
        for line in self.lines:
            line.setVisible(line in shown)
            if line in shown:
                line.follow()
        self.setVisible(bool(shown))
        height = self.sizeHint().height() if shown else 0
        if self._panel.viewportMargins().bottom() != height:
            self._panel.setViewportMargins(0, 0, 0, height)
        view = self._viewport().geometry()
        self.setGeometry(view.x(), view.y() + view.height(), view.width(), height)

    def _is_needed(self, bar: JobBar) -> bool:
        if not bar.runner.is_running:
            return False
        if not bar.isVisibleTo(self._content):
            # In a part that is folded away.
            return True
        seen = QRect(bar.bar.mapTo(self._content, bar.bar.rect().topLeft()), bar.bar.size())
        seen.translate(self._content.pos())
        return not self._viewport().rect().contains(seen)

    def _viewport(self) -> Any:
        """Return where the content is seen; what PySide6 gave before is dead once a dock closed."""
        return self._panel.viewport()


class _Line(QWidget):
    """The bar once more, in a line."""

    def __init__(self, bar: JobBar) -> None:
        super().__init__()
        self.bar = bar
        self._words = _Words()
        self._share = QProgressBar()
        self._share.setTextVisible(False)
        self._share.setMaximumHeight(6)
        self.cancel_button = tipped_button("Cancel", bar.cancel_button.toolTip())
        self.cancel_button.clicked.connect(self.cancel)
        row = QHBoxLayout()
        row.addWidget(self._share, 1)
        row.addWidget(self.cancel_button)
        # Words have the whole width.
        told = in_column(self, spacing=2)
        told.addWidget(self._words)
        told.addLayout(row)

    def cancel(self) -> None:
        """Ask the job to stop."""
        self.bar.cancel()
        self.follow()

    def follow(self) -> None:
        """Show what the bar shows."""
        text = self.bar.status.text().partition("\n")[0]
        self._words.say(text)
        self._share.setRange(self.bar.bar.minimum(), self.bar.bar.maximum())
        self._share.setValue(self.bar.bar.value())
        self.cancel_button.setEnabled(self.bar.cancel_button.isEnabled())
        self.cancel_button.setAccessibleName(f"Cancel: {text}")


class _Words(UnbrokenLabel):
    """A sentence in one line, the whole of it in the tooltip: two would take the panel's room."""

    def __init__(self) -> None:
        super().__init__()
        self.setTextFormat(Qt.TextFormat.PlainText)
        self.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Fixed)
        self._whole = ""

    def say(self, sentence: str) -> None:
        """Say something else."""
        self._whole = sentence
        self.setToolTip(plain(sentence))
        self._cut()

    def resizeEvent(self, event: QResizeEvent | None) -> None:
        """Cut the sentence where it ends now."""
        super().resizeEvent(event)
        self._cut()

    def changeEvent(self, event: QEvent | None) -> None:
        """Follow the size of the letters."""
        super().changeEvent(event)
        if event is not None and event.type() == QEvent.Type.FontChange:
            self._cut()

    def _cut(self) -> None:
        # The end tells how far the work is.
        middle = Qt.TextElideMode.ElideMiddle
        metrics = self.fontMetrics()
        # Margins that napari's style gives to labels.
        beside = self.sizeHint().width() - metrics.horizontalAdvance(self.text())
        words = metrics.elidedText(self._whole, middle, self.width() - beside)
        if words != self.text():
            self.setText(words)
