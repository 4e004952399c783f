"""Tables of the explain panel: the global maps, and the image in view."""

import numpy as np
import pandas as pd
from qtpy.QtCore import QSize, Qt, Signal
from qtpy.QtWidgets import (
    QAbstractItemView,
    QHeaderView,
    QTableWidget,
    QTableWidgetItem,
    QVBoxLayout,
    QWidget,
)

from napari_globalxai.widgets.parts import text_label
from napari_globalxai.widgets.run_view import RunView

NOTHING = "–"


def number(value: object, digits: int = 2) -> str:
    """Return a number for a table; a dash where there is none."""
    if isinstance(value, int | float | np.number) and np.isfinite(value):
        return f"{value:.{digits}f}".replace("-", "−")
    return NOTHING


class PlainTable(QTableWidget):  # type: ignore[misc]
    """A table to read, as high as its rows up to a limit.

    Parameters
    ----------
    columns : dict of str to str
        Headings and what they mean, for the tooltip.
    most_rows : int, optional
        From here on the table scrolls.
    """

    def __init__(self, columns: dict[str, str], most_rows: int = 10) -> None:
        super().__init__(0, len(columns))
        self._most_rows = most_rows
        self.setHorizontalHeaderLabels(list(columns))
        for index, tip in enumerate(columns.values()):
            self.horizontalHeaderItem(index).setToolTip(tip)
        self.horizontalHeader().setSectionResizeMode(QHeaderView.ResizeMode.ResizeToContents)
        self.horizontalHeader().setSectionResizeMode(0, QHeaderView.ResizeMode.Stretch)
        self.horizontalHeader().setMinimumSectionSize(30)
        self.verticalHeader().hide()
        self.verticalHeader().setDefaultSectionSize(24)
        self.setEditTriggers(QAbstractItemView.EditTrigger.NoEditTriggers)
        self.setSelectionBehavior(QAbstractItemView.SelectionBehavior.SelectRows)
        self.setSelectionMode(QAbstractItemView.SelectionMode.SingleSelection)
        self.setTabKeyNavigation(False)
        self.fill([])

    def fill(self, rows: list[list[str]]) -> None:
        """Show rows of text."""
        self.setRowCount(len(rows))
        for row, texts in enumerate(rows):
            for column, text in enumerate(texts):
                item = QTableWidgetItem(text)
                if column:
                    item.setTextAlignment(
                        Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter
                    )
                self.setItem(row, column, item)
        self.setFixedHeight(self.sizeHint().height())

    def texts(self) -> list[list[str]]:
        """Return what is shown."""
        return [
            [self.item(row, column).text() for column in range(self.columnCount())]
            for row in range(self.rowCount())
        ]

    def sizeHint(self) -> QSize:
        """Return the size that shows all rows, up to the limit."""
        rows = max(1, min(self.rowCount(), self._most_rows))
        height = self.horizontalHeader().sizeHint().height()
        return QSize(280, height + rows * self.verticalHeader().defaultSectionSize() + 4)


class MapTable(PlainTable):
    """How many images each global map rests on; a click chooses the map.

    Attributes
    ----------
    chosen : Signal
        Name of the map that was clicked.
    """

    chosen = Signal(str)

    def __init__(self) -> None:
        super().__init__(
            {
                "Map": "Overall, or the label",
                "Images": "Images that the mean was taken over",
                "Patients": "Patients that these images are of",
                "Reliability": "Agreement of the maps of two halves of the patients, at most 1",
            }
        )
        self.currentCellChanged.connect(self._on_cell)

    def show_run(self, view: RunView) -> None:
        """Show a run's maps."""
        self.blockSignals(True)
        self.fill(
            [
                [str(row.map), str(row.n), str(row.n_patients), number(row.reliability)]
                for row in view.run.statistics.itertuples()
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
            self.chosen.emit(self.item(row, 0).text())


class ImagePanel(QWidget):  # type: ignore[misc]
    """What is known of the image in view.

    Attributes
    ----------
    title : QLabel
        File, eye and patient; or why the image failed.
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
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(4)
        layout.addWidget(self.title)
        layout.addWidget(self.table)

    def show_image(self, view: RunView, row: int) -> None:
        """Show one image of a run."""
        image = view.run.images.iloc[row]
        eye = {"L": "left eye", "R": "right eye, mirrored"}.get(str(image["laterality"]), "")
        facts = [str(image["file"]), eye, f"patient {image['patient']}" if image["patient"] else ""]
        title = ", ".join(fact for fact in facts if fact)
        if image["status"] == "failed":
            title = f"Failed: {image['error']}"
        self.title.setText(f"{row + 1} of {len(view.run.images)}: {title}")
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
    def _truth(value: object) -> str:
        if value is None or pd.isna(value):
            return NOTHING
        return "yes" if value == 1 else "no"
