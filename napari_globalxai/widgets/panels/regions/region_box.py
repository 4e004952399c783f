"""The box that names the layer with the region; it follows what becomes of the layers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from weakref import ref

from psygnal import Signal

from napari_globalxai.widgets.fields.choice_box import choice_box
from napari_globalxai.widgets.layers.region_marks import is_region, mark_chosen
from napari_globalxai.widgets.layers.region_mask import is_drawn

if TYPE_CHECKING:
    from napari_globalxai.widgets.workbench.panel import Panel

_NONE_CHOSEN = "None chosen"
_DRAW = "Draw a region: press “New region” and drag a rectangle on the image"
_MOST_NAMED = 3


class RegionBox:
    """Lists the layers of a viewer that may hold regions, by whatever name they have.

    What was drawn here is the region at once; a layer of somebody else's, which may be of
    something else altogether, once it is chosen.

    Parameters
    ----------
    panel : Panel
        The panel that it is a part of.
    viewer : napari.Viewer
        The viewer itself, no proxy of it.

    Attributes
    ----------
    box : QComboBox
        Their names, after that of none.
    changed : psygnal.Signal
        Another layer, or none, is chosen: by hand, or as the chosen one was taken away.
    listed : psygnal.Signal
        Other layers are offered, or others by name.
    """

    changed = Signal()
    listed = Signal()

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
        index = self.box.currentIndex() - 1
        return self._listed[index]() if 0 <= index < len(self._listed) else None

    @property
    def what_to_do(self) -> str:
        """How a region is come by, in a sentence, with the layers that could hold one."""
        names = [f"“{layer.name}”" for known in self._listed if (layer := known()) is not None]
        if not names:
            return f"{_DRAW}."
        more = ["others"] if len(names) > _MOST_NAMED else []
        return f"{_DRAW}; or choose a layer at “Region”: {', '.join(names[:_MOST_NAMED] + more)}."

    def choose(self, layer: Any) -> None:
        """Choose a layer of the viewer, or none."""
        known = [known() for known in self._listed]
        self.box.setCurrentIndex(1 + known.index(layer) if layer in known else 0)
        self._note()

    def _note(self) -> None:
        """Note which is chosen, for a panel that is opened again."""
        for known in self._listed:
            if (layer := known()) is not None:
                mark_chosen(layer, is_chosen=layer is self.layer)

    def _list(self, event: object = None) -> None:
        viewer, before = self._viewer(), self.layer
        if viewer is None:
            return
        layers = [layer for layer in viewer.layers if is_drawn(layer)]
        self._listed = [ref(layer) for layer in layers]
        self.box.blockSignals(True)
        self.box.clear()
        self.box.addItems([_NONE_CHOSEN, *(layer.name for layer in layers)])
        self.box.blockSignals(False)
        regions = [layer for layer in layers if is_region(layer)]
        self.choose(before if before in layers else next(iter(regions), None))
        if self.layer is not before:
            self.changed.emit()
        self.listed.emit()

    def _on_activated(self, index: int) -> None:
        self._note()
        self.changed.emit()
