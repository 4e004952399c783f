"""A list of which some are chosen, each by a tick."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Optional

from napari.settings import get_settings
from napari.utils.theme import get_theme
from qtpy.QtCore import QEvent, Qt, Signal  # type: ignore[attr-defined]
from qtpy.QtGui import QDragEnterEvent, QDragMoveEvent, QDropEvent, QFocusEvent
from qtpy.QtWidgets import QListWidget, QListWidgetItem

from napari_globalxai.widgets.fields.path_field import local_paths
from napari_globalxai.widgets.fields.wrapped import tip_lines
from napari_globalxai.widgets.words.plain_labels import plain

_MOST_ROWS, _APART = 5, 2
_NAME = Qt.ItemDataRole.UserRole


class CheckList(QListWidget):
    """Names with a box to tick each; the space bar ticks, and files can be dropped.

    Parameters
    ----------
    title, tip : str
        What it is for a screen reader; its tooltip.

    Attributes
    ----------
    edited : Signal
        Others are ticked.
    dropped : Signal
        Files or folders were dropped on it, a list.
    """

    edited = Signal()
    dropped = Signal(object)

    def __init__(self, title: str, tip: str) -> None:
        super().__init__()
        self.setAccessibleName(title)
        self.setToolTip(tip_lines(tip))
        self.setTextElideMode(Qt.TextElideMode.ElideMiddle)
        self.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.setAcceptDrops(True)
        viewport = self.viewport()
        if viewport is not None:
            # A list has its events from there, and asks for none to be dropped.
            viewport.setAcceptDrops(True)
        self.setSpacing(_APART)
        self._look = ""
        self._take_colours()
        self.itemChanged.connect(self._on_changed)
        self._fit_height()

    def show_names(self, names: Iterable[tuple[str, str]]) -> None:
        """List others, by name and in words; what is ticked stays so where it is there."""
        ticked = set(self.ticked())
        self.blockSignals(True)
        self.clear()
        for name, words in names:
            self._add(name, words, name in ticked)
        self.blockSignals(False)
        self._fit_height()
        self.edited.emit()

    def add(self, name: str, words: str, is_ticked: bool = True) -> None:
        """List one more, or tick one that is there."""
        known = [item for item in self._items() if item.data(_NAME) == name]
        self.blockSignals(True)
        if not known:
            self._add(name, words, is_ticked)
        elif is_ticked:
            known[0].setCheckState(Qt.CheckState.Checked)
        self.blockSignals(False)
        self._fit_height()
        self.edited.emit()

    def names(self) -> list[str]:
        """Return all names."""
        return [str(item.data(_NAME)) for item in self._items()]

    def ticked(self) -> list[str]:
        """Return the names that are ticked."""
        checked = Qt.CheckState.Checked
        return [str(item.data(_NAME)) for item in self._items() if item.checkState() == checked]

    def words(self) -> list[str]:
        """Return what the names that are ticked are called."""
        checked = Qt.CheckState.Checked
        return [item.text() for item in self._items() if item.checkState() == checked]

    def tick(self, names: Iterable[str]) -> None:
        """Tick these, and no others."""
        wanted = set(names)
        for item in self._items():
            checked = item.data(_NAME) in wanted
            item.setCheckState(Qt.CheckState.Checked if checked else Qt.CheckState.Unchecked)

    def _items(self) -> list[QListWidgetItem]:
        items = (self.item(row) for row in range(self.count()))
        return [item for item in items if item is not None]

    def _add(self, name: str, words: str, is_ticked: bool) -> None:
        item = QListWidgetItem(plain(words))
        item.setData(_NAME, name)
        item.setToolTip(tip_lines(plain(name)))
        item.setFlags(item.flags() | Qt.ItemFlag.ItemIsUserCheckable)
        item.setCheckState(Qt.CheckState.Checked if is_ticked else Qt.CheckState.Unchecked)
        self.addItem(item)

    def _on_changed(self, item: object) -> None:
        self.edited.emit()

    def focusInEvent(self, event: Optional[QFocusEvent]) -> None:  # noqa: UP045
        """Have a line for the space bar."""
        super().focusInEvent(event)
        if self.currentRow() < 0 and self.count():
            self.setCurrentRow(0)

    def changeEvent(self, event: Optional[QEvent]) -> None:  # noqa: UP045
        """Follow the size of the letters."""
        super().changeEvent(event)
        if event is not None and event.type() in (QEvent.Type.FontChange, QEvent.Type.StyleChange):
            self._take_colours()
            self._fit_height()

    def _take_colours(self) -> None:
        """Have boxes as napari's are, which it gives to no list."""
        theme = get_theme(get_settings().appearance.theme)
        look = (
            f"QListView::indicator {{width: 14px; height: 14px; border-radius: 2px;"
            f"border: 1px solid {theme.secondary.as_hex()};"
            f"background: {theme.background.as_hex()};}}"
            f"QListView::indicator:checked {{background: {theme.current.as_hex()};"
            f'image: url("theme_{theme.id}:/check.svg");}}'
        )
        # A new look is a change of style itself.
        if look != self._look:
            self._look = look
            self.setStyleSheet(look)

    def _fit_height(self) -> None:
        rows = min(max(1, self.count()), _MOST_ROWS)
        row = self.sizeHintForRow(0) if self.count() else self.fontMetrics().height()
        self.setFixedHeight(rows * (row + 2 * _APART) + 2 * self.frameWidth())

    def dragEnterEvent(self, event: Optional[QDragEnterEvent]) -> None:  # noqa: UP045
        """Take files."""
        if event is not None and local_paths(event):
            event.acceptProposedAction()

    def dragMoveEvent(self, event: Optional[QDragMoveEvent]) -> None:  # noqa: UP045
        """Take files anywhere."""
        if event is not None:
            event.acceptProposedAction()

    def dropEvent(self, event: Optional[QDropEvent]) -> None:  # noqa: UP045
        """Take files."""
        paths: list[Path] = [] if event is None else local_paths(event)
        if event is not None and paths:
            event.acceptProposedAction()
            self.dropped.emit(paths)
