"""Which global map is shown and how: label, images, scale, what lies over it."""

from typing import Any

from qtpy.QtCore import QSignalBlocker, Qt, Signal  # type: ignore[attr-defined]
from qtpy.QtWidgets import QCheckBox, QWidget

from napari_globalxai.settings.aggregation_settings import SELECTIONS
from napari_globalxai.widgets.fields.choice_box import choice_box
from napari_globalxai.widgets.fields.fold import Fold
from napari_globalxai.widgets.fields.layouts import in_column
from napari_globalxai.widgets.fields.parts import raise_flag, red_flag, text_label
from napari_globalxai.widgets.fields.settings_form import FormRows
from napari_globalxai.widgets.fields.wrapped import WrappedBox
from napari_globalxai.widgets.layers.run_layers import RunLayers
from napari_globalxai.widgets.panels.maps.result_tables import MapTable
from napari_globalxai.widgets.panels.maps.which_images import WhichImages
from napari_globalxai.widgets.session.mass import Side, outside_warning
from napari_globalxai.widgets.session.run_view import RunView
from napari_globalxai.widgets.session.session import Session
from napari_globalxai.widgets.session.shown_maps import MapChoice
from napari_globalxai.widgets.words.colours import SCALES
from napari_globalxai.widgets.words.plain_labels import plain
from napari_globalxai.widgets.workbench.panel import Panel

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
    map_box, scale_box : QComboBox
        The map; how colours follow values.
    global_map_box, attribution_box, contour_box, colour_bar_box, shared_scale_box : QCheckBox
        What is drawn, and whether labels share a scale.
    residual_box : QCheckBox
        Whether the mean of the others is taken from the attribution of the image in view.
    map_table : MapTable
        The statistics of the run's maps.
    entering : QLabel
        Which of the run's images enter a map.
    meanings : Fold
        What the statistics are.
    more : WhichImages
        Of which images, less which, as which statistic.
    outside : QLabel
        A warning where much of the map lies outside the field of view.
    """

    refused = Signal(str)

    def __init__(self, panel: Panel, viewer: Any, session: Session, layers: RunLayers) -> None:
        super().__init__()
        self.session, self.layers = session, layers
        self._make_controls()
        self.more = WhichImages(panel, viewer, session)
        self._take_over()
        self._lay_out()
        self._connect(panel)

    def _take_over(self) -> None:
        """Tick what is shown already: the panel may have been closed and opened again."""
        layers = self.layers
        self.scale_box.setCurrentIndex(self.scale_box.findData(layers.scale))
        self.shared_scale_box.setChecked(layers.shared_scale)
        self.residual_box.setChecked(layers.residual)
        self.colour_bar_box.setChecked(layers.colour_bar)
        for box, role, otherwise in (
            (self.global_map_box, "global map", self.session.view is None),
            (self.attribution_box, "attribution", False),
            (self.contour_box, "contours", False),
        ):
            layer = layers.layer(role)
            box.setChecked(otherwise if layer is None else layer.visible)

    def _make_controls(self) -> None:
        self.map_box = choice_box("Map", "The global map to show: of all labels together or of one")
        self.scale_box = choice_box("Scale", "How colours follow the map's values")
        for name, words in SCALES.items():
            self.scale_box.addItem(name.capitalize(), name)
            self.scale_box.setItemData(self.scale_box.count() - 1, words, _TOOLTIP)
        self.global_map_box = _box("Global map", "Show the mean over the images that carry it")
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
        self.map_table = MapTable()
        self.map_table.setAccessibleName("Global maps")
        self.entering = text_label()
        self.meanings = Fold("What the numbers mean")
        self.outside = red_flag("Mass outside the field of view")

    def _lay_out(self) -> None:
        shown = FormRows()
        shown.form.addRow("M&ap", self.map_box)
        shown.form.addRow("Scal&e", self.scale_box)
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
        self.shared_scale_box.toggled.connect(self._on_shared_scale)
        self.global_map_box.toggled.connect(self._on_global_map)
        self.attribution_box.toggled.connect(self._on_attribution)
        self.residual_box.toggled.connect(self._on_residual)
        self.contour_box.toggled.connect(self._on_contours)
        self.colour_bar_box.toggled.connect(self.layers.show_colour_bar)
        self.more.refused.connect(self.refused)
        panel.follow(self.session.map_changed, self._on_map)
        panel.follow(self.session.choice_changed, self._on_choice)
        panel.follow(self.layers.visibility_changed, self._on_visibility)

    def show_run(self, view: RunView) -> None:
        """Show the maps of a run."""
        self.map_box.blockSignals(True)
        self.map_box.clear()
        self.map_box.addItems(list(view.maps))
        self.map_box.blockSignals(False)
        self.map_table.show_run(view)
        self._on_choice(self.session.choice)
        self.meanings.make_content(lambda: text_label("\n".join(self.map_table.meanings)))
        self._on_map(self.session.map_name)

    def _on_choice(self, choice: MapChoice) -> None:
        view = self.session.view
        if view is not None:
            # A query may hold what a label would take for markup.
            self.entering.setText(plain(_entering(view, choice)))

    def _on_map_chosen(self, name: str) -> None:
        if self.session.view is not None and name in self.session.view.maps:
            self.session.choose_map(name)

    def _on_map(self, name: str) -> None:
        self.map_box.setCurrentText(name)
        self.map_table.select(name)
        shown, view = self.session.shown, self.session.view
        sides: tuple[Side, ...] = ()
        if view is not None and self.session.map_image is not None:
            sides = (Side(name, view.outside[name]),) if shown is None else shown.sides[name]
        # Both sides of a difference are named by themselves.
        of_some = shown is not None and len(sides) == 1
        whose = f"{name} ({shown.choice.title})" if shown is not None and of_some else name
        raise_flag(self.outside, outside_warning(whose, sides))

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
        boxes = {
            "global map": self.global_map_box,
            "attribution": self.attribution_box,
            "colour bar": self.colour_bar_box,
        }
        if role in boxes:
            boxes[role].setChecked(visible)
        elif role == "contours":
            # They are not to be taken away by closing their eye.
            with QSignalBlocker(self.contour_box):
                self.contour_box.setChecked(visible)


def _entering(view: RunView, choice: MapChoice) -> str:
    """Return what the numbers of images in the table count, and of which maps."""
    record = view.run.record
    which = SELECTIONS[view.run.aggregation.selection]
    others = f"These are the run's own maps, not those on show ({choice.title}). "
    return ("" if choice.is_own else others) + (
        f"“Images” counts those that enter a map: of the {record.counts.explained} explained, "
        f"{which[0].lower()}{which[1:]}."
    )


def _box(name: str, tip: str) -> QCheckBox:
    box = WrappedBox(name)
    box.setToolTip(tip)
    return box
