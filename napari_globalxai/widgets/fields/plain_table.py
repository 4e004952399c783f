"""A table to read: as high as its rows, its first column as wide as there is room."""

from typing import Any, Optional, cast

import numpy as np
from qtpy.QtCore import QEvent, QSize, Qt
from qtpy.QtGui import QResizeEvent
from qtpy.QtWidgets import QAbstractItemView, QHeaderView, QTableWidget, QTableWidgetItem

from napari_globalxai.widgets.fields.exporting import offer_table
from napari_globalxai.widgets.fields.wrapped import tip_lines
from napari_globalxai.widgets.words.plain_labels import plain

_ROW_HEIGHT = 24
_ROW_MARGIN = 8
# Of which a name is told from others; a longer one is told by its tooltip.
_LETTERS_OF_A_NAME = 12


class PlainTable(QTableWidget):
    """A table to read, as high as its rows up to a limit.

    Parameters
    ----------
    columns : dict of str to str
        Headings and what they mean, for the tooltip.
    most_rows : int, optional
        From as many rows of one line on, the table scrolls.
    """

    def __init__(self, columns: dict[str, str], most_rows: int = 10) -> None:
        super().__init__()
        self._most_rows = most_rows
        self.setHorizontalScrollMode(QAbstractItemView.ScrollMode.ScrollPerPixel)
        # As variables of any type: Qt's stubs think that a table may lack headers.
        self._across = cast(Any, self.horizontalHeader())
        self._down = cast(Any, self.verticalHeader())
        self._across.setMinimumSectionSize(30)
        # Headings of what is marked would be bold, and no longer fit.
        self._across.setHighlightSections(False)
        self._down.hide()
        self._down.setDefaultSectionSize(self._row_height)
        self.setEditTriggers(QAbstractItemView.EditTrigger.NoEditTriggers)
        self.setSelectionBehavior(QAbstractItemView.SelectionBehavior.SelectRows)
        self.setSelectionMode(QAbstractItemView.SelectionMode.SingleSelection)
        self.setTabKeyNavigation(False)
        # Names often differ at their ends.
        self.setTextElideMode(Qt.TextElideMode.ElideMiddle)
        self.setWordWrap(False)
        offer_table(self)
        self.set_columns(list(columns.items()))
        self.fill([])

    def set_columns(self, columns: list[tuple[str, str]]) -> None:
        """Have columns with these headings and meanings; the first takes the room that is left."""
        self.setColumnCount(len(columns))
        for index, (name, tip) in enumerate(columns):
            item = QTableWidgetItem(name)
            item.setToolTip(plain(tip))
            self.setHorizontalHeaderItem(index, item)
        self._across.setSectionResizeMode(QHeaderView.ResizeMode.ResizeToContents)
        self._keep_first_heading()

    def _keep_first_heading(self) -> None:
        """Let the first column take what is left, unless heading and names need more."""
        if not self.columnCount():
            return
        # Columns take the width of what is in them a turn later, unless the header is asked.
        self._across.visualIndexAt(0)
        first = self.horizontalHeaderItem(0)
        words = "" if first is None else first.text()
        others = sum(self._across.sectionSize(index) for index in range(1, self.columnCount()))
        width = self.fontMetrics().horizontalAdvance
        # A heading is bold in napari's style.
        needed = round(1.2 * width(words)) + 12
        longest = max((width(self.text(row, 0)) for row in range(self.rowCount())), default=0)
        needed = max(needed, min(longest, width("m" * _LETTERS_OF_A_NAME)) + 12)
        modes = QHeaderView.ResizeMode
        fits = self.width() - others >= needed
        self._across.setSectionResizeMode(0, modes.Stretch if fits else modes.Fixed)
        if not fits:
            self._across.resizeSection(0, needed)

    def fill(self, rows: list[list[str]]) -> None:
        """Show rows of text, in this order."""
        sorts = self.isSortingEnabled()
        # Otherwise rows move while they are filled.
        self.setSortingEnabled(False)
        self._across.setSortIndicator(-1, Qt.SortOrder.AscendingOrder)
        self.setRowCount(len(rows))
        for row, texts in enumerate(rows):
            for column, text in enumerate(texts):
                item = _Cell(text)
                if len(text) > _LETTERS_OF_A_NAME:
                    item.setToolTip(tip_lines(plain(text)))
                if column and not text[:1].isalpha():
                    item.setTextAlignment(
                        Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter
                    )
                self.setItem(row, column, item)
        self.setSortingEnabled(sorts)
        self._keep_first_heading()
        self.setFixedHeight(self.sizeHint().height())

    def texts(self) -> list[list[str]]:
        """Return what is shown."""
        return [
            [self.text(row, column) for column in range(self.columnCount())]
            for row in range(self.rowCount())
        ]

    def text(self, row: int, column: int) -> str:
        """Return the text of a cell."""
        item = self.item(row, column)
        return "" if item is None else item.text()

    def sizeHint(self) -> QSize:
        """Return the size that shows all rows, up to the limit."""
        rows = sum(self.rowHeight(row) for row in range(self.rowCount()))
        rows = max(self._row_height, min(rows, self._most_rows * self._row_height))
        bar = self.horizontalScrollBar()
        below = bar.sizeHint().height() if bar is not None and bar.maximum() > 0 else 0
        return QSize(200, self._across.sizeHint().height() + rows + 4 + below)

    @property
    def _row_height(self) -> int:
        """Height of a row of one line, which grows with the letters."""
        return max(_ROW_HEIGHT, self.fontMetrics().height() + _ROW_MARGIN)

    def resizeEvent(self, event: Optional[QResizeEvent]) -> None:  # noqa: UP045
        """Make room for a bar below where the columns do not fit."""
        super().resizeEvent(event)
        self._keep_first_heading()
        self._fit_height()

    def changeEvent(self, event: Optional[QEvent]) -> None:  # noqa: UP045
        """Follow the size of the letters."""
        super().changeEvent(event)
        if event is not None and event.type() in (QEvent.Type.FontChange, QEvent.Type.StyleChange):
            self._down.setDefaultSectionSize(self._row_height)
            self._keep_first_heading()
            self._fit_height()

    def _fit_height(self) -> None:
        height = self.sizeHint().height()
        if height != self.height():
            self.setFixedHeight(height)


class _Cell(QTableWidgetItem):
    """A cell that is sorted by its number, where it shows one."""

    def __lt__(self, other: QTableWidgetItem) -> bool:
        return _sort_key(self.text()) < _sort_key(other.text())


def _sort_key(text: str) -> tuple[float, str]:
    try:
        return float(text.replace("−", "-")), ""
    except ValueError:
        # A dash comes before all numbers.
        return -np.inf, text
