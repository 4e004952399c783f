"""The image in view as its file stores it, with the layers of the frame laid on it."""

from __future__ import annotations

from typing import Any, NamedTuple

from napari.layers import Image
from psygnal import Signal

from napari_globalxai.addresses import name_store, place, unnamed_store
from napari_globalxai.runs.opened.image_place import MovedImageError
from napari_globalxai.runs.tables import PATH
from napari_globalxai.widgets.jobs.warm_up import import_models
from napari_globalxai.widgets.jobs.workers import LatestOnly
from napari_globalxai.widgets.layers.layer_roles import RoleLayers
from napari_globalxai.widgets.session.frame_place import FramePlace
from napari_globalxai.widgets.session.run_view import RunView
from napari_globalxai.widgets.session.session import Session
from napari_globalxai.widgets.workbench.scenes import Scene

NATIVE = "Native image"
NO_IMAGES = (
    "The run's images were taken off the layer list; open the run again, under “Recent runs”."
)
_MAPS = ("attribution", "global map")


class _Moved(NamedTuple):
    """What is said of an image that is not where the run says."""

    sentence: str


class NativeLayers(RoleLayers):
    """Shows the native image and moves the layers of the frame onto it.

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
    native_shown : psygnal.Signal
        Row whose native image has just been shown.
    native_failed : psygnal.Signal
        One sentence for the user: why there is no native image.
    native_refused : psygnal.Signal
        The store that the image lies in, which the run names and no person did.
    native_moved : psygnal.Signal
        One sentence for the user: that the image is not where the run says.
    """

    native_shown = Signal(int)
    native_failed = Signal(str)
    native_refused = Signal(str)
    native_moved = Signal(str)

    def __init__(self, viewer: Any, scene: Scene, session: Session) -> None:
        super().__init__(viewer, scene)
        self.session = session
        self._allowed: str | None = None
        self._natives = LatestOnly()
        self._natives.ready.connect(self._on_native_image)
        self._natives.failed.connect(self._on_native_failed)
        session.native_changed.connect(self._on_native)
        session.frame_moved.connect(self._on_moved)
        self.scenes.front_changed.connect(self._on_front)

    def _on_front(self, name: str) -> None:
        # Native pixels are those of the run's images.
        if name != self.scene.group:
            self.session.show_native(False)

    def _on_native(self, native: bool) -> None:
        if native:
            self.bring_forward()
            self._show_native()
        else:
            self._remove("native")
            self.session.move_frame(FramePlace())
            self._fit()

    def _show_native(self) -> None:
        view, row = self.session.view, self.session.row
        if not self.session.native or view is None:
            return
        if self.layer("images") is None:
            self._on_native_failed(NO_IMAGES)
            return
        # Until the file is read, the stack shows the image, as sharp as the frame.
        self.set_visible("native", False)
        if view.run.images["error"].iloc[row]:
            # The panel says why there is nothing to see.
            return
        if row in view.run.placements:
            where = view.run.placements[row]
            same_size = where.shape == self.session.place.shape
            self.session.move_frame(FramePlace(where.affine, where.shape))
            if not same_size:
                # Otherwise the user goes on looking at the same place.
                self._fit()

        run, allowed = view.run, self._allowed
        folder = self.session.image_folder_of(run)

        def read() -> Any:
            # Image files are read by MONAI.
            import_models()
            if allowed is not None:
                name_store(place(allowed))
            path = place(str(run.images[PATH].iloc[row]))
            try:
                return unnamed_store(path, run.folder) or run.native_image(row, folder=folder)
            except MovedImageError as why:
                return _Moved(str(why))

        self._natives.request((view, row), read)

    def _on_native_image(self, key: tuple[RunView, int], image: Any) -> None:
        view, row = key
        if not self.session.native or (view, row) != (self.session.view, self.session.row):
            return
        if self.layer("images") is None:
            return
        if isinstance(image, str):
            self.session.show_native(False)
            self.native_refused.emit(image)
            return
        if isinstance(image, _Moved):
            self.session.show_native(False)
            self.native_moved.emit(image.sentence)
            return
        before = self.layer("native")
        new_size = before is None or before.data.shape != image.shape
        # First, as napari goes on believing in the old size of a hidden layer.
        self.set_visible("native", True)
        self._show("native", lambda: Image(image, rgb=True), data=image, name=NATIVE)
        if new_size:
            # A registered frame does not cover all of it.
            self._fit()
        self.native_shown.emit(row)

    def allow(self, store: str) -> None:
        """Ask a store for images from now on, until napari ends, and show the one in view."""
        self._allowed = store
        self.session.show_native(True)

    def _on_native_failed(self, sentence: str) -> None:
        if self.session.native:
            self.session.show_native(False)
            self.native_failed.emit(sentence)

    def _on_moved(self, moved: FramePlace) -> None:
        for role in self.scene.roles:
            layer = self.layer(role)
            if layer is not None:
                self._place(layer, role)

    def _place(self, layer: Any, role: str) -> None:
        """Put a layer of the frame where the frame lies."""
        if role == "native":
            return
        self.session.place.lay(layer)
        if role in _MAPS:
            # A pixel of the frame may be a large square of the native image.
            layer.interpolation2d = "linear" if self.session.native else "nearest"
