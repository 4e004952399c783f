"""Which global map is shown and how: label, selection, difference, statistic, scale."""

from typing import Any, Optional

from qtpy.QtCore import Qt, Signal  # type: ignore[attr-defined]
from qtpy.QtWidgets import QCheckBox, QLineEdit, QWidget

from napari_globalxai.errors import InputError
from napari_globalxai.settings.aggregation_settings import SELECTIONS
from napari_globalxai.settings.map_settings import STATISTICS_OF_CELLS
from napari_globalxai.statistics.query import parse_query
from napari_globalxai.widgets.colours import SCALES, WARNING
from napari_globalxai.widgets.fold import Fold
from napari_globalxai.widgets.keep_selection import KeepSelection
from napari_globalxai.widgets.layers import RunLayers
from napari_globalxai.widgets.layouts import in_column
from napari_globalxai.widgets.mass import outside_warning
from napari_globalxai.widgets.panel import Panel, choice_box
from napari_globalxai.widgets.panel_words import in_panel_words
from napari_globalxai.widgets.parts import text_label
from napari_globalxai.widgets.result_tables import MapTable
from napari_globalxai.widgets.run_view import RunView
from napari_globalxai.widgets.session import Session
from napari_globalxai.widgets.settings_form import FormRows
from napari_globalxai.widgets.shown_maps import MapChoice, Selection
from napari_globalxai.widgets.wrapped import WrappedBox, tip_lines

_TOOLTIP = Qt.ItemDataRole.ToolTipRole


