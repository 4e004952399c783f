"""The panel with all images of a run: sorted, filtered, in step with the image in view."""

from pathlib import Path
from typing import Optional

import napari.viewer
from qtpy.QtCore import QModelIndex, Qt
from qtpy.QtWidgets import (
    QAbstractItemView,
    QFileDialog,
    QHeaderView,
    QLineEdit,
    QPushButton,
    QTableView,
)

from napari_globalxai.cohort.wording import counted
from napari_globalxai.errors import InputError
from napari_globalxai.storage import write_table
from napari_globalxai.widgets.fields.choice_box import choice_box
from napari_globalxai.widgets.fields.parts import flowing, side_by_side, text_label
from napari_globalxai.widgets.fields.settings_form import FormRows
from napari_globalxai.widgets.fields.wrapped import tip_lines
from napari_globalxai.widgets.layers.run_layers import RunLayers, layers_of
from napari_globalxai.widgets.panels.images.images_model import ImagesModel
from napari_globalxai.widgets.session.image_clusters import cluster_of
from napari_globalxai.widgets.session.run_view import RunView
from napari_globalxai.widgets.session.session import Session, session_of
from napari_globalxai.widgets.session.shown_maps import Selection, selection_of
from napari_globalxai.widgets.words.panel_words import in_panel_words
from napari_globalxai.widgets.workbench.identity import make_header
from napari_globalxai.widgets.workbench.panel import Panel
from napari_globalxai.widgets.workbench.step_buttons import step_buttons

_EXAMPLE = "site == 'B' and age > 60"
_PRESETS = {
    "": "In the order of the cohort",
    "errors": "Errors first",
    "unlike": "Least like the others first",
    "cluster": "The cluster of the image in view",
}


