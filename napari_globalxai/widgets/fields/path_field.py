"""A path that can be typed, picked or dropped."""

from collections.abc import Callable
from pathlib import Path
from typing import Any, Optional

from qtpy.QtCore import Signal  # type: ignore[attr-defined]
from qtpy.QtGui import QDragEnterEvent, QDropEvent
from qtpy.QtWidgets import QFileDialog, QLineEdit, QToolButton, QWidget

from napari_globalxai.widgets.fields.layouts import in_row
from napari_globalxai.widgets.words.plain_labels import plain


class _PathLine(QLineEdit):
    """A line that takes a dropped file as its path, not as an address.

    Attributes
    ----------
    dropped : Signal
        Files or folders were dropped, a list.
    """

    dropped = Signal(object)

    def dragEnterEvent(self, event: Optional[QDragEnterEvent]) -> None:  # noqa: UP045
        """Take files."""
        if event is not None and local_paths(event):
            event.acceptProposedAction()
        else:
            super().dragEnterEvent(event)

    def dropEvent(self, event: Optional[QDropEvent]) -> None:  # noqa: UP045
        """Take files."""
        paths = [] if event is None else local_paths(event)
        if event is not None and paths:
            event.acceptProposedAction()
            self.dropped.emit(paths)
        else:
            super().dropEvent(event)


def local_paths(event: Any) -> list[Path]:
    """Return the files and folders of this machine that a drag brings."""
    data = event.mimeData()
    urls = [] if data is None else data.urls()
    return [Path(url.toLocalFile()) for url in urls if url.isLocalFile()]


class PathField(QWidget):
    """A path that can be typed, picked or dropped.

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
    dropped : Signal
        The user dropped a path on it that belongs somewhere else.
    takes : callable
        Tells whether a dropped path belongs here; by default any does.
    """

    edited = Signal()
    dropped = Signal(object)

    def __init__(self, caption: str, file_filter: Optional[str] = None) -> None:  # noqa: UP045
        super().__init__()
        self._caption, self._filter = caption, file_filter
        self._is_chosen = False
        self.takes: Callable[[Path], bool] = lambda path: True
        self.line = _PathLine()
        self.line.setMinimumWidth(60)
        self.line.setAccessibleName(caption)
        self.browse_button = QToolButton()
        self.browse_button.setText("…")
        self.browse_button.setToolTip(caption)
        self.browse_button.setAccessibleName(f"{caption}, from a list")
        layout = in_row(self)
        layout.addWidget(self.line, 1)
        layout.addWidget(self.browse_button)
        self.setFocusProxy(self.line)
        self.browse_button.clicked.connect(self.browse)
        self.line.editingFinished.connect(self.edited)
        self.line.textEdited.connect(self._on_typed)
        self.line.dropped.connect(self._on_dropped)

    @property
    def path(self) -> Optional[Path]:  # noqa: UP045
        """The path, or None where the field is empty."""
        text = self.line.text().strip()
        return Path(text).expanduser() if text else None

    @path.setter
    def path(self, path: Optional[Path]) -> None:  # noqa: UP045
        self.line.setText("" if path is None else str(path))
        # A long path is known by its end.
        self.line.setToolTip(plain(self.line.text()))
        self.edited.emit()

    def suggest(self, path: Path) -> None:
        """Fill in a path, unless the user typed or picked one."""
        if not self._is_chosen:
            self.path = path

    def choose(self, path: Path) -> None:
        """Fill in a path that no suggestion takes the place of."""
        self._is_chosen = True
        self.path = path

    def browse(self) -> None:
        """Let the user pick a file or folder."""
        start = str(self.path or Path.home())
        if self._filter is None:
            chosen = QFileDialog.getExistingDirectory(self, self._caption, start)
        else:
            chosen, _ = QFileDialog.getOpenFileName(self, self._caption, start, self._filter)
        if chosen:
            self.choose(Path(chosen))

    def _on_typed(self, text: str) -> None:
        self._is_chosen = bool(text.strip())

    def _on_dropped(self, paths: list[Path]) -> None:
        """Take the first that belongs here; others may belong somewhere else."""
        here = [path for path in paths if self.takes(path)]
        if here:
            self.choose(here[0])
        for path in paths:
            if path not in here:
                self.dropped.emit(path)
