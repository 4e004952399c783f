"""Layers that the panels look after, each told by its role from the user's own."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from weakref import ref

import numpy as np
from napari.layers import Layer
from psygnal import Signal

from napari_globalxai.widgets.event_turns import TURNS

# Layers are told from the user's own by this key of their metadata, whatever they are renamed to.
METADATA_KEY = "napari_globalxai"
RUN_ROLES = ("images", "native", "seen", "attribution", "global map", "contours", "area")
QUALITY_ROLES = ("quality images", "quality mean", "quality sd", "quality coverage")
OTHER_ROLES = ("other images", "other map", "other difference")
GROWING_ROLES = ("growing ground", "growing map")
# From the bottom.
_ORDER = (*QUALITY_ROLES, *OTHER_ROLES, *RUN_ROLES, *GROWING_ROLES)
_MARGIN = 0.95  # as napari's own
GAP = 0.06  # between layers side by side, as a share of the image


def role_of(layer: Layer) -> str | None:
    """Return the role that a layer plays, None for the user's own."""
    role: str | None = layer.metadata.get(METADATA_KEY, {}).get("role")
    return role


def fit_visible(viewer: Any) -> None:
    """Fit the view to what can be seen; napari itself counts hidden layers as well.

    Its newest releases can be told which layers count, but fail where those that can be seen are
    flat and a hidden one is a stack.
    """
    visible = [layer for layer in viewer.layers if layer.visible]
    if not visible or viewer.dims.ndisplay != 2 or viewer.canvas.grid.enabled:
        viewer.reset_view()
        return
    low, high = viewer.layers.get_extent(visible).world[:, -2:]
    camera = viewer.scene.camera
    camera.center = tuple((low + high) / 2)
    camera.zoom = _MARGIN * float(np.min(np.asarray(viewer.canvas.size) / (high - low + 1)))


class RoleLayers:
    """Finds, makes and changes a viewer's layers by their roles.

    Parameters
    ----------
    viewer : napari.Viewer
        The viewer; it is not kept alive.

    Attributes
    ----------
    visibility_changed : psygnal.Signal
        A role, and whether its layer can be seen now: by the eye in napari's list as well.
    """

    visibility_changed = Signal(str, bool)

    def __init__(self, viewer: Any) -> None:
        self._viewer = ref(viewer)
        self._coming: set[str] = set()

    def layer(self, role: str) -> Any:
        """Return the layer that plays a role, or None.

        Parameters
        ----------
        role : str
            One of those above.
        """
        viewer = self._viewer()
        if viewer is not None:
            for layer in viewer.layers:
                if role_of(layer) == role:
                    return layer
        return None

    def set_visible(self, role: str, visible: bool) -> None:
        """Show or hide a layer, where it is there."""
        layer = self.layer(role)
        if layer is not None:
            layer.visible = visible

    def _in_turn(self, role: str, show: Callable[[], None], on: str | None = None) -> None:
        """Call what shows a layer: now where the layer is there, else in a turn of its own.

        Parameters
        ----------
        role : str
            The role that the layer plays.
        show : callable
            Shows what is to be shown by then, or nothing.
        on : str, optional
            The role of what it lies on. A viewer that is closed meanwhile has no layers any more.
        """
        if self.layer(role) is not None:
            show()
        elif role not in self._coming:
            self._coming.add(role)

            def piece() -> None:
                self._coming.discard(role)
                if on is None or self.layer(on) is not None:
                    show()

            TURNS.add(piece)

    def _show(
        self, role: str, make: Callable[[], Layer], *, data: Any, name: str, **values: Any
    ) -> None:
        """Set a layer's data and attributes, or make the layer where there is none.

        A layer that the user has renamed keeps that name.
        """
        viewer, layer = self._viewer(), self.layer(role)
        if viewer is None:
            return
        if layer is not None:
            layer.data = data
        else:
            layer = make()
            layer.metadata[METADATA_KEY] = {"role": role}
            self._place(layer, role)
            chosen = viewer.layers.selection.active
            viewer.layers.insert(self._position(role), layer)
            # napari selects what is new; the layer that the user works on stays selected.
            if chosen is not None and role != "global map":
                viewer.layers.selection.active = chosen
        self._listen(layer, role)
        known = layer.metadata[METADATA_KEY]
        # Compared with what napari made of the name: it adds a number to one that is taken.
        if known.get("asked") != name and known.get("name", layer.name) == layer.name:
            layer.name = name
            known["asked"], known["name"] = name, layer.name
        for attribute, value in values.items():
            if getattr(layer, attribute) != value:
                setattr(layer, attribute, value)

    def _listen(self, layer: Any, role: str) -> None:
        """Tell of the layer's eye, from the first time that it is shown."""
        known = layer.metadata[METADATA_KEY]
        if known.get("is_heard"):
            return
        known["is_heard"] = True
        this = ref(self)

        def on_visible(event: Any) -> None:
            roles = this()
            if roles is not None:
                roles.visibility_changed.emit(role, bool(event.source.visible))

        layer.events.visible.connect(on_visible)
        self.visibility_changed.emit(role, bool(layer.visible))

    def _place(self, layer: Any, role: str) -> None:
        """Put a new layer where it belongs: at home, unless somebody says otherwise."""

    def _position(self, role: str) -> int:
        """Return where a new layer goes: in a fixed order, above what the user has below."""
        viewer = self._viewer()
        if viewer is None:
            return 0
        position = len(viewer.layers)
        for index, layer in reversed(list(enumerate(viewer.layers))):
            other = role_of(layer)
            if other in _ORDER and _ORDER.index(other) > _ORDER.index(role):
                position = index
        return position
