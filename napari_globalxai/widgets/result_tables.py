"""Tables of the panels: global maps, the image in view, performance."""

from typing import TYPE_CHECKING, Any, Optional, cast

import numpy as np
from qtpy.QtCore import QEvent, QSize, Qt, Signal  # type: ignore[attr-defined]
from qtpy.QtGui import QResizeEvent
from qtpy.QtWidgets import (
    QAbstractItemView,
    QHeaderView,
    QTableWidget,
    QTableWidgetItem,
    QWidget,
)

from napari_globalxai.catalogue import STATISTICS
from napari_globalxai.frame.modality import Modality
from napari_globalxai.plain_text import numeral
from napari_globalxai.statistics.recorded_statistics import (
    MAP,
    RecordedStatistic,
    recorded_statistics,
)
from napari_globalxai.widgets.exporting import offer_table
from napari_globalxai.widgets.layouts import in_column
from napari_globalxai.widgets.parts import text_label
from napari_globalxai.widgets.plain_labels import plain
from napari_globalxai.widgets.run_view import RunView
from napari_globalxai.widgets.wrapped import tip_lines

# Takes half a second to import, in the GUI thread.
if TYPE_CHECKING:
    import pandas as pd

NOTHING = "–"
_ROW_HEIGHT = 24
_ROW_MARGIN = 8
# Of which a name is told from others; a longer one is told by its tooltip.
_LETTERS_OF_A_NAME = 12


def number(value: object, digits: int = 2) -> str:
    """Return a number for a table; a dash where there is none."""
    if isinstance(value, np.number):
        value = value.item()
    # Integers of a file may be larger than any float.
    if isinstance(value, int | float) and abs(value) < 1e300:
        return numeral(value, f".{digits}f")
    return NOTHING


def probability(value: object) -> str:
    """Return a p for a table: never 0, which no p is."""
    is_small = isinstance(value, int | float | np.number) and 0 <= float(value) < 0.0005
    return "< 0.001" if is_small else number(value, 3)


def image_title(
    images: "pd.DataFrame", row: int, words: Modality, native_shape: tuple[int, int] | None = None
) -> str:
    """Return which image a row is: number, file, side and patient, or why it failed.

    Parameters
    ----------
    images : pandas.DataFrame
        Images of a cohort in its order.
    row : int
        Which of them.
    words : Modality
        What images show.
    native_shape : tuple of int, optional
        Height and width of its file, where it is seen as the file stores it.
    """
    image = images.iloc[row]
    right = f"{words.right}, mirrored" if native_shape is None else words.right
    side = {"L": words.left, "R": right}.get(str(image["laterality"]), "")
    facts = [str(image["file"]), side, f"patient {image['patient']}" if image["patient"] else ""]
    if native_shape is not None:
        height, width = native_shape
        facts.append(f"{width}\N{NO-BREAK SPACE}×\N{NO-BREAK SPACE}{height} pixels")
    title = ", ".join(fact for fact in facts if fact)
    if image["status"] == "failed":
        title = f"Failed: {image['error']}"
    return f"{row + 1} of {len(images)}: {title}"


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


class MapTable(PlainTable):
    """The declared statistics of each global map; a click chooses the map.

    Attributes
    ----------
    chosen : Signal
        Name of the map that was clicked.
    meanings : list of str
        What each statistic is, a sentence each.
    """

    chosen = Signal(str)

    def __init__(self) -> None:
        super().__init__({"Map": "Overall, or the label"})
        self.meanings: list[str] = []
        self._head(recorded_statistics(STATISTICS.own))
        self.currentCellChanged.connect(self._on_cell)

    def _head(self, statistics: list[RecordedStatistic]) -> None:
        columns = [(statistic.heading, statistic.summary) for statistic in statistics]
        self.meanings = [f"{heading}: {summary}." for heading, summary in columns]
        self.set_columns([("Map", "Overall, or the label"), *columns])

    def show_run(self, view: RunView) -> None:
        """Show a run's maps."""
        table = view.run.statistics
        statistics = recorded_statistics(table.columns)
        self.blockSignals(True)
        self._head(statistics)
        self.fill(
            [
                [str(row[MAP]), *(statistic.text(row[statistic.name]) for statistic in statistics)]
                for row in table.to_dict("records")
            ]
        )
        self.blockSignals(False)

    def select(self, name: str) -> None:
        """Mark the row of a map."""
        names = [texts[0] for texts in self.texts()]
        if name in names:
            self.blockSignals(True)
            self.selectRow(names.index(name))
            self.blockSignals(False)

    def _on_cell(self, row: int, *rest: int) -> None:
        if row >= 0:
            self.chosen.emit(self.text(row, 0))


class PerformanceTable(PlainTable):
    """How well the model tells its labels apart."""

    def __init__(self) -> None:
        super().__init__(
            {
                "Label": "A label of the model",
                "ROC AUC": "How well the model tells images with the label from those without",
                "95 %": "Interval over patients",
                "With": "Images with the label",
                "Without": "Images without it",
            }
        )
        self.setAccessibleName("Performance")

    def show_run(self, view: RunView) -> None:
        """Show the performance of a run's model."""
        self.fill(
            [
                [
                    each.label,
                    number(each.roc_auc, 3),
                    f"{number(each.ci_low)}–{number(each.ci_high)}",
                    str(each.positives),
                    str(each.negatives),
                ]
                for each in view.run.performance
            ]
        )


class ImagePanel(QWidget):
    """What is known of the image in view.

    Attributes
    ----------
    title : QLabel
        File, side and patient; or why the image failed.
    table : PlainTable
        By label: truth, probability, similarity to the global map.
    """

    def __init__(self) -> None:
        super().__init__()
        self.title = text_label(NOTHING)
        self.table = PlainTable(
            {
                "Label": "A label of the model",
                "Truth": "What the cohort table says",
                "Probability": "What the model predicts",
                "Similarity": "Spearman correlation of the image's attribution with the label's "
                "global map, the image left out of its own mean",
            }
        )
        self.table.setAccessibleName("Image in view")
        layout = in_column(self)
        layout.addWidget(self.title)
        layout.addWidget(self.table)

    def show_image(self, view: RunView, row: int, native: bool = False) -> None:
        """Show one image of a run; `native` where it is seen as its file stores it."""
        image = view.run.images.iloc[row]
        place = view.run.placements.get(row) if native else None
        shape = None if place is None else place.shape
        self.title.setText(image_title(view.run.images, row, view.run.modality, shape))
        self.table.fill(
            [
                [
                    label,
                    self._truth(image.get(label)),
                    number(image.get(f"probability_{label}")),
                    number(image.get(f"similarity_{label}")),
                ]
                for label in view.labels
            ]
        )

    @staticmethod
    def _truth(value: Any) -> str:
        # What is missing is None or NaN, which differs from itself.
        if value is None or value != value:
            return NOTHING
        return "yes" if value == 1 else "no"