class ImagesWidget(Panel):
    """Lists all images of the run on show; a filter is the selection that maps are made of.

    Parameters
    ----------
    viewer : napari.viewer.Viewer
        The viewer.

    Attributes
    ----------
    session : Session
        What the viewer works on.
    model : ImagesModel
        The rows.
    view : QTableView
        The table; a click or the arrow keys show an image.
    query_line : QLineEdit
        The filter, a query as on the command line.
    label_box : QComboBox
        Whose truth, probability and similarity are listed.
    preset_box : QComboBox
        Orders that help to find what does not follow.
    said : QLabel
        How many images are shown, or why a query was refused.
    """

    short_name = "Images"

    def __init__(self, viewer: "napari.viewer.Viewer") -> None:
        super().__init__()
        self.session: Session = session_of(viewer)
        self.layers: RunLayers = layers_of(viewer)
        self.model = ImagesModel(self)
        self._follows = False
        self.step_buttons = step_buttons(self, viewer)
        self._make_controls()
        self._lay_out()
        self._connect()
        if self.session.view is not None:
            self._on_view(self.session.view)

    def filter(self, text: str) -> None:
        """Select the images that a query means; all where it is empty."""
        view, text = self.session.view, text.strip()
        if view is None:
            return
        if not text:
            self.session.select(None)
            return
        try:
            self.session.select(selection_of(text, view.run))
        except InputError as why:
            self.said.setText(f"⚠ {in_panel_words(str(why))}")

    def save(self) -> None:
        """Save the rows that are shown, in their order, as a table."""
        view = self.session.view
        if view is None:
            return
        path, _ = QFileDialog.getSaveFileName(
            self, "Save the images shown", "images.csv", "Tables (*.csv)"
        )
        if path:
            try:
                # The index is the row in the run, whatever the order here.
                write_table(Path(path), view.run.images.iloc[self.model.order], index_label="row")
            except OSError as why:
                self.said.setText(f"⚠ {path}: cannot be written ({why.strerror}).")
                return
            self.said.setText(f"Saved: {path}")

    def _make_controls(self) -> None:
        self.header = make_header(self, self.session)
        self.query_line = QLineEdit()
        self.query_line.setClearButtonEnabled(True)
        self.query_line.setAccessibleName("Filter")
        self.query_line.setPlaceholderText(_EXAMPLE)
        self.query_line.setToolTip(
            tip_lines(
                "Comparisons over the columns of images.csv, such as probability_Gla >= 0.5; names "
                f"with blanks in backticks. The maps follow.\n{_EXAMPLE}"
            )
        )
        self.label_box = choice_box(
            "Label", "Whose truth, probability and similarity are listed; the maps follow"
        )
        self.preset_box = choice_box("Order", "Which images come first")
        for name, words in _PRESETS.items():
            self.preset_box.addItem(words, name)
        self.said = text_label()
        self.view = QTableView()
        self.view.setModel(self.model)
        self.view.setAccessibleName("All images")
        self.view.setSelectionBehavior(QAbstractItemView.SelectionBehavior.SelectRows)
        self.view.setSelectionMode(QAbstractItemView.SelectionMode.SingleSelection)
        self.view.setTabKeyNavigation(False)
        self.view.setTextElideMode(Qt.TextElideMode.ElideLeft)
        # Else a path would go on in a line that is not in view, and its end be elided.
        self.view.setWordWrap(False)
        self.view.setHorizontalScrollMode(QAbstractItemView.ScrollMode.ScrollPerPixel)
        self.view.setMinimumHeight(240)
        self.view.setSortingEnabled(True)
        self.across: QHeaderView = self.view.horizontalHeader()  # type: ignore[assignment]
        self.across.setSortIndicator(-1, Qt.SortOrder.AscendingOrder)
        self.across.setSectionResizeMode(QHeaderView.ResizeMode.Interactive)
        down = self.view.verticalHeader()
        if down is not None:
            # Of one height, so that thousands of rows are laid out at once.
            down.setSectionResizeMode(QHeaderView.ResizeMode.Fixed)
            down.hide()
        self._set_row_height()
        self.save_button = QPushButton("Save list…")
        self.save_button.setToolTip("Save the rows that are shown as a table")
        self.all_button = QPushButton("Show all")
        self.all_button.setToolTip("Take the filter away")

    def take_letters(self, event: object = None) -> None:
        """Give the table rows and columns of the letters' size."""
        super().take_letters(event)
        self._set_row_height()
        self._set_widths()

    def _set_row_height(self) -> None:
        down = self.view.verticalHeader()
        if down is not None:
            down.setDefaultSectionSize(self.view.fontMetrics().height() + 8)

    def _lay_out(self) -> None:
        form = FormRows()
        form.form.addRow("La&bel", self.label_box)
        form.form.addRow("F&ilter", self.query_line)
        form.form.addRow("&Order", self.preset_box)
        buttons = flowing(side_by_side(*self.step_buttons), self.all_button, self.save_button)
        self.content.addWidget(self.header)
        self.content.addWidget(form)
        self.content.addWidget(self.said)
        self.content.addWidget(self.view, 1)
        self.content.addWidget(buttons)
        self._set_enabled(False)

    def _connect(self) -> None:
        self.query_line.editingFinished.connect(self._on_query)
        self.label_box.activated.connect(self._on_label)
        self.preset_box.currentIndexChanged.connect(self._on_preset)
        self.preset_box.activated.connect(self._on_preset_again)
        self.save_button.clicked.connect(self.save)
        self.all_button.clicked.connect(self._on_all)
        self.view.clicked.connect(self._on_index)
        self.view.activated.connect(self._on_index)
        chosen = self.view.selectionModel()
        assert chosen is not None
        chosen.currentRowChanged.connect(self._on_index)
        self.model.modelReset.connect(self._on_reset)
        self.follow(self.session.view_changed, self._on_view)
        self.follow(self.session.map_changed, self._on_map)
        self.follow(self.session.selection_changed, self._on_selection)
        self.follow(self.session.row_changed, self._on_row)

    def _set_enabled(self, enabled: bool) -> None:
        for part in (
            self.label_box,
            self.query_line,
            self.preset_box,
            self.view,
            self.save_button,
        ):
            part.setEnabled(enabled)
        self.all_button.setEnabled(enabled and self.session.selection is not None)

    def _on_view(self, view: RunView) -> None:
        self._set_enabled(True)
        self.label_box.clear()
        self.label_box.addItems(list(view.maps))
        self.label_box.setCurrentText(self.session.map_name)
        self.model.show_run(view.run, self.session.map_name)
        self._on_selection(self.session.selection)
        self._set_widths()

    def _on_map(self, name: str) -> None:
        view = self.session.view
        if view is not None:
            self.label_box.setCurrentText(name)
            self.model.show_run(view.run, name)

    def _on_label(self) -> None:
        self.session.choose_map(self.label_box.currentText())

    def _on_selection(self, selection: Optional[Selection]) -> None:  # noqa: UP045
        self.query_line.setText("" if selection is None else selection.where)
        self.all_button.setEnabled(selection is not None)
        self.model.show_rows(None if selection is None else selection.rows)

    def _on_query(self) -> None:
        known = self.session.selection
        text = self.query_line.text().strip()
        if text != ("" if known is None else known.where):
            self.filter(text)
        elif self.said.text().startswith("⚠"):
            # What was wrong has been taken back.
            self._count()

    def _on_all(self) -> None:
        self.session.select(None)
        self.query_line.clear()

    def _on_preset(self) -> None:
        if self.preset_box.currentData() == "cluster":
            self._select_cluster()
            return
        self.across.blockSignals(True)
        self.across.setSortIndicator(-1, Qt.SortOrder.AscendingOrder)
        self.across.blockSignals(False)
        self.model.show_preset(str(self.preset_box.currentData()))
        if len(self.model.order):
            # What was asked for is what comes first.
            self.layers.step_to(int(self.model.order[0]))
            self.view.scrollToTop()

    def _on_preset_again(self, index: int) -> None:
        # The image in view may be another by now.
        if self.preset_box.itemData(index) == "cluster":
            self._select_cluster()

    def _select_cluster(self) -> None:
        """Show the images whose maps are of one cluster with that of the image in view."""
        view = self.session.view
        # It is a selection; the box goes on telling the order.
        self.preset_box.blockSignals(True)
        self.preset_box.setCurrentIndex(self.preset_box.findData(self.model.preset))
        self.preset_box.blockSignals(False)
        if view is None:
            return
        try:
            cluster = cluster_of(view.run, self.session.map_name, self.session.row)
        except InputError as why:
            self.said.setText(f"⚠ {in_panel_words(str(why))}")
            return
        self.session.select(cluster)

    def _on_index(self, index: QModelIndex, *before: QModelIndex) -> None:
        if index.isValid() and not self._follows:
            self.layers.step_to(int(self.model.order[index.row()]))

    def _on_reset(self) -> None:
        self._count()
        self._on_row(self.session.row)

    def _count(self) -> None:
        count = self.model.rowCount()
        view = self.session.view
        total = 0 if view is None else len(view.run.images)
        whole = counted(total, "image")
        chosen = self.session.selection
        odd = [] if chosen is None else [f"⚠ {remark}." for remark in chosen.remarks]
        self.said.setText("\n".join([f"{count} of {whole}" if count < total else whole, *odd]))

    def _on_row(self, row: int) -> None:
        place, chosen = self.model.place_of(row), self.view.selectionModel()
        if chosen is None:
            return
        # What follows the slider must not move it.
        self._follows = True
        if place is None:
            chosen.clear()
        else:
            self.view.selectRow(place)
            self.view.scrollTo(self.model.index(place, 0))
        self._follows = False

    def _set_widths(self) -> None:
        metrics = self.fontMetrics()
        for column, heading in enumerate(self.model.headings()):
            sample = self.model.texts(0)[column] if self.model.rowCount() else ""
            if column == 0 and "/" in sample:
                # Elided on the left: what differs between images is in view, and more columns.
                sample = f"…{sample[sample.rindex('/') :]}"
            wide = max(metrics.horizontalAdvance(text) for text in (heading, sample))
            self.view.setColumnWidth(column, min(wide + 24, 200))