class MapView(QWidget):
    """Chooses the global map and how it is drawn.

    Parameters
    ----------
    panel : Panel
        The panel that it is a part of.
    viewer : napari.viewer.Viewer
        The viewer.
    session : Session
        What the viewer works on.
    layers : RunLayers
        What is drawn.

    Attributes
    ----------
    refused : Signal
        One sentence: why a query was not taken.
    map_box, scale_box, statistic_box : QComboBox
        The map; how colours follow values; what is shown of the images' maps.
    global_map_box, attribution_box, contour_box, colour_bar_box, shared_scale_box : QCheckBox
        What is drawn, and whether labels share a scale.
    residual_box : QCheckBox
        Whether the mean of the others is taken from the attribution of the image in view.
    among_line, less_line : QLineEdit
        Queries: of which images, and less those of which.
    map_table : MapTable
        The statistics of the run's maps.
    entering : QLabel
        Which of the run's images enter a map.
    meanings : Fold
        What the statistics are.
    kept : KeepSelection
        Keeps the maps of a selection in the run.
    outside : QLabel
        A warning where much of the map lies outside the field of view.
    """

    refused = Signal(str)

    def __init__(self, panel: Panel, viewer: Any, session: Session, layers: RunLayers) -> None:
        super().__init__()
        self.session, self.layers = session, layers
        self._make_controls()
        self.kept = KeepSelection(panel, viewer, session)
        self._lay_out()
        self._connect(panel)

    def _make_controls(self) -> None:
        self.map_box = choice_box("Map", "The global map to show: of all labels together or of one")
        self.scale_box = choice_box("Scale", "How colours follow the map's values")
        for name, words in SCALES.items():
            self.scale_box.addItem(name.capitalize(), name)
            self.scale_box.setItemData(self.scale_box.count() - 1, words, _TOOLTIP)
        self.statistic_box = choice_box("Statistic", "What is shown of the images' maps")
        for name, words in STATISTICS_OF_CELLS.items():
            self.statistic_box.addItem("SD" if name == "sd" else name.capitalize(), name)
            self.statistic_box.setItemData(self.statistic_box.count() - 1, words, _TOOLTIP)
        self.global_map_box = _box("Global map", "Show the mean over the images that carry it")
        self.global_map_box.setChecked(True)
        self.attribution_box = _box(
            "This image's attribution", "Show where the model looked in the image in view"
        )
        self.residual_box = _box(
            "Less the mean of the other images",
            "Show how the image in view differs from the global map that it is left out of",
        )
        self.contour_box = _box(
            "Contours", "Draw lines around the areas that hold half and 80 % of the map's mass"
        )
        self.colour_bar_box = _box("Colour bar", "Show what the colours of the map stand for")
        self.shared_scale_box = _box(
            "One scale for all labels", "Otherwise each map's own brightest pixel is the top"
        )
        self.shared_scale_box.setChecked(self.layers.shared_scale)
        self.among_line = _query_line(
            "Among", "The maps of these images only", "All, or site == 'B'"
        )
        self.less_line = _query_line(
            "Less",
            "Take the maps of these images away: the difference of two selections",
            "Nothing, or site == 'A'",
        )
        self.map_table = MapTable()
        self.map_table.setAccessibleName("Global maps")
        self.entering = text_label()
        self.meanings = Fold("What the numbers mean")
        self.meanings.show_content(text_label())
        self.outside = text_label()
        self.outside.setAccessibleName("Mass outside the field of view")
        self.outside.setStyleSheet(
            f"background: {WARNING}; color: white; border-radius: 4px; padding: 3px 6px;"
        )
        self.outside.hide()

    def _lay_out(self) -> None:
        shown = FormRows()
        shown.form.addRow("M&ap", self.map_box)
        shown.form.addRow("Scal&e", self.scale_box)
        self.more = Fold("Of which images")
        content = FormRows()
        asked = content.form
        asked.addRow("Amon&g", self.among_line)
        asked.addRow("Less", self.less_line)
        asked.addRow("Statistic", self.statistic_box)
        self.counts = text_label()
        asked.addRow(self.counts)
        asked.addRow(self.kept)
        self.more.show_content(content)
        box = in_column(self)
        box.addWidget(shown)
        box.addWidget(self.outside)
        for each in (
            self.global_map_box,
            self.attribution_box,
            self.residual_box,
            self.contour_box,
            self.colour_bar_box,
            self.shared_scale_box,
        ):
            box.addWidget(each)
        box.addWidget(self.more)
        box.addWidget(self.map_table)
        box.addWidget(self.entering)
        box.addWidget(self.meanings)

    def _connect(self, panel: Panel) -> None:
        self.map_box.currentTextChanged.connect(self._on_map_chosen)
        self.map_table.chosen.connect(self._on_map_chosen)
        self.scale_box.currentIndexChanged.connect(self._on_scale)
        self.statistic_box.currentIndexChanged.connect(self._on_statistic)
        self.shared_scale_box.toggled.connect(self._on_shared_scale)
        self.global_map_box.toggled.connect(self._on_global_map)
        self.attribution_box.toggled.connect(self._on_attribution)
        self.residual_box.toggled.connect(self._on_residual)
        self.contour_box.toggled.connect(self._on_contours)
        self.colour_bar_box.toggled.connect(self.layers.show_colour_bar)
        self.among_line.editingFinished.connect(self._on_among)
        self.less_line.editingFinished.connect(self._on_less)
        panel.follow(self.session.map_changed, self._on_map)
        panel.follow(self.session.selection_changed, self._on_selection)
        panel.follow(self.session.choice_changed, self._on_choice)
        panel.follow(self.layers.visibility_changed, self._on_visibility)

    def show_run(self, view: RunView) -> None:
        """Show the maps of a run."""
        self.map_box.blockSignals(True)
        self.map_box.clear()
        self.map_box.addItems(list(view.maps))
        self.map_box.blockSignals(False)
        self.map_table.show_run(view)
        self.entering.setText(_entering(view))
        self.meanings.show_content(text_label("\n".join(self.map_table.meanings)))
        self.statistic_box.setCurrentIndex(0)
        self.less_line.clear()
        self._on_selection(self.session.selection)
        self._on_map(self.session.map_name)

    def _on_map_chosen(self, name: str) -> None:
        if self.session.view is not None and name in self.session.view.maps:
            self.session.choose_map(name)

    def _on_map(self, name: str) -> None:
        self.map_box.setCurrentText(name)
        self.map_table.select(name)
        shown, view, image = self.session.shown, self.session.view, self.session.map_image
        if shown is None:
            self.counts.setText("")
        else:
            count = shown.counts.get(name, "")
            self.counts.setText(f"{name}: {count}" if image is not None else f"{name}: no image")
        # Of a difference, nothing is said: its mass is that of two maps.
        plain = view is not None and image is not None and (shown is None or not shown.choice.less)
        said = outside_warning(name, image, view.valid) if plain else ""  # type: ignore[arg-type, union-attr]
        self.outside.setText(f"⚑ {said}" if said else "")
        self.outside.setVisible(bool(said))

    def _on_selection(self, selection: Optional[Selection]) -> None:  # noqa: UP045
        self.among_line.setText("" if selection is None else selection.where)

    def _on_choice(self, choice: MapChoice) -> None:
        self.less_line.setText("" if choice.less is None else choice.less.where)
        self.statistic_box.setCurrentIndex(self.statistic_box.findData(choice.statistic))

    def _on_among(self) -> None:
        known = self.session.selection
        text = self.among_line.text().strip()
        if text != ("" if known is None else known.where):
            selection = self._selection(text)
            if selection is not None or not text:
                self.session.select(selection)

    def _on_less(self) -> None:
        text = self.less_line.text().strip()
        selection = self._selection(text)
        if selection is not None or not text:
            self.session.compare_with(selection)

    def _selection(self, text: str) -> Optional[Selection]:  # noqa: UP045
        view = self.session.view
        if view is None or not text:
            return None
        try:
            rows = parse_query(text).rows(view.run.images)
        except InputError as why:
            self.refused.emit(in_panel_words(str(why)))
            return None
        if not len(rows):
            self.refused.emit(f"No image is meant by {text}.")
            return None
        return Selection(text, tuple(rows.tolist()))

    def _on_statistic(self) -> None:
        self.session.choose_statistic(self.statistic_box.currentData())

    def _on_scale(self) -> None:
        self.layers.scale = self.scale_box.currentData()

    def _on_shared_scale(self, shared: bool) -> None:
        self.layers.shared_scale = shared

    def _on_global_map(self, visible: bool) -> None:
        self._come_forward()
        self.layers.set_visible("global map", visible)

    def _on_attribution(self, visible: bool) -> None:
        self._come_forward()
        self.layers.set_visible("attribution", visible)

    def _come_forward(self) -> None:
        """Show the run, where something else is shown: the boxes tell of its layers."""
        if self.session.view is not None:
            self.layers.bring_forward()

    def _on_residual(self, residual: bool) -> None:
        self.layers.residual = residual
        if residual:
            self.layers.set_visible("attribution", True)

    def _on_contours(self, shown: bool) -> None:
        self.layers.contours = shown

    def _on_visibility(self, role: str, visible: bool) -> None:
        boxes = {"global map": self.global_map_box, "attribution": self.attribution_box}
        if role in boxes:
            boxes[role].setChecked(visible)


def _entering(view: RunView) -> str:
    """Return what the numbers of images in the table count."""
    record = view.run.record
    which = SELECTIONS[view.run.aggregation.selection]
    return (
        f"“Images” counts those that enter a map: of the {record.counts.explained} explained, "
        f"{which[0].lower()}{which[1:]}."
    )


def _box(name: str, tip: str) -> QCheckBox:
    box = WrappedBox(name)
    box.setToolTip(tip)
    return box


def _query_line(name: str, tip: str, example: str) -> QLineEdit:
    line = QLineEdit()
    line.setAccessibleName(name)
    columns = "Columns are those of images.csv; names with blanks in backticks."
    line.setPlaceholderText(example)
    # Also where the example has no room in the line.
    line.setToolTip(f"{tip_lines(f'{tip}. {columns}')}\n{example}")
    return line
