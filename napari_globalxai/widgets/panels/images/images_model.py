"""The images of a run as a Qt model: thousands of rows, sorted and filtered without delay."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
from qtpy.QtCore import QAbstractTableModel, QModelIndex, QObject, Qt

from napari_globalxai.plain_text import numeral
from napari_globalxai.runs.tables import FILE, LATERALITY, PATH, PATIENT, ROW, STATUS
from napari_globalxai.widgets.session.image_ranking import ImageFacts, facts_of, ordered
from napari_globalxai.widgets.words.plain_labels import plain
from napari_globalxai.widgets.words.table_words import NOTHING, number

if TYPE_CHECKING:
    from napari_globalxai.runs.run import Run

_TOP = QModelIndex()
_ALIGN_RIGHT = int(Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter)
_ALIGN_LEFT = int(Qt.AlignmentFlag.AlignLeft | Qt.AlignmentFlag.AlignVCenter)
_FAMILIES = ("probability_", "logit_", "similarity_", "percentile_", "truth:")
_LETTERS_OF_A_CELL = 12
_OURS = (ROW, FILE, PATH, STATUS, "error")


@dataclass(frozen=True)
class _Column:
    """A column: its heading, what it means, its values, and how one is written."""

    heading: str
    tip: str
    values: npt.NDArray[Any]
    write: Callable[[Any], str]

    @property
    def is_number(self) -> bool:
        return bool(self.values.dtype.kind in "fiub")


class ImagesModel(QAbstractTableModel):
    """The images of a run, in an order, of which some are shown.

    Attributes
    ----------
    order : numpy.ndarray
        Rows of the run that are shown, from the top.
    facts : ImageFacts or None
        What is known of the images.
    """

    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self.order: npt.NDArray[np.int64] = np.zeros(0, np.int64)
        self.facts: ImageFacts | None = None
        self._run: Run | None = None
        self._columns: list[_Column] = []
        self._rows: npt.NDArray[np.int64] | None = None
        self._preset = ""
        self._sorted: tuple[str, Qt.SortOrder] | None = None

    @property
    def preset(self) -> str:
        """The preset that the rows are ordered by, unless they are sorted by a column."""
        return self._preset

    # What the panel does.

    def show_run(self, run: Run, name: str) -> None:
        """Show a run with a label in mind, or with all (``overall``)."""
        self.beginResetModel()
        self._run, self.facts = run, facts_of(run, name)
        self._columns = _columns(run, self.facts, name)
        self.order = self._ordered()
        self.endResetModel()

    def show_rows(self, rows: tuple[int, ...] | None) -> None:
        """Show some of the rows only, or all."""
        self._rows = None if rows is None else np.asarray(rows, np.int64)
        self._reorder()

    def show_preset(self, preset: str) -> None:
        """Order the rows by a preset; see `image_ranking.ordered`."""
        self._preset, self._sorted = preset, None
        self._reorder()

    def place_of(self, row: int) -> int | None:
        """Return where a row of the run is shown, None where it is not."""
        places = np.flatnonzero(self.order == row)
        return int(places[0]) if len(places) else None

    def texts(self, place: int) -> list[str]:
        """Return what a line shows."""
        row = int(self.order[place])
        return [column.write(column.values[row]) for column in self._columns]

    def headings(self) -> list[str]:
        """Return the headings."""
        return [column.heading for column in self._columns]

    def _reorder(self) -> None:
        self.beginResetModel()
        self.order = self._ordered()
        self.endResetModel()

    def _ordered(self) -> npt.NDArray[np.int64]:
        if self._run is None or self.facts is None:
            return np.zeros(0, np.int64)
        order = ordered(self.facts, self._preset)
        if order is None:
            order = np.arange(len(self._run.images))
        known = next(
            (c for c in self._columns if self._sorted and c.heading == self._sorted[0]), None
        )
        if self._sorted is not None and known is not None:
            order = _sorted_rows(known, self._sorted[1])
        if self._rows is None:
            return order
        shown = np.zeros(len(order), dtype=bool)
        shown[self._rows] = True
        return order[shown[order]]

    # What Qt asks.

    def rowCount(self, parent: QModelIndex = _TOP) -> int:
        """Return how many lines there are."""
        return 0 if parent.isValid() else len(self.order)

    def columnCount(self, parent: QModelIndex = _TOP) -> int:
        """Return how many columns there are."""
        return 0 if parent.isValid() else len(self._columns)

    def data(self, index: QModelIndex, role: int = Qt.ItemDataRole.DisplayRole) -> Any:
        """Return what a cell shows."""
        if not index.isValid() or index.row() >= len(self.order):
            return None
        column = self._columns[index.column()]
        if role == Qt.ItemDataRole.DisplayRole:
            return column.write(column.values[int(self.order[index.row()])])
        if role == Qt.ItemDataRole.TextAlignmentRole:
            return _ALIGN_RIGHT if column.is_number else _ALIGN_LEFT
        if role == Qt.ItemDataRole.ToolTipRole and self._run is not None:
            row = int(self.order[index.row()])
            image, text = self._run.images.iloc[row], column.write(column.values[row])
            told = str(image["error"]) or str(image[PATH])
            # A long one is shortened in its cell.
            is_long = len(text) > _LETTERS_OF_A_CELL and text not in told
            return plain(f"{text}\n{told}" if is_long else told)
        return None

    def headerData(
        self,
        section: int,
        orientation: Qt.Orientation,
        role: int = Qt.ItemDataRole.DisplayRole,
    ) -> Any:
        """Return a heading, or what it means."""
        if orientation != Qt.Orientation.Horizontal or section >= len(self._columns):
            return None
        if role == Qt.ItemDataRole.DisplayRole:
            return self._columns[section].heading
        is_tip = role == Qt.ItemDataRole.ToolTipRole
        return plain(self._columns[section].tip) if is_tip else None

    def sort(self, column: int, order: Qt.SortOrder = Qt.SortOrder.AscendingOrder) -> None:
        """Sort by a column; by none where the number is below 0."""
        known = 0 <= column < len(self._columns)
        self._sorted = (self._columns[column].heading, order) if known else None
        self._reorder()


def _sorted_rows(column: _Column, order: Qt.SortOrder) -> npt.NDArray[np.int64]:
    values = column.values
    if not column.is_number:
        values = np.unique(values.astype(str), return_inverse=True)[1]
    key = values.astype(float)
    if order == Qt.SortOrder.DescendingOrder:
        key = -key
    # NaN goes last either way, and equal ones stay in the order of the cohort.
    return np.argsort(key, kind="stable").astype(np.int64)


def _columns(run: Run, facts: ImageFacts, name: str) -> list[_Column]:
    images = run.images
    of = "any label" if name == "overall" else name
    columns = [
        _Column("Image", "File of the image", images[FILE].to_numpy(object), str),
        _Column("Truth", f"Whether the table says {of}", facts.truth, _yes_or_no),
        _Column("Probability", f"What the model predicts for {of}", facts.probability, number),
        _Column(
            "Similarity",
            "Spearman correlation of the image's attribution with the global map",
            facts.similarity,
            number,
        ),
        _Column("Error", "Distance of the probability from the truth", facts.error, number),
        _Column(
            "Percentile",
            "Rank of the similarity among the images that carry the label, from 0 to 100",
            facts.percentile,
            lambda value: number(value, 0),
        ),
    ]
    truths = set(run.labels)
    for column in images.columns:
        is_ours = column in _OURS or column in truths or str(column).startswith(_FAMILIES)
        if not is_ours and (column not in (LATERALITY, PATIENT) or (images[column] != "").any()):
            columns.append(_of_the_table(str(column), images[column]))
    columns.append(
        _Column("Status", "Whether it was explained", images[STATUS].to_numpy(object), str)
    )
    return columns


def _of_the_table(name: str, values: Any) -> _Column:
    tip = f"The column {name} of images.csv, which queries may name"
    if values.dtype.kind in "fiu":
        return _Column(name, tip, values.to_numpy(), _short)
    return _Column(name, tip, values.fillna("").astype(str).to_numpy(object), str)


def _short(value: Any) -> str:
    return NOTHING if not np.isfinite(value) else numeral(value, "g")


def _yes_or_no(value: float) -> str:
    return NOTHING if not np.isfinite(value) else "yes" if value == 1 else "no"
