"""The one place that turns a quality control into layers."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary, ref

import numpy as np
import numpy.typing as npt
from napari.layers import Image
from psygnal import Signal

from napari_globalxai.widgets.jobs.event_turns import TURNS
from napari_globalxai.widgets.layers.layer_roles import GAP, RoleLayers
from napari_globalxai.widgets.session.session import plain_viewer
from napari_globalxai.widgets.workbench.canvas_drops import take_drops
from napari_globalxai.widgets.workbench.scenes import Scene

if TYPE_CHECKING:
    from napari_globalxai.widgets.session.quality_view import QualityView

STACK = "quality images"
# What can be laid below the images, by role; the names of the layers.
COMPANIONS = {
    "quality mean": "Mean image",
    "quality sd": "SD image",
    "quality coverage": "Coverage",
}
SCENE = Scene("quality", (STACK, *COMPANIONS))


class QualityLayers(RoleLayers):
    """Shows a quality control in a viewer.

    Parameters
    ----------
    viewer : napari.Viewer
        The viewer; it is not kept alive.

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

    def __init__(self, viewer: Any) -> None:
        super().__init__(viewer, SCENE)
        self._view: QualityView | None = None
        self._made: QualityView | None = None
        self._companion = "quality mean"
        self._was_in_front = False
        self._chosen_before: Any = None
        viewer.dims.events.current_step.connect(self._on_step)
        self.scenes.front_changed.connect(self._on_front)

    @property
    def view(self) -> QualityView | None:
        """The quality control that is shown."""
        return self._view

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
        """Show a quality control, in front of all else."""
        self._view = view
        self.bring_forward()
        self.view_changed.emit(view)
        self.row_changed.emit(self.row)

    def remove(self) -> None:
        """Take the layers away, as what they are read from is about to change."""
        self.step_back()
        self._view = self._made = None
        for role in self.scene.roles:
            self._remove(role)
        self.view_changed.emit(None)

    def look_at(self, row: int) -> None:
        """Step to an image and bring the quality control to the front."""
        viewer = self._viewer()
        if viewer is not None and self._view is not None:
            self.bring_forward()
            viewer.dims.set_point(viewer.dims.ndim - 3, row)

    def bring_forward(self) -> None:
        """Show the quality control rather than what is shown."""
        viewer, view = self._viewer(), self._view
        if viewer is None or view is None:
            return
        was_in_front, chosen = self.in_front, viewer.layers.selection.active
        if not was_in_front and chosen is not None:
            self._chosen_before = ref(chosen)
        super().bring_forward()
        if self._made is not view or self.layer(STACK) is None:
            self._made = view
            self._make(view)
        elif was_in_front:
            self.set_visible(STACK, True)
            return
        viewer.layers.selection.active = self.layer(STACK)
        self._fit()
        TURNS.after(self._fit)

    def step_back(self) -> None:
        """Hide the quality control; what it hid is shown again."""
        self.scenes.put_away(self.scene)

    def compare_with(self, role: str) -> None:
        """Lay mean, SD or coverage below the images.

        Parameters
        ----------
        role : str
            One of `COMPANIONS`, or empty for nothing.
        """
        grown = bool(role) != bool(self._companion)
        self._companion = role
        for other in COMPANIONS:
            self.set_visible(other, other == role)
        if grown:
            self._fit()

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
        self.set_visible(role, role == self._companion)

    def _show_map(self, role: str, image: npt.NDArray[np.float32], most: float) -> None:
        self._show(
            role,
            lambda: Image(image, colormap="viridis", contrast_limits=(0, most)),
            data=image,
            name=COMPANIONS[role],
            contrast_limits_range=(0, most),
            contrast_limits=(0, most),
        )

    def _on_front(self, name: str) -> None:
        if self.in_front != self._was_in_front:
            self._was_in_front = self.in_front
            self.front_changed.emit(self.in_front)
            if not self.in_front:
                self._choose_again()

    def _choose_again(self) -> None:
        """Select what was selected before, in place of a layer that is hidden now."""
        viewer, before = self._viewer(), self._chosen_before
        chosen = None if before is None else before()
        if viewer is None or chosen is None or chosen not in viewer.layers:
            return
        if viewer.layers.selection.active is self.layer(STACK):
            viewer.layers.selection.active = chosen

    def _on_step(self, event: object = None) -> None:
        if self._view is not None:
            self.row_changed.emit(self.row)


_layers: WeakKeyDictionary[Any, QualityLayers] = WeakKeyDictionary()


def quality_layers_of(viewer: Any) -> QualityLayers:
    """Return what shows a quality control in a viewer; one a viewer."""
    plain = plain_viewer(viewer)
    if plain not in _layers:
        _layers[plain] = QualityLayers(plain)
        take_drops(plain)
    return _layers[plain]
