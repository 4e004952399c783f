"""The places of the frame that the program knows by itself, to be taken as regions."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from qtpy.QtCore import QObject, Signal  # type: ignore[attr-defined]

from napari_globalxai.audit.findings import place_title
from napari_globalxai.runs.turns import reading
from napari_globalxai.widgets.fields.choice_box import choice_box
from napari_globalxai.widgets.jobs.warm_up import import_models
from napari_globalxai.widgets.jobs.workers import LatestOnly

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    from napari_globalxai.runs.run import Run

_ASK, _LOOKING = "Find them…", "Looking for them…"


def places_of(run: Run) -> tuple[dict[str, npt.NDArray[np.bool_]], tuple[str, ...]]:
    """Return places by name, and what could not be made. To be called in a worker."""
    import_models()
    from napari_globalxai.audit.places import find_places

    with reading(run.folder):
        found = find_places(run, None)
    return found.regions, found.remarks


class PlacesBox(QObject):
    """A box of places: corners, what lies outside of the field of view, zones of the eye.

    They are looked for when somebody asks, as landmarks of many images tell where zones lie.

    Attributes
    ----------
    box : QComboBox
        Their names.
    chosen : Signal
        A place in words, and where it is: bool (height, width).
    said : Signal
        What could not be found, in a sentence.
    """

    chosen = Signal(str, object)
    said = Signal(str)

    def __init__(self, parent: QObject) -> None:
        super().__init__(parent)
        self.box = choice_box("Places", "Corners, rim, zones: one is taken as a region")
        self._run: Run | None = None
        self._places: dict[str, Any] = {}
        self._reads = LatestOnly(self)
        self._reads.ready.connect(self._on_read)
        self._reads.failed.connect(self._on_failed)
        self.box.activated.connect(self._on_activated)
        self.show_run(None)

    def show_run(self, run: Run | None) -> None:
        """Offer the places of a run."""
        self._run, self._places = run, {}
        self._list(_ASK)
        self.box.setEnabled(run is not None)

    def _list(self, first: str) -> None:
        self.box.blockSignals(True)
        self.box.clear()
        self.box.addItem(first)
        for name in self._places:
            self.box.addItem(place_title(name), name)
        self.box.blockSignals(False)

    def _on_activated(self, index: int) -> None:
        name, run = self.box.itemData(index), self._run
        if name in self._places:
            self.chosen.emit(place_title(name), self._places[name])
        elif run is not None and not self._places:
            self._list(_LOOKING)
            self._reads.request(run, lambda: places_of(run))

    def _on_read(self, run: Run, found: Any) -> None:
        if run is not self._run:
            return
        self._places, remarks = found
        self._list(f"Choose of {len(self._places)}")
        if remarks:
            self.said.emit(f"{'; '.join(remarks).capitalize()}.")
        if self.box.hasFocus():
            self.box.showPopup()

    def _on_failed(self, sentence: str) -> None:
        self._list(_ASK)
        self.said.emit(sentence)
