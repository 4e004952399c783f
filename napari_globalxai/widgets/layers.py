"""The one place that turns a run into layers: names, order, colours, scales."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary

import numpy as np
import numpy.typing as npt
from napari.layers import Image, Labels, Layer
from napari.utils.colormaps import DirectLabelColormap
from psygnal import Signal

from napari_globalxai.faithfulness.fills import depends_on_mask
from napari_globalxai.widgets.colours import ARM_COLOURS, map_colormap
from napari_globalxai.widgets.layer_roles import (
    GAP,
    METADATA_KEY,
    RUN_ROLES,
    RoleLayers,
    fit_visible,
)
from napari_globalxai.widgets.run_view import RunView, to_rgb
from napari_globalxai.widgets.session import OVERALL, Session, plain_viewer, session_of
from napari_globalxai.widgets.workers import LatestOnly

if TYPE_CHECKING:
    from napari_globalxai.faithfulness.result import PepprResult

IMAGES = "Images"
NATIVE = "Native image"
SEEN = "What the model saw"
AREA_NAMES = {"restore": "Restored area", "erase": "Erased area"}
_MAPS = ("attribution", "global map")


def global_map_name(map_name: str) -> str:
    """Return the name of the layer of a global map."""
    return f"Global map: {map_name}"


def attribution_name(label: str) -> str:
    """Return the name of the layer of one image's attribution."""
    return f"Attribution: {label}"


