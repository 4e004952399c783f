"""The attribution of the image in view, above the run's images, and the colours of all maps."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
from napari.layers import Image
from psygnal import Signal

from napari_globalxai.widgets.jobs.workers import LatestOnly
from napari_globalxai.widgets.layers.native_layers import NativeLayers
from napari_globalxai.widgets.session.names import METADATA_KEY
from napari_globalxai.widgets.session.present_run import telling_if_gone
from napari_globalxai.widgets.session.run_view import RunView, image_attribution
from napari_globalxai.widgets.session.session import OVERALL, Session
from napari_globalxai.widgets.words.colours import map_colormap
from napari_globalxai.widgets.words.plain_labels import plain
from napari_globalxai.widgets.workbench.scenes import Scene

if TYPE_CHECKING:
    from napari.utils import Colormap

    from napari_globalxai.runs.run import Run


def attribution_name(label: str, residual: bool = False) -> str:
    """Return the name of the layer of one image's attribution, or of how it differs from others."""
    return plain(f"{'This image less the others' if residual else 'Attribution'}: {label}")


class AttributionLayers(NativeLayers):
    """Shows the attribution of the image in view, or how it differs from that of the others.

    Parameters
    ----------
    viewer : napari.Viewer
        The viewer; it is not kept alive.
    scene : Scene
        What the layers are part of.
    session : Session
        What is to be shown.

    Attributes
    ----------
    attribution_shown : psygnal.Signal
        Row and label whose attribution has just been shown.
    maps_failed : psygnal.Signal
        One sentence for the user: why the maps asked for cannot be made.
    """

    attribution_shown = Signal(int, str)
    maps_failed = Signal(str)

    def __init__(self, viewer: Any, scene: Scene, session: Session) -> None:
        super().__init__(viewer, scene, session)
        self._scale = "linear"
        self._residual = self._is_asked = False
        self._attributions = LatestOnly()
        self._attributions.ready.connect(self._on_attribution)
        self._attributions.failed.connect(self._on_no_attribution)

    @property
    def residual(self) -> bool:
        """Whether the attribution of the image in view is shown less the mean of the others."""
        return self._residual

    @residual.setter
    def residual(self, residual: bool) -> None:
        self._residual = residual
        self._request_attribution()

    def set_visible(self, role: str, visible: bool) -> None:
        """Show or hide a layer; an attribution that somebody took away is shown anew."""
        super().set_visible(role, visible)
        if role == "attribution":
            self._is_asked = visible
            if visible:
                self._request_attribution()

    def _request_attribution(self) -> None:
        view, name, row = self.session.view, self.session.map_name, self.session.row
        if view is None or self.layer("images") is None:
            return
        labels = view.labels if name == OVERALL else (name,)
        run, residual = view.run, self._residual

        def read() -> npt.NDArray[np.float32]:
            with telling_if_gone(run):
                if residual:
                    return _mean_residual(run, row, labels)
                return image_attribution(view, row, labels)

        self._attributions.request((view, row, name, residual), read)

    def _on_attribution(self, key: tuple[RunView, int, str, bool], image: Any) -> None:
        view, row, name, residual = key
        # The answer may come when the viewer is closed, or the user has removed the images.
        if view is not self.session.view or self.layer("images") is None:
            return
        limits = (-1.0, 1.0) if self._attribution_signed else (0.0, 1.0)
        colormap = self._colormap("attribution", image[view.valid], 1.0)
        seen = residual or self._is_asked
        self._show(
            "attribution",
            lambda: Image(
                image, colormap=colormap, contrast_limits=limits, opacity=0.75, visible=seen
            ),
            data=image,
            name=attribution_name(name, residual),
            contrast_limits_range=limits,
            contrast_limits=limits,
        )
        if self._scale == "percentile" or self.layer("attribution").colormap != colormap:
            self._set_colormap("attribution", colormap)
        self.attribution_shown.emit(row, name)

    def _on_no_attribution(self, sentence: str) -> None:
        # What it shows is of another image.
        self._remove("attribution")
        self.maps_failed.emit(sentence)

    def _colour_attribution(self) -> None:
        view, layer = self.session.view, self.layer("attribution")
        # Not yet that of another run, which is about to be shown.
        if view is not None and layer is not None and layer.data.shape == view.valid.shape:
            values = layer.data[view.valid]
            self._set_colormap("attribution", self._colormap("attribution", values, 1.0))

    @property
    def _attribution_signed(self) -> bool:
        view = self.session.view
        return view is not None and (view.signed or self._residual)

    @property
    def _signed(self) -> bool:
        view, shown = self.session.view, self.session.shown
        return (view is not None and view.signed) if shown is None else shown.signed

    def _colormap(self, role: str, values: Any, limit: float) -> Colormap:
        shown, signed = self.session.shown, self._signed
        is_less = shown is not None and shown.choice.less is not None
        if role == "attribution":
            is_less, signed = self._residual, self._attribution_signed
        role = "difference" if is_less else role
        return map_colormap(signed=signed, role=role, scale=self._scale, values=values, limit=limit)

    def _set_colormap(self, role: str, colormap: Colormap) -> None:
        """Give a layer our colours, unless the user gave it others."""
        layer = self.layer(role)
        if layer is not None:
            known = layer.metadata[METADATA_KEY]
            if known.get("colormap", layer.colormap.name) == layer.colormap.name:
                layer.colormap = colormap
                known["colormap"] = colormap.name


def _mean_residual(run: Run, row: int, labels: tuple[str, ...]) -> npt.NDArray[np.float32]:
    """Return how an image differs from the others, at most 1, labels weighed alike."""
    from napari_globalxai.runs.questions.image_residual import image_residual

    residuals = [np.nan_to_num(image_residual(run, row, label)) for label in labels]
    scaled = [each / (float(np.abs(each).max()) or 1.0) for each in residuals]
    return np.asarray(np.mean(scaled, axis=0), np.float32)
