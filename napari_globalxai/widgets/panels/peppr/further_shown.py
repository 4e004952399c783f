"""Shows what a line of the further results is about: a map, a region, curves as published."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from qtpy.QtCore import QObject, Signal  # type: ignore[attr-defined]

from napari_globalxai.widgets.jobs.warm_up import import_models
from napari_globalxai.widgets.jobs.workers import LatestOnly
from napari_globalxai.widgets.panels.peppr.further_reading import MAP, PUBLISHED, REGION, Line
from napari_globalxai.widgets.words.plain_labels import plain

if TYPE_CHECKING:
    from napari_globalxai.runs.run import Run
    from napari_globalxai.widgets.layers.run_layers import RunLayers
    from napari_globalxai.widgets.panels.peppr.further_results import FurtherResults
    from napari_globalxai.widgets.session.session import Session


def region_layer_name(name: str) -> str:
    """Return the name of the layer of a region that was tested."""
    return plain(f"Tested region: {name}")


def read_region(run: Run, file: str, name: str) -> Any:
    """Return a region of a file, bool (height, width). To be called in a worker."""
    from napari_globalxai.addresses import local_file
    from napari_globalxai.images.regions_file import read_regions

    with local_file(Path(file)) as there:
        return read_regions(there, run.stack.shape)[name]


class FurtherShown(QObject):
    """Takes lines that are chosen to the layers, the map and the curves.

    Attributes
    ----------
    failed : Signal
        A sentence, where something is not there any more.
    """

    failed = Signal(str)

    def __init__(
        self, further: FurtherResults, viewer: Any, session: Session, layers: RunLayers
    ) -> None:
        super().__init__(further)
        self._viewer, self._session, self._layers = viewer, session, layers
        self._reads = LatestOnly(self)
        self._reads.ready.connect(self._on_read)
        self._reads.failed.connect(self.failed)
        further.chosen.connect(self._on_chosen)

    def _on_chosen(self, line: Line) -> None:
        view = self._session.view
        if view is None:
            return
        kind, *what = line.shows or ("",)
        run = view.run
        if kind == MAP and what[0] in view.maps:
            self._session.choose_map(what[0])
        elif kind == REGION:
            self._reads.request((view, line), lambda: read_region(run, *what))
        elif kind == PUBLISHED:
            self._reads.request((view, line), lambda: _curves(run, what[0]))

    def _on_read(self, key: Any, found: Any) -> None:
        view, line = self._session.view, key[1]
        if view is None or view is not key[0]:
            return
        if line.shows[0] == PUBLISHED:
            # First, so that nothing else is looked up for the map.
            self._session.set_result(found)
            if found.map_name in view.maps:
                self._session.choose_map(found.map_name)
            return
        images = self._layers.layer("images")
        if images is not None:
            from napari_globalxai.widgets.layers.region_drawing import draw_region

            name = region_layer_name(line.cells[1])
            layer = draw_region(self._viewer, found, name, images)
            # To look at, not to draw on.
            layer.mode = "pan_zoom"


def _curves(run: Run, stem: str) -> Any:
    import_models()
    from napari_globalxai.runs.turns import reading
    from napari_globalxai.widgets.panels.peppr.published_result import published_result

    with reading(run.folder):
        return published_result(run, stem)