class RunLayers(RoleLayers):
    """Keeps a viewer's layers in step with its session.

    Parameters
    ----------
    viewer : napari.Viewer
        The viewer; it is not kept alive.
    session : Session
        What is to be shown.

    Attributes
    ----------
    attribution_shown : psygnal.Signal
        Row and label whose attribution has just been shown.
    native_shown : psygnal.Signal
        Row whose native image has just been shown.
    native_failed : psygnal.Signal
        One sentence for the user: why there is no native image.
    """

    attribution_shown = Signal(int, str)
    native_shown = Signal(int)
    native_failed = Signal(str)

    def __init__(self, viewer: Any, session: Session) -> None:
        super().__init__(viewer)
        self.session = session
        self._shared_scale = True
        self._attributions = LatestOnly()
        self._attributions.ready.connect(self._on_attribution)
        self._natives = LatestOnly()
        self._natives.ready.connect(self._on_native_image)
        self._natives.failed.connect(self._on_native_failed)
        # Where the layers of the frame lie: at home, or in the native image's pixels.
        self._affine = np.eye(3)
        self._native_shape: tuple[int, int] | None = None
        self._seen_row: int | None = None
        self._seen_input: npt.NDArray[np.uint8] | None = None
        self._seen_fill: npt.NDArray[np.float32] | None = None
        session.view_changed.connect(self._on_view)
        session.map_changed.connect(self._on_map)
        session.row_changed.connect(self._on_row)
        session.native_changed.connect(self._on_native)
        session.result_changed.connect(self._on_result)
        session.scrubbed.connect(self._on_scrubbed)
        viewer.dims.events.current_step.connect(self._on_step)

    @property
    def shared_scale(self) -> bool:
        """Whether the maps of all labels are shown on one scale."""
        return self._shared_scale

    @shared_scale.setter
    def shared_scale(self, shared: bool) -> None:
        self._shared_scale = shared
        layer, view = self.layer("global map"), self.session.view
        if layer is not None and view is not None:
            layer.contrast_limits = self._limits(view.map_limit(self.session.map_name, shared))

    def set_visible(self, role: str, visible: bool) -> None:
        """Show or hide a layer, where it is there."""
        layer = self.layer(role)
        if layer is not None:
            layer.visible = visible
        if role == "attribution" and visible:
            self._request_attribution()

    # The run.

    def _on_view(self, view: RunView) -> None:
        self._seen_row = None
        same = self.layer("images")
        self._show(
            "images",
            lambda: Image(view.images, name=IMAGES, rgb=True, axis_labels=("image", "y", "x")),
            data=view.images,
            name=IMAGES,
        )
        if same is None:
            self._reset_view()
        self._on_step()

    def _on_map(self, name: str) -> None:
        view = self.session.view
        if view is None:
            return
        image, limits = view.maps[name], self._limits(view.map_limit(name, self._shared_scale))
        colormap = map_colormap(signed=view.signed)
        self._show(
            "global map",
            lambda: Image(
                image, colormap=colormap, contrast_limits=limits, opacity=0.75, visible=True
            ),
            data=image,
            name=global_map_name(name),
            contrast_limits_range=limits,
            contrast_limits=limits,
        )
        self._request_attribution()

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
        self._show_seen()
        self._show_native()

    # One image's attribution, read beside the GUI thread.

    def _request_attribution(self) -> None:
        view, name, row = self.session.view, self.session.map_name, self.session.row
        if view is None or self.layer("images") is None:
            return
        labels = view.labels if name == OVERALL else (name,)
        run = view.run

        def read() -> npt.NDArray[np.float32]:
            # The overall map weighs labels alike, whatever their scale; so does this mean.
            maps = [run.image_map(row, label) / view.attribution_limits[label] for label in labels]
            return np.asarray(np.nan_to_num(np.mean(maps, axis=0)), np.float32)

        self._attributions.request((view, row, name), read)

    def _on_attribution(self, key: tuple[RunView, int, str], image: Any) -> None:
        view, row, name = key
        # The answer may come when the viewer is closed, or the user has removed the images.
        if view is not self.session.view or self.layer("images") is None:
            return
        limits = (-1.0, 1.0) if view.signed else (0.0, 1.0)
        colormap = map_colormap(signed=view.signed)
        self._show(
            "attribution",
            lambda: Image(
                image, colormap=colormap, contrast_limits=limits, opacity=0.75, visible=False
            ),
            data=image,
            name=attribution_name(name),
        )
        self.attribution_shown.emit(row, name)

    # The image in view as its file stores it. The layers of the frame are moved there by their
    # affine, so that nothing is resampled and whatever is shown next lies right, too.

    def _on_native(self, native: bool) -> None:
        if native:
            self._show_native()
        else:
            self._remove("native")
            self._native_shape = None
            self._move_frame(np.eye(3))
            self._reset_view()

    def _show_native(self) -> None:
        view, row = self.session.view, self.session.row
        if not self.session.native or view is None or self.layer("images") is None:
            return
        # Until the file is read, the stack shows the image, as sharp as the frame.
        self.set_visible("native", False)
        if view.run.images["error"].iloc[row]:
            # The panel says why there is nothing to see.
            return
        if row in view.run.placements:
            place = view.run.placements[row]
            same_size, self._native_shape = place.shape == self._native_shape, place.shape
            self._move_frame(place.affine)
            if not same_size:
                # Otherwise the user goes on looking at the same place.
                self._reset_view()
        self._natives.request((view, row), lambda: view.run.native_image(row))

    def _on_native_image(self, key: tuple[RunView, int], image: Any) -> None:
        view, row = key
        if not self.session.native or (view, row) != (self.session.view, self.session.row):
            return
        if self.layer("images") is None:
            return
        before = self.layer("native")
        new_size = before is None or before.data.shape != image.shape
        # First, as napari goes on believing in the old size of a hidden layer.
        self.set_visible("native", True)
        self._show("native", lambda: Image(image, rgb=True), data=image, name=NATIVE)
        if new_size:
            # A registered frame does not cover all of it.
            self._reset_view()
        self.native_shown.emit(row)

    def _on_native_failed(self, sentence: str) -> None:
        if self.session.native:
            self.session.show_native(False)
            self.native_failed.emit(sentence)

    def _move_frame(self, affine: npt.NDArray[np.float64]) -> None:
        self._affine = affine
        for role in RUN_ROLES:
            layer = self.layer(role)
            if layer is not None:
                self._place(layer, role)

    def _place(self, layer: Any, role: str) -> None:
        """Put a layer of the frame where the frame lies."""
        if role == "native":
            return
        # Axes before the last two, such as the stack's, stay as they are.
        affine = np.eye(layer.ndim + 1)
        affine[-3:, -3:] = self._affine
        if role == "seen":
            # Beside the image in view, so that both can be compared at a glance.
            width = layer.data.shape[1] if self._native_shape is None else self._native_shape[1]
            affine[-2, -1] += round(width * (1 + GAP))
        if not np.array_equal(layer.affine.affine_matrix, affine):
            layer.affine = affine
        if role in _MAPS:
            # A pixel of the frame may be a large square of the native image.
            layer.interpolation2d = "linear" if self.session.native else "nearest"

    # PEPPR.

    def _on_result(self, result: PepprResult | None) -> None:
        self._seen_row = None
        if result is None:
            for role in ("area", "seen"):
                self._remove(role)
            return
        new = self.layer("seen") is None
        self._on_scrubbed(self.session.fraction, self.session.arm)
        if new:
            self._reset_view()

    def _on_scrubbed(self, fraction: float, arm: str) -> None:
        result = self.session.result
        if result is None:
            return
        area = self._area(result, fraction, arm)
        colormap = DirectLabelColormap(
            color_dict={None: "transparent", 0: "transparent", 1: ARM_COLOURS[arm]}
        )
        layer = self.layer("area")
        if layer is not None and layer.name != AREA_NAMES[arm]:
            layer.colormap = colormap
        self._show(
            "area",
            lambda: _outline(area, colormap),
            data=area,
            name=AREA_NAMES[arm],
        )
        self._show_seen()

    def _area(self, result: PepprResult, fraction: float, arm: str) -> npt.NDArray[np.uint8]:
        """Return which valid pixels are erased or restored, 0 or 1."""
        kept = result.kept(fraction, arm)
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
            self._seen_input, self.session.fraction, self.session.arm, self._seen_fill
        )
        image = to_rgb(seen, view.channels)
        self._show("seen", lambda: Image(image, rgb=True), data=image, name=SEEN)

    # Layers.

    def _reset_view(self) -> None:
        viewer = self._viewer()
        if viewer is not None:
            fit_visible(viewer)

    def _remove(self, role: str) -> None:
        viewer, layer = self._viewer(), self.layer(role)
        if viewer is not None and layer is not None:
            viewer.layers.remove(layer)

    def _limits(self, limit: float) -> tuple[float, float]:
        view = self.session.view
        return (-limit if view is not None and view.signed else 0.0, limit)


def _outline(area: npt.NDArray[np.uint8], colormap: DirectLabelColormap) -> Labels:
    """Return a layer that shows an area's border, so that what lies in it stays in view."""
    layer = Labels(area, colormap=colormap, opacity=0.9)
    layer.contour = 1
    return layer


_layers: WeakKeyDictionary[Any, RunLayers] = WeakKeyDictionary()


def layers_of(viewer: Any) -> RunLayers:
    """Return what keeps a viewer's layers in step with its session; one a viewer."""
    plain = plain_viewer(viewer)
    if plain not in _layers:
        _layers[plain] = RunLayers(plain, session_of(plain))
    return _layers[plain]


def sample_paths(layer: Layer) -> tuple[Path, Path] | None:
    """Return the cohort table and model that a sample's layer came from, or None."""
    known = layer.metadata.get(METADATA_KEY, {})
    if "cohort" in known and "model" in known:
        return Path(known["cohort"]), Path(known["model"])
    return None
