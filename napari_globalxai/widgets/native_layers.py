"""The image in view as its file stores it, with the layers of the frame laid on it."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
from napari.layers import Image
from psygnal import Signal

from napari_globalxai.widgets.layer_roles import GAP, RUN_ROLES
from napari_globalxai.widgets.peppr_layers import PepprLayers
from napari_globalxai.widgets.run_view import RunView
from napari_globalxai.widgets.session import Session
from napari_globalxai.widgets.warm_up import import_models
from napari_globalxai.widgets.workers import LatestOnly

NATIVE = "Native image"
_MAPS = ("attribution", "global map")


class NativeLayers(PepprLayers):
    """Shows the native image and moves the layers of the frame onto it.

    Parameters
    ----------
    viewer : napari.Viewer
        The viewer; it is not kept alive.
    session : Session
        What is to be shown.

    Attributes
    ----------
    native_shown : psygnal.Signal
        Row whose native image has just been shown.
    native_failed : psygnal.Signal
        One sentence for the user: why there is no native image.
    """

    native_shown = Signal(int)
    native_failed = Signal(str)

    def __init__(self, viewer: Any, session: Session) -> None:
        super().__init__(viewer, session)
        self._natives = LatestOnly()
        self._natives.ready.connect(self._on_native_image)
        self._natives.failed.connect(self._on_native_failed)
        # Where the layers of the frame lie: at home, or in the native image's pixels.
        self._affine = np.eye(3)
        self._native_shape: tuple[int, int] | None = None
        session.native_changed.connect(self._on_native)

    # The layers of the frame are moved by their affine, so that nothing is resampled and whatever
    # is shown next lies right, too.

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

        def read() -> Any:
            # Image files are read by MONAI.
            import_models()
            return view.run.native_image(row)

        self._natives.request((view, row), read)

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
