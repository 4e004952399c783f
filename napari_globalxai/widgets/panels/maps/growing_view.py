"""Which of the growing maps is shown, and what is behind it."""

from typing import Optional

from qtpy.QtWidgets import QCheckBox, QWidget

from napari_globalxai.widgets.fields.choice_box import choice_box
from napari_globalxai.widgets.fields.layouts import in_column
from napari_globalxai.widgets.fields.parts import text_label
from napari_globalxai.widgets.fields.wrapped import WrappedBox
from napari_globalxai.widgets.layers.growing_layers import GrowingLayers, GrownView
from napari_globalxai.widgets.session.session import OVERALL
from napari_globalxai.widgets.words.table_words import number
from napari_globalxai.widgets.workbench.panel import Panel


class GrowingView(QWidget):
    """Appears while a cohort is explained, once there is a map.

    Parameters
    ----------
    panel : Panel
        The panel that it is a part of.
    layers : GrowingLayers
        What is shown.

    Attributes
    ----------
    shown_box : QCheckBox
        Whether the maps are shown in the viewer.
    map_box : QComboBox
        Which of them.
    said : QLabel
        How many images are behind it, and how well the model tells labels apart so far.
    """

    def __init__(self, panel: Panel, layers: GrowingLayers) -> None:
        super().__init__()
        self.layers = layers
        self.shown_box: QCheckBox = WrappedBox("Show the maps while they grow")
        self.shown_box.setToolTip("Each is the mean over the images that are explained so far")
        self.map_box = choice_box("Growing map", "The map that is shown while it grows")
        self.said = text_label()
        box = in_column(self)
        for part in (self.shown_box, self.map_box, self.said):
            box.addWidget(part)
        self.shown_box.toggled.connect(self._on_toggled)
        self.map_box.activated.connect(self._on_map)
        panel.follow(layers.grown, self._on_grown)
        self._on_grown(layers.view)

    def _on_toggled(self, shown: bool) -> None:
        self.layers.is_shown = shown

    def _on_map(self, index: int) -> None:
        self.layers.name = self.map_box.itemText(index)
        self._on_grown(self.layers.view)

    def _on_grown(self, view: Optional[GrownView]) -> None:  # noqa: UP045
        self.setVisible(view is not None)
        if view is None:
            return
        grown = view.grown
        known = [self.map_box.itemText(index) for index in range(self.map_box.count())]
        if known != list(grown.maps):
            self.map_box.clear()
            self.map_box.addItems(list(grown.maps))
        name = self.layers.name if self.layers.name in grown.maps else OVERALL
        self.map_box.setCurrentText(name)
        self.shown_box.blockSignals(True)
        self.shown_box.setChecked(self.layers.is_shown)
        self.shown_box.blockSignals(False)
        explained = f"{len(grown.rows)} of {grown.total} images explained"
        behind = "" if name == OVERALL else f"{name}: {grown.counts[name]} images so far; "
        told_apart = ", ".join(f"{label} {number(value)}" for label, value in grown.roc_auc.items())
        so_far = f"\nROC AUC so far: {told_apart}" if told_apart else ""
        self.said.setText(behind + explained + so_far)
