"""The one place that turns a quality control into layers."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary, WeakSet

import numpy as np
import numpy.typing as npt
from napari.layers import Image, Layer
from psygnal import Signal

from napari_globalxai.widgets.event_turns import TURNS
from napari_globalxai.widgets.layer_roles import (
    GAP,
    QUALITY_ROLES,
    RUN_ROLES,
    RoleLayers,
    fit_visible,
    role_of,
)
from napari_globalxai.widgets.session import Session, plain_viewer, session_of

if TYPE_CHECKING:
    from napari_globalxai.widgets.quality_view import QualityView

STACK = "quality images"
# What can be laid below the images, by role; the names of the layers.
COMPANIONS = {
    "quality mean": "Mean image",
    "quality sd": "SD image",
    "quality coverage": "Coverage",
}


class QualityLayers(RoleLayers):
    """Shows a quality control in a viewer that may hold a run as well.

    Both have their images in one place, so that only one is in front: what the user worked with
    last. The other's layers are hidden, never removed, and come back as they were.

    Parameters
    ----------
    viewer : napari.Viewer
        The viewer; it is not kept alive.
    session : Session
        The run that may be open in it.

    Attributes
    ----------
    view_changed : psygnal.Signal
        Another quality control is shown, or None.
    row_changed : psygnal.Signal
        Row of the image that has come into view.
    front_changed : psygnal.Signal
        Whether the quality control is in front.
    """

    view_changed = Signal(object)
    row_changed = Signal(int)
    front_changed = Signal(bool)

    def __init__(self, viewer: Any, session: Session) -> None:
        super().__init__(viewer)
        self._view: QualityView | None = None
        self._companion = "quality mean"
        self._in_front = False
        self._hidden: WeakSet[Layer] = WeakSet()
        self._session = session
        viewer.dims.events.current_step.connect(self._on_step)
        session.view_changed.connect(self._on_run)
        session.map_changed.connect(self._on_run)
        session.result_changed.connect(self._on_run)
        session.scrubbed.connect(self._on_run)
        session.native_changed.connect(lambda native: self._on_run(native or None))

    @property
    def view(self) -> QualityView | None:
        """The quality control that is shown."""
        return self._view

    @property
    def in_front(self) -> bool:
        """Whether the quality control is shown rather than a run."""
        return self._in_front

    @property
    def companion(self) -> str:
        """Role of what is laid below the images; empty for nothing."""
        return self._companion

    @property
    def row(self) -> int:
        """Row of the image in view."""
        viewer, view = self._viewer(), self._view
        # The stack's image axis is the third from the end of the viewer's axes.
        if viewer is None or view is None or viewer.dims.ndim < 3:
            return 0
        return int(np.clip(viewer.dims.current_step[-3], 0, len(view.images) - 1))

    def show(self, view: QualityView) -> None:
        """Show a quality control, in front of a run."""
        self._view = view
        self._in_front = False
        self.bring_forward()
        self.view_changed.emit(view)
        self.row_changed.emit(self.row)

    def remove(self) -> None:
        """Take the layers away, as what they are read from is about to change."""
        viewer = self._viewer()
        self.step_back()
        self._view = None
        for role in QUALITY_ROLES:
            layer = self.layer(role)
            if viewer is not None and layer is not None:
                viewer.layers.remove(layer)
        self.view_changed.emit(None)

    def look_at(self, row: int) -> None:
        """Step to an image and bring the quality control to the front."""
        viewer = self._viewer()
        if viewer is not None and self._view is not None:
            self.bring_forward()
            viewer.dims.set_point(viewer.dims.ndim - 3, row)

    def bring_forward(self) -> None:
        """Show the quality control rather than a run."""
        viewer, view = self._viewer(), self._view
        if viewer is None or view is None:
            return
        # Native pixels are those of the run's images.
        self._session.show_native(False)
        for layer in viewer.layers:
            if layer.visible and role_of(layer) in RUN_ROLES:
                layer.visible = False
                self._hidden.add(layer)
        stack = self.layer(STACK)
        if self._in_front and stack is not None:
            stack.visible = True
            return
        self._in_front = True
        self._make(view)
        viewer.layers.selection.active = self.layer(STACK)
        fit_visible(viewer)
        TURNS.after(self._fit)
        self.front_changed.emit(True)

    def step_back(self) -> None:
        """Hide the quality control; a run that it hid is shown again."""
        viewer = self._viewer()
        if viewer is None or not self._in_front:
            return
        self._in_front = False
        for role in QUALITY_ROLES:
            layer = self.layer(role)
            if layer is not None:
                layer.visible = False
        for layer in self._hidden:
            layer.visible = True
        self._hidden.clear()
        fit_visible(viewer)
        self.front_changed.emit(False)

    def compare_with(self, role: str) -> None:
        """Lay mean, SD or coverage below the images.

        Parameters
        ----------
        role : str
            One of `COMPANIONS`, or empty for nothing.
        """
        grown = bool(role) != bool(self._companion)
        self._companion = role
        viewer = self._viewer()
        if viewer is None or not self._in_front:
            return
        for other in COMPANIONS:
            layer = self.layer(other)
            if layer is not None:
                layer.visible = other == role
        if grown:
            fit_visible(viewer)

    def _make(self, view: QualityView) -> None:
        """Make the layers, or give them what belongs to another quality control."""
        self._show(
            STACK,
            lambda: Image(view.images, rgb=True, axis_labels=("image", "y", "x")),
            data=view.images,
            name="Aligned images",
            visible=True,
        )
        for role in COMPANIONS:
            self._in_turn(role, partial(self._show_companion, role), on=STACK)

    def _show_companion(self, role: str) -> None:
        """Show what is laid below the images; the rest is there, and hidden."""
        view = self._view
        if view is None:
            return
        if role == "quality mean":
            self._show(
                role, lambda: Image(view.mean, rgb=True), data=view.mean, name=COMPANIONS[role]
            )
        elif role == "quality sd":
            self._show_map(role, view.sd, float(view.sd.max(initial=0)) or 1.0)
        else:
            self._show_map(role, view.coverage, 1.0)
        layer = self.layer(role)
        # Below, as the canvas between napari's own panels is higher than it is wide.
        layer.translate = (round(view.images.shape[1] * (1 + GAP)), 0)
        layer.visible = self._in_front and role == self._companion

    def _show_map(self, role: str, image: npt.NDArray[np.float32], most: float) -> None:
        self._show(
            role,
            lambda: Image(image, colormap="viridis", contrast_limits=(0, most)),
            data=image,
            name=COMPANIONS[role],
            contrast_limits_range=(0, most),
            contrast_limits=(0, most),
        )

    def _fit(self) -> None:
        viewer = self._viewer()
        if viewer is not None and self._in_front:
            fit_visible(viewer)

    def _on_run(self, *what: object) -> None:
        # A result that is taken away is no work of the user's.
        if what[0] is not None:
            self.step_back()

    def _on_step(self, event: object = None) -> None:
        if self._view is not None:
            self.row_changed.emit(self.row)


_layers: WeakKeyDictionary[Any, QualityLayers] = WeakKeyDictionary()


def quality_layers_of(viewer: Any) -> QualityLayers:
    """Return what shows a quality control in a viewer; one a viewer."""
    plain = plain_viewer(viewer)
    if plain not in _layers:
        _layers[plain] = QualityLayers(plain, session_of(plain))
    return _layers[plain]
