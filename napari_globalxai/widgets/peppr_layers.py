"""The layers of PEPPR: what is erased or restored, and what the model saw of the image in view."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
from napari.layers import Image, Labels
from napari.utils.colormaps import DirectLabelColormap

from napari_globalxai.faithfulness.fills import depends_on_mask
from napari_globalxai.widgets.colours import ARM_COLOURS
from napari_globalxai.widgets.event_turns import TURNS
from napari_globalxai.widgets.layer_roles import RoleLayers, fit_visible
from napari_globalxai.widgets.peppr_results import map_of
from napari_globalxai.widgets.run_view import to_rgb

if TYPE_CHECKING:
    from napari_globalxai.faithfulness.result import PepprResult
    from napari_globalxai.widgets.session import Session

SEEN = "What the model saw"
AREA_NAMES = {"restore": "Restored area", "erase": "Erased area"}


class PepprLayers(RoleLayers):
    """Keeps the layers of PEPPR in step with a session.

    Parameters
    ----------
    viewer : napari.Viewer
        The viewer; it is not kept alive.
    session : Session
        What is to be shown.
    """

    def __init__(self, viewer: Any, session: Session) -> None:
        super().__init__(viewer)
        self.session = session
        self._map_was_visible = False
        self._seen_row: int | None = None
        self._seen_input: npt.NDArray[np.uint8] | None = None
        self._seen_fill: npt.NDArray[np.float32] | None = None
        self._waiting: set[str] = set()
        session.result_changed.connect(self._on_result)
        session.scrubbed.connect(self._on_scrubbed)

    def _forget_seen(self) -> None:
        """Read the image in view again when it is next needed."""
        self._seen_row = None

    def _on_result(self, result: PepprResult | None) -> None:
        self._forget_seen()
        self._hide_other_map(result)
        before = self._shows_seen
        if result is None:
            self._hide_result()
        else:
            # First, as napari goes on believing in the old size of a hidden layer.
            for role in self._waiting:
                self.set_visible(role, True)
            self._waiting.clear()
            self._on_scrubbed(self.session.fraction, self.session.arm)

        def fit() -> None:
            if before != self._shows_seen:
                self._reset_view()

        TURNS.after(fit)

    @property
    def _shows_seen(self) -> bool:
        layer = self.layer("seen")
        return layer is not None and bool(layer.visible)

    def _hide_result(self) -> None:
        """Hide what belongs to a result until there is one again.

        To take a layer away and make it anew would hold up the window for longer than a person
        waits, at each step from a map with a result to one without.
        """
        for role in ("area", "seen"):
            layer = self.layer(role)
            if layer is not None and layer.visible:
                layer.visible = False
                self._waiting.add(role)

    def _hide_other_map(self, result: PepprResult | None) -> None:
        """Hide the global map while the result is that of a map from a file."""
        view, layer = self.session.view, self.layer("global map")
        if view is None or layer is None:
            return
        if result is not None and map_of(result, view.maps) not in view.maps:
            self._map_was_visible = self._map_was_visible or layer.visible
            layer.visible = False
        elif self._map_was_visible:
            layer.visible = True
            self._map_was_visible = False

    def _on_scrubbed(self, fraction: float, arm: str) -> None:
        if self.session.result is not None:
            self._in_turn("area", self._show_area, on="images")
            self._in_turn("seen", self._show_seen, on="images")

    def _show_area(self) -> None:
        result, fraction, arm = self.session.result, self.session.fraction, self.session.arm
        if result is None:
            return
        area, colours = self._area(result, fraction, arm), {1: ARM_COLOURS[arm]}
        layer = self.layer("area")
        if layer is not None and layer.metadata.get("arm") != arm:
            layer.colormap = _label_colours(colours)
        self._show("area", lambda: outline(area, colours), data=area, name=AREA_NAMES[arm])
        self.layer("area").metadata["arm"] = arm

    def _area(self, result: PepprResult, fraction: float, arm: str) -> npt.NDArray[np.uint8]:
        """Return which valid pixels are erased or restored, 0 or 1."""
        kept = result.kept(fraction, arm, self.session.row)
        if arm == "restore":
            return kept.astype(np.uint8)
        valid = np.zeros(result.shape, bool)
        valid.ravel()[result.order] = True
        return (valid & ~kept).astype(np.uint8)

    def _show_seen(self) -> None:
        result, view, row = self.session.result, self.session.view, self.session.row
        if result is None or view is None:
            return
        # A fill that depends on what is left takes too long to follow the slider.
        if result.fill is None or depends_on_mask(result.fill):
            self._remove("seen")
            return
        if self._seen_row != row or self._seen_input is None:
            # One image of the cache, a few milliseconds; scrubbing finds it in memory.
            self._seen_row, self._seen_input = row, view.model_input(row)
            self._seen_fill = result.fill_of(row, self._seen_input)
        seen = result.seen(
            self._seen_input, self.session.fraction, self.session.arm, self._seen_fill, row
        )
        image = to_rgb(seen, view.channels)
        self._show("seen", lambda: Image(image, rgb=True), data=image, name=SEEN)

    def _reset_view(self) -> None:
        viewer = self._viewer()
        if viewer is not None:
            fit_visible(viewer)

    def _remove(self, role: str) -> None:
        viewer, layer = self._viewer(), self.layer(role)
        if viewer is not None and layer is not None:
            viewer.layers.remove(layer)


def outline(area: npt.NDArray[np.uint8], colours: Mapping[int, str]) -> Labels:
    """Return a layer that shows the borders of areas, so that what lies in them stays in view."""
    layer = Labels(area, colormap=_label_colours(colours), opacity=0.9)
    layer.contour = 1
    return layer


def _label_colours(colours: Mapping[int, str]) -> DirectLabelColormap:
    every: dict[int | None, str] = {None: "transparent", 0: "transparent"}
    every |= dict(colours.items())
    return DirectLabelColormap(color_dict=every)
