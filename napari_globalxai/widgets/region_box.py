"""The box that names the layer with the region; it follows what becomes of the layers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from weakref import ref

from psygnal import Signal

from napari_globalxai.widgets.panel import choice_box
from napari_globalxai.widgets.region_mask import is_drawn

if TYPE_CHECKING:
    from napari_globalxai.widgets.panel import Panel


class RegionBox:
    """Lists the layers of a viewer that may hold regions, by whatever name they have.

    Parameters
    ----------
    panel : Panel
        The panel that it is a part of.
    viewer : napari.Viewer
        The viewer itself, no proxy of it.

    Attributes
    ----------
    box : QComboBox
        Their names.
    changed : psygnal.Signal
        Another layer, or none, is chosen: by hand, or as the chosen one was taken away.
    """

    changed = Signal()

    def __init__(self, panel: Panel, viewer: Any) -> None:
        self._viewer = ref(viewer)
        self._listed: list[ref[Any]] = []
        self.box = choice_box("Region", "The layer with the region: shapes or labels")
        self.box.activated.connect(self._on_activated)
        events = viewer.layers.events
        for event in (events.inserted, events.removed, events.renamed):
            panel.follow(event, self._list)
        self._list()

    @property
    def layer(self) -> Any:
        """The layer chosen, None where there is none."""
        index = self.box.currentIndex()
        return self._listed[index]() if 0 <= index < len(self._listed) else None

    def choose(self, layer: Any) -> None:
        """Choose a layer of the viewer."""
        for index, known in enumerate(self._listed):
            if known() is layer:
                self.box.setCurrentIndex(index)

    def _list(self, event: object = None) -> None:
        viewer, before, had_any = self._viewer(), self.layer, bool(self._listed)
        if viewer is None:
            return
        layers = [layer for layer in viewer.layers if is_drawn(layer)]
        self._listed = [ref(layer) for layer in layers]
        self.box.blockSignals(True)
        self.box.clear()
        self.box.addItems([layer.name for layer in layers])
        self.box.blockSignals(False)
        self.choose(before)
        if had_any and self.layer is not before:
            self.changed.emit()

    def _on_activated(self, index: int) -> None:
        self.changed.emit()
