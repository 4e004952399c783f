"""Choose the CAM layer from a list of those that the model has."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from qtpy.QtCore import Signal  # type: ignore[attr-defined]
from qtpy.QtWidgets import QPushButton, QWidget

from napari_globalxai.widgets.fields.choice_box import choice_box
from napari_globalxai.widgets.fields.layouts import in_row
from napari_globalxai.widgets.jobs.warm_up import import_models
from napari_globalxai.widgets.jobs.workers import LatestOnly

_FEW_LETTERS = 5
_AUTOMATIC = "Card's, or last"


class CamLayerField(QWidget):
    """A list of layers, filled in the background when the user asks for it.

    Attributes
    ----------
    changed : Signal
        Another layer was chosen.
    failed : Signal
        One sentence: why the layers could not be listed.
    box : QComboBox
        The layers; first of all, the one that is found by itself.
    list_button : QPushButton
        Loads the model and lists its layers.
    """

    changed = Signal()
    failed = Signal(str)

    def __init__(self) -> None:
        super().__init__()
        self._model: Path | None = None
        self._trust = False
        self._layers = LatestOnly(self)
        self.box = choice_box(
            "CAM layer",
            "Where in the network Grad-CAM looks: late layers know most, early ones are finer",
        )
        # A button stands beside it.
        self.box.setMinimumContentsLength(_FEW_LETTERS)
        self.list_button = QPushButton("List")
        self.list_button.setToolTip("Load the model and list its layers that give a map")
        row = in_row(self)
        row.addWidget(self.box, 1)
        row.addWidget(self.list_button)
        self.setFocusProxy(self.box)
        self.list_button.clicked.connect(self.list_layers)
        self.box.currentIndexChanged.connect(lambda: self.changed.emit())
        self._layers.ready.connect(self._on_listed)
        self._layers.failed.connect(self._on_failed)
        self.show_model(None, trust=False)

    @property
    def layer(self) -> str | None:
        """Name of the layer chosen; None where it is left to the card."""
        name: str | None = self.box.currentData()
        return name if self.isEnabled() else None

    def show_model(self, model: Path | None, *, trust: bool) -> None:
        """Forget the layers of another model."""
        self._trust = trust
        if model != self._model or self.box.count() == 0:
            self._model = model
            self.box.clear()
            self.box.addItem(_AUTOMATIC)
        self.list_button.setEnabled(model is not None)

    def choose(self, layer: str | None) -> None:
        """Choose a layer by its name, whether it is listed yet or not; None leaves it open."""
        if layer is not None and self.box.findData(layer) < 0:
            self.box.addItem(layer, layer)
        self.box.setCurrentIndex(0 if layer is None else self.box.findData(layer))

    def list_layers(self) -> None:
        """List the layers of the model, in the background."""
        model, trust = self._model, self._trust
        if model is None:
            return

        def work() -> list[tuple[str, str]]:
            import_models()
            from napari_globalxai.models.loaders import load_model

            return [(layer.name, str(layer)) for layer in load_model(model, trust=trust).cam_layers]

        self.list_button.setText("Listing…")
        self.list_button.setEnabled(False)
        self._layers.request(model, work)

    def _on_listed(self, model: Path, layers: list[tuple[str, str]]) -> None:
        self._ready_again()
        if model != self._model:
            return
        chosen: Any = self.box.currentData()
        self.box.clear()
        self.box.addItem(_AUTOMATIC)
        # The last ones first: they are those that people try.
        for name, text in reversed(layers):
            self.box.addItem(text, name)
        self.box.setCurrentIndex(max(0, self.box.findData(chosen)))

    def _on_failed(self, sentence: str) -> None:
        self._ready_again()
        self.failed.emit(sentence)

    def _ready_again(self) -> None:
        self.list_button.setText("List")
        self.list_button.setEnabled(self._model is not None)
