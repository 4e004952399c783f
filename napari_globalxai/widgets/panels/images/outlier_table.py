"""The table of images that differ from the others."""

from qtpy.QtCore import Qt, QTimer, Signal  # type: ignore[attr-defined]
from qtpy.QtWidgets import QHeaderView

from napari_globalxai.widgets.fields.plain_table import PlainTable
from napari_globalxai.widgets.session.quality_view import QualityView
from napari_globalxai.widgets.words.plain_labels import plain
from napari_globalxai.widgets.words.table_words import NOTHING, number

_WIDEST_FILE = 130
_HEADING_MARGIN = 14
_NOTICED = 1
_LINES = 2
_STACK_ROW = Qt.ItemDataRole.UserRole


class OutlierTable(PlainTable):
    """The images that differ from the others; a click, the arrow keys or Enter choose one.

    Attributes
    ----------
    chosen : Signal
        Row of the image in its stack.
    """

    chosen = Signal(int)

    def __init__(self) -> None:
        super().__init__(
            {
                "Image": "File of the image",
                "Noticed": "In what the image differs from the others",
                "Score": "Distance from the median of all images in robust standard deviations, "
                "in what the image differs most",
                "Distance": "Distance from the mean of all other images: 1 less the correlation of "
                "their details",
                "Side": "Left or right",
            },
            most_rows=9,
        )
        # What is noticed is what to read: it gets the room, and more than a line where need be.
        self._across.setSectionResizeMode(QHeaderView.ResizeMode.Interactive)
        self._across.setSectionResizeMode(_NOTICED, QHeaderView.ResizeMode.Stretch)
        self.setWordWrap(True)
        # A file is known by its end.
        self.setTextElideMode(Qt.TextElideMode.ElideLeft)
        self._down.setMinimumSectionSize(self._row_height)
        self._fit = QTimer(self)
        self._fit.setSingleShot(True)
        self._fit.setInterval(0)
        self._fit.timeout.connect(self._fit_rows)
        self._across.sectionResized.connect(lambda *sizes: self._fit.start())
        self.setSortingEnabled(True)
        self.currentCellChanged.connect(self._on_cell)
        # Also where it is the current one already, and the viewer shows another.
        self.cellClicked.connect(self._on_cell)
        self.cellActivated.connect(self._on_cell)

    def show_outliers(self, view: QualityView) -> None:
        """Show the images of a quality control, in its order."""
        self.blockSignals(True)
        rows = view.outliers.to_dict("records")
        self.fill(
            [
                [
                    str(row["file"]),
                    view.noticed[at],
                    number(row["outlier_score"], 1),
                    number(row["distance"]),
                    str(row["laterality"]) or NOTHING,
                ]
                for at, row in zip(view.outliers.index, rows, strict=True)
            ]
        )
        self.setCurrentCell(-1, -1)
        for index, (at, row) in enumerate(zip(view.outliers.index, rows, strict=True)):
            patient = f"Patient {row['patient']}" if row["patient"] else ""
            tip = "\n".join(filter(None, (str(row["path"]), patient, view.noticed[at])))
            for column in range(self.columnCount()):
                item = self.item(index, column)
                assert item is not None
                item.setToolTip(plain(tip))
                item.setData(_STACK_ROW, int(at))
                if column == _NOTICED:
                    item.setTextAlignment(
                        Qt.AlignmentFlag.AlignLeft | Qt.AlignmentFlag.AlignVCenter
                    )
        self._set_widths()
        self.blockSignals(False)
        self._fit.start()

    def select(self, row: int) -> None:
        """Mark an image by its row in the stack; none where it is not listed."""
        listed = [self._stack_row(index) for index in range(self.rowCount())]
        self.blockSignals(True)
        if row not in listed:
            self.setCurrentCell(-1, -1)
        elif listed.index(row) != self.currentRow():
            self.selectRow(listed.index(row))
        self.blockSignals(False)

    def _stack_row(self, index: int) -> int | None:
        item = self.item(index, 0)
        return None if item is None else item.data(_STACK_ROW)

    def _on_cell(self, index: int, *rest: int) -> None:
        row = self._stack_row(index)
        if row is not None:
            self.chosen.emit(row)

    def _keep_first_heading(self) -> None:
        """Give the file half of what numbers leave, at most, and what is noticed the rest."""
        if self.columnCount() <= _NOTICED:
            return
        sizes = [self._across.sectionSize(column) for column in range(self.columnCount())]
        left = self.width() - sum(sizes[_NOTICED + 1 :])
        file = min(self.sizeHintForColumn(0), _WIDEST_FILE, left // 2)
        file = max(file, self._heading_width(0))
        self._across.resizeSection(0, file)
        # No word is cut, and most is read in two lines where the table is wide enough: other
        # columns may be scrolled to.
        measure = self.fontMetrics().horizontalAdvance
        noticed = [row[_NOTICED] for row in self.texts()]
        word = max((measure(each) for text in noticed for each in text.split()), default=0)
        line = max(map(measure, noticed), default=0)
        in_lines = min(line, line // _LINES + word // 2) + _HEADING_MARGIN
        room = self.viewport().width() - file  # type: ignore[union-attr]
        needed = max(word + _HEADING_MARGIN, min(in_lines, room), self._heading_width(_NOTICED))
        modes = QHeaderView.ResizeMode
        fits = left - file >= needed
        self._across.setSectionResizeMode(_NOTICED, modes.Stretch if fits else modes.Fixed)
        if not fits:
            self._across.resizeSection(_NOTICED, needed)

    def _heading_width(self, column: int) -> int:
        # Left to Qt, these would be twice as wide: it keeps room for an arrow on either side.
        item = self.horizontalHeaderItem(column)
        words = "" if item is None else item.text()
        # A heading is bold in napari's style.
        bold = 1.2 * float(self._across.fontMetrics().horizontalAdvance(words))
        return round(bold) + _HEADING_MARGIN

    def _set_widths(self) -> None:
        for column in range(_NOTICED + 1, self.columnCount()):
            hint = self.sizeHintForColumn(column)
            self.setColumnWidth(column, max(self._heading_width(column), hint))
        self._keep_first_heading()

    def _fit_rows(self) -> None:
        self.resizeRowsToContents()
        self.setFixedHeight(self.sizeHint().height())
