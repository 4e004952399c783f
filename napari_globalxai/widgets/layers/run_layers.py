"""The one place that turns a run into layers: names, order, colours, scales."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary, WeakSet

import numpy as np
from napari.layers import Image, Layer

from napari_globalxai.widgets.jobs.event_turns import TURNS
from napari_globalxai.widgets.jobs.workers import LatestOnly
from napari_globalxai.widgets.layers.attribution_layers import AttributionLayers
from napari_globalxai.widgets.layers.layer_roles import show_colour_bar
from napari_globalxai.widgets.layers.outlines import ZONE_COLOURS, outline, rimmed_zones
from napari_globalxai.widgets.layers.peppr_layers import peppr_layers_of
from napari_globalxai.widgets.session.names import IMAGES, METADATA_KEY
from napari_globalxai.widgets.session.run_view import RunView
from napari_globalxai.widgets.session.session import OVERALL, Session, plain_viewer, session_of
from napari_globalxai.widgets.session.shown_maps import MapChoice, ShownMaps, make_maps, map_of
from napari_globalxai.widgets.words.plain_labels import plain
from napari_globalxai.widgets.workbench.canvas_drops import take_drops
from napari_globalxai.widgets.workbench.drawing_context import draw_later
from napari_globalxai.widgets.workbench.keys import bind_keys
from napari_globalxai.widgets.workbench.scenes import Scene

if TYPE_CHECKING:
    from napari_globalxai.faithfulness.result import PepprResult

# Pixels that are sorted in a moment; those of a larger frame are sorted in a worker.
_MOST_SORTED_AT_ONCE = 1 << 17
SCENE = Scene("run", ("images", "native", "attribution", "global map", "contours"), level=2)
CONTOURS = "Half and 80 % of the map's mass"


def global_map_name(map_name: str) -> str:
    """Return the name of the layer of a global map."""
    return plain(f"Global map: {map_name}")


class RunLayers(AttributionLayers):
    """Keeps a viewer's layers in step with its session.

    Parameters
    ----------
    viewer : napari.Viewer
        The viewer; it is not kept alive.
    session : Session
        What is to be shown.
    """

    def __init__(self, viewer: Any, session: Session) -> None:
        super().__init__(viewer, SCENE, session)
        self._shared_scale = True
        self._map_was_visible = False
        self._contours = self._colour_bar = False
        self._with_bar: WeakSet[Layer] = WeakSet()
        self._averages = LatestOnly()
        self._averages.ready.connect(self._on_maps_made)
        self._averages.failed.connect(self.maps_failed.emit)
        self._zones = LatestOnly()
        self._zones.ready.connect(self._on_zones)
        session.choice_changed.connect(self._on_choice)
        session.view_changed.connect(self._on_view)
        session.map_changed.connect(self._on_map)
        session.row_changed.connect(self._on_row)
        session.result_changed.connect(self._on_result)
        viewer.dims.events.current_step.connect(self._on_step)

    @property
    def shared_scale(self) -> bool:
        """Whether the maps of all labels are shown on one scale."""
        return self._shared_scale

    @shared_scale.setter
    def shared_scale(self, shared: bool) -> None:
        self._shared_scale = shared
        self._on_map(self.session.map_name)

    @property
    def scale(self) -> str:
        """How colours follow values, one of `SCALES`."""
        return self._scale

    @scale.setter
    def scale(self, scale: str) -> None:
        self._scale = scale
        self._on_map(self.session.map_name)
        self._colour_attribution()

    @property
    def contours(self) -> bool:
        """Whether lines are drawn around the areas that hold half and 80 % of the map's mass."""
        return self._contours

    @contours.setter
    def contours(self, contours: bool) -> None:
        self._contours = contours
        if contours:
            self._show_contours()
            # Those whose eye was closed are there already.
            self.set_visible("contours", True)
        else:
            self._remove("contours")

    def set_visible(self, role: str, visible: bool) -> None:
        """Show or hide a layer; a map that somebody took away is shown anew."""
        super().set_visible(role, visible)
        if role == "global map" and visible and self.layer(role) is None:
            self._on_map(self.session.map_name)

    def step_to(self, row: int) -> None:
        """Bring an image into view by moving the slider."""
        viewer = self._viewer()
        if viewer is not None and self.layer("images") is None:
            # Taken away by hand, and asked for again.
            self._show_images()
        if viewer is not None and self.layer("images") is not None and viewer.dims.ndim >= 3:
            self.bring_forward()
            # The stack's image axis is the third from the end of the viewer's axes.
            viewer.dims.set_point(viewer.dims.ndim - 3, row)

    @property
    def colour_bar(self) -> bool:
        """Whether the global map has a colour bar."""
        return self._colour_bar

    def show_colour_bar(self, shown: bool) -> None:
        """Show or hide the colour bar of the global map."""
        self._colour_bar = shown
        show_colour_bar(self.layer("global map"), shown)

    def _on_colour_bar(self, *what: object) -> None:
        # napari switches it by a menu, too, and its releases tell of that in different words.
        layer = self.layer("global map")
        if layer is not None:
            self._colour_bar = bool(layer.colorbar.visible)
            self.visibility_changed.emit("colour bar", self._colour_bar)

    # The run.

    def _on_view(self, view: RunView) -> None:
        draw_later(self._viewer())
        self.bring_forward()
        if self.layer("images") is None:
            TURNS.add(self.make_slider)
        # Also where the layers are there: all panels take up the run before, in this turn.
        self._in_turn("images", self._show_images, at_once=False)
        self._in_turn("global map", self._show_map, on="images", at_once=False)

    def _show_images(self) -> None:
        view, before = self.session.view, self.layer("images")
        if view is None:
            return
        new_size = before is None or before.data.shape[1:3] != view.images.shape[1:3]
        self._show(
            "images",
            lambda: Image(view.images, name=IMAGES, rgb=True, axis_labels=("image", "y", "x")),
            data=view.images,
            name=IMAGES,
        )
        if new_size:
            # Maps of another frame would count, too.
            for role in ("attribution", "global map", "contours"):
                layer = self.layer(role)
                if layer is not None and layer.data.shape[-2:] != view.images.shape[1:3]:
                    self._remove(role)
            self._fit()
        self._on_step()

    def _on_map(self, name: str) -> None:
        if self.session.view is not None:
            self.bring_forward()
        if "global map" not in self._coming:
            self._show_map()

    def _show_map(self) -> None:
        name, view, image = self.session.map_name, self.session.view, self.session.map_image
        if view is None:
            return
        if image is None:
            # None of the images selected carries the label.
            self.set_visible("global map", False)
            self._remove("contours")
            return
        limit = self._limit(view, name)
        limits = self._limits(limit)
        shown = self.session.shown
        title = "" if shown is None else f" ({shown.choice.title})"
        colormap = self._colormap("global map", image[view.valid], limit)
        self._show(
            "global map",
            lambda: Image(
                image, colormap=colormap, contrast_limits=limits, opacity=0.75, visible=True
            ),
            data=image,
            name=f"{global_map_name(name)}{title}",
            contrast_limits_range=limits,
            contrast_limits=limits,
        )
        self._set_colormap("global map", colormap)
        layer = self.layer("global map")
        if layer is not None and layer not in self._with_bar:
            self._with_bar.add(layer)
            layer.colorbar.visible = self._colour_bar
            layer.colorbar.events.visible.connect(self._on_colour_bar)
        if self._contours:
            self._show_contours()
        self._request_attribution()

    def _on_result(self, result: PepprResult | None) -> None:
        """Hide the global map while the result is that of a map from a file."""
        view, layer = self.session.view, self.layer("global map")
        if view is None or layer is None:
            return
        if result is not None and map_of(result, view.maps) not in view.maps:
            self._map_was_visible = self._map_was_visible or layer.visible
            self.set_visible("global map", False)
        elif self._map_was_visible:
            self.set_visible("global map", True)
            self._map_was_visible = False

    def _on_choice(self, choice: MapChoice) -> None:
        """Average the maps that are asked for, beside the GUI thread."""
        view = self.session.view
        if view is None:
            return
        if choice.is_own:
            self.session.show_maps(None)
        else:
            self._averages.request((view, choice), lambda: make_maps(view.run, choice))

    def _on_maps_made(self, key: tuple[RunView, MapChoice], shown: ShownMaps) -> None:
        view, choice = key
        # The answer may come when the viewer is closed.
        if self.layer("images") is None:
            return
        if view is self.session.view and choice == self.session.choice:
            self.session.show_maps(shown)

    def _limit(self, view: RunView, name: str) -> float:
        """Return the value at the end of the scale of a map."""
        shown = self.session.shown
        if shown is None:
            return view.map_limit(name, self._shared_scale)
        # The overall map is a mean of maps of mass 1, so it has a scale of its own.
        alike = [other for other in shown.maps if (other == OVERALL) == (name == OVERALL)]
        names = alike if self._shared_scale else [name]
        limit = max(float(np.abs(shown.maps[each][view.valid]).max(initial=0)) for each in names)
        return limit if limit > 0 else 1.0

    def _show_contours(self) -> None:
        image = self.session.map_image
        if self.session.view is None or image is None:
            return
        if image.size > _MOST_SORTED_AT_ONCE:
            self._zones.request(id(image), lambda: (image, rimmed_zones(image)))
        else:
            self._on_zones(id(image), (image, rimmed_zones(image)))

    def _on_zones(self, key: int, found: tuple[Any, Any]) -> None:
        image, zones = found
        # Meanwhile there may be another map, none, or no viewer.
        if not self._contours or image is not self.session.map_image:
            return
        if self.layer("images") is not None:
            self._show("contours", lambda: outline(zones, ZONE_COLOURS), data=zones, name=CONTOURS)

    def _on_step(self, event: object = None) -> None:
        viewer, view = self._viewer(), self.session.view
        if viewer is None or view is None or self.layer("images") is None:
            return
        # The stack's image axis is the third from the end of the viewer's axes.
        step = viewer.dims.current_step
        if len(step) >= 3:
            self.session.look_at(int(np.clip(step[-3], 0, len(view.images) - 1)))

    def _on_row(self, row: int) -> None:
        self._request_attribution()
        self._show_native()

    def _limits(self, limit: float) -> tuple[float, float]:
        return (-limit if self._signed else 0.0, limit)


_layers: WeakKeyDictionary[Any, RunLayers] = WeakKeyDictionary()


def layers_of(viewer: Any) -> RunLayers:
    """Return what keeps a viewer's layers in step with its session; one a viewer."""
    plain = plain_viewer(viewer)
    if plain not in _layers:
        _layers[plain] = RunLayers(plain, session_of(plain))
        peppr_layers_of(plain)
        bind_keys(plain)
        take_drops(plain)
    return _layers[plain]


def sample_paths(layer: Layer) -> tuple[Path, Path] | None:
    """Return the cohort table and model that a sample's layer came from, or None."""
    known = layer.metadata.get(METADATA_KEY, {})
    if "cohort" in known and "model" in known:
        return Path(known["cohort"]), Path(known["model"])
    return None
