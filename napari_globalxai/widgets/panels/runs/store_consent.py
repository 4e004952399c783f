"""Asks before a store is asked that the run alone names."""

from qtpy.QtWidgets import QPushButton, QWidget

from napari_globalxai.widgets.fields.layouts import in_column
from napari_globalxai.widgets.fields.parts import text_label
from napari_globalxai.widgets.layers.run_layers import RunLayers
from napari_globalxai.widgets.workbench.panel import Panel


class StoreConsent(QWidget):
    """Appears where the image in view lies in a store that no person named.

    Parameters
    ----------
    panel : Panel
        The panel that it is a part of.
    layers : RunLayers
        What shows the image.

    Attributes
    ----------
    said : QLabel
        Which store it is.
    allow_button : QPushButton
        Lets it be asked, as `view --image-store` does.
    """

    def __init__(self, panel: Panel, layers: RunLayers) -> None:
        super().__init__()
        self._layers, self._store = layers, ""
        self.said = text_label()
        self.allow_button = QPushButton("Ask this store")
        self.allow_button.setToolTip(
            "Ask it for images until napari is closed, with what access this computer has to it"
        )
        box = in_column(self)
        box.addWidget(self.said)
        box.addWidget(self.allow_button)
        self.allow_button.clicked.connect(self._on_allowed)
        panel.follow(layers.native_refused, self._on_refused)
        panel.follow(layers.session.view_changed, self._forget)
        self.hide()

    def _on_refused(self, store: str) -> None:
        self._store = store
        self.said.setText(
            f"⚠ The image lies in {store}. Only the run names that store, so it was not asked."
        )
        self.show()

    def _forget(self, *what: object) -> None:
        self.hide()

    def _on_allowed(self) -> None:
        self.hide()
        self._layers.allow(self._store)
