"""Tables of a run: its global maps, the model's performance, the image in view."""

from typing import Any

from qtpy.QtCore import Signal  # type: ignore[attr-defined]
from qtpy.QtWidgets import QWidget

from napari_globalxai.catalogue import STATISTICS
from napari_globalxai.statistics.recorded_statistics import (
    MAP,
    RecordedStatistic,
    recorded_statistics,
)
from napari_globalxai.widgets.fields.layouts import in_column
from napari_globalxai.widgets.fields.parts import text_label
from napari_globalxai.widgets.fields.plain_table import PlainTable
from napari_globalxai.widgets.session.run_view import RunView
from napari_globalxai.widgets.words.table_words import NOTHING, image_title, number


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
