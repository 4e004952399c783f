"""Scenes: groups of layers of which one is in front. None of them knows another.

What shows layers declares its scene and adds it here; the layers of others are then hidden and come
back as they were.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any
from weakref import WeakKeyDictionary, WeakSet, ref

import numpy as np
from napari.layers import Layer
from psygnal import Signal

from napari_globalxai.widgets.session.names import role_of
from napari_globalxai.widgets.workbench.drawing_context import draw_later, free_where_drawn
from napari_globalxai.widgets.workbench.kept_fit import KeptFit

_MARGIN = 0.95  # as napari's own


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


def ref_while_open(viewer: Any) -> Callable[[], Any]:
    """Return what gives a viewer, and None once it is gone or its window is closed.

    What was left for a later turn may come in between: the window's parts are gone by then.
    """
    known = ref(viewer)

    def give() -> Any:
        there = known()
        if there is None or not hasattr(there, "window"):
            return there
        try:
            # A script's `close` takes the window away, a person's has Qt delete it.
            there.window._qt_window.isVisible()
        except (AttributeError, RuntimeError):
            return None
        return there

    return give


def make_slider(viewer: Any) -> None:
    """Have napari make the slider of a stack before its layer: each takes the window a moment.

    Beside other layers, napari would look for a third axis of theirs.
    """
    if not viewer.layers:
        draw_later(viewer)
        viewer.dims.ndim = max(3, viewer.dims.ndim)


@dataclass(frozen=True)
class Scene:
    """A group of layers.

    Attributes
    ----------
    name : str
        Its name.
    roles : tuple of str
        The roles that its layers play, from the bottom; no other scene has them.
    level : int
        Where its layers lie in napari's list: above those of scenes of a lower level.
    beside : str
        The scene that it is seen together with; in place of all others where empty.
    camera : callable
        Points the camera once the scene has come to the front.
    """

    name: str
    roles: tuple[str, ...]
    level: int = 0
    beside: str = ""
    camera: Callable[[Any], None] = fit_visible

    @property
    def group(self) -> str:
        """The name that it shares with what it is seen together with."""
        return self.beside or self.name


class Scenes:
    """The scenes of a viewer.

    Parameters
    ----------
    viewer : napari.Viewer
        The viewer; it is not kept alive.

    Attributes
    ----------
    front_changed : psygnal.Signal
        Name of the scene that has come to the front; empty where none is.
    """

    front_changed = Signal(str)

    def __init__(self, viewer: Any) -> None:
        self._viewer = ref_while_open(viewer)
        self._by_role: dict[str, Scene] = {}
        # Scenes that were in front, the one that is comes last.
        self._recent: list[str] = []
        # Layers that are to be seen once their scene is in front again.
        self._waiting: WeakSet[Layer] = WeakSet()
        self._kept_fit = KeptFit(viewer, self._fit_again)

    @property
    def front(self) -> str:
        """Name of the scene in front; empty where none is."""
        return self._recent[-1] if self._recent else ""

    def add(self, scene: Scene) -> None:
        """Make a scene known; once more does nothing.

        Raises
        ------
        ValueError
            When another scene has one of its roles.
        """
        for role in scene.roles:
            if self._by_role.setdefault(role, scene) != scene:
                raise ValueError(f"{role!r} is a role of the scene {self._by_role[role].name!r}")

    def rank(self, role: str | None) -> tuple[int, str, int] | None:
        """Return what orders the layers by their roles, from the bottom; None for other layers."""
        scene = self._by_role.get(role or "")
        if scene is None or role is None:
            return None
        return scene.level, scene.name, scene.roles.index(role)

    def bring_forward(self, scene: Scene) -> None:
        """Show a scene and what lies beside it, and hide all others."""
        viewer = self._viewer()
        if viewer is None:
            return
        was_in_front = self.front == scene.group
        self._recent = [*(name for name in self._recent if name != scene.group), scene.group]
        for layer in list(viewer.layers):
            group = self._group(layer)
            if group == scene.group:
                self._show_again(layer)
            elif group is not None:
                self._hide(layer)
        if not was_in_front:
            self._point_camera(viewer)
            self.front_changed.emit(scene.group)

    def put_away(self, scene: Scene) -> None:
        """Hide a scene and what lies beside it; the one that was in front before comes back."""
        viewer, was_in_front = self._viewer(), self.front == scene.group
        self._recent = [name for name in self._recent if name != scene.group]
        if viewer is None or not was_in_front:
            return
        for layer in list(viewer.layers):
            group = self._group(layer)
            if group == scene.group:
                self._hide(layer)
            elif group is not None and group == self.front:
                self._show_again(layer)
        self._point_camera(viewer)
        self.front_changed.emit(self.front)

    def set_visible(self, layer: Layer, visible: bool) -> None:
        """Show or hide a layer; one whose scene is not in front is shown once it is."""
        if visible and self.front and self._group(layer) not in (None, self.front):
            self._waiting.add(layer)
        else:
            self._waiting.discard(layer)
            layer.visible = visible

    def fit(self, scene: Scene) -> None:
        """Point the camera anew, where a scene is in front."""
        viewer = self._viewer()
        if viewer is not None and self.front == scene.group:
            self._point_camera(viewer)

    def keep_fitted(self) -> None:
        """Take the view for one that was fitted: it is fitted again as the canvas changes."""
        self._kept_fit.keep()

    def _fit_again(self) -> None:
        viewer = self._viewer()
        if viewer is not None:
            self._point_camera(viewer)

    def _group(self, layer: Layer) -> str | None:
        scene = self._by_role.get(role_of(layer) or "")
        return None if scene is None else scene.group

    def _hide(self, layer: Layer) -> None:
        if layer.visible:
            layer.visible = False
            self._waiting.add(layer)

    def _show_again(self, layer: Layer) -> None:
        if layer in self._waiting:
            self._waiting.discard(layer)
            layer.visible = True

    def _point_camera(self, viewer: Any) -> None:
        known = (scene for scene in self._by_role.values() if scene.name == self.front)
        scene = next(known, None)
        (fit_visible if scene is None else scene.camera)(viewer)
        self._kept_fit.keep()


_scenes: WeakKeyDictionary[Any, Scenes] = WeakKeyDictionary()


def scenes_of(viewer: Any) -> Scenes:
    """Return the scenes of a viewer.

    Parameters
    ----------
    viewer : napari.Viewer
        The viewer itself, no proxy of it.
    """
    if viewer not in _scenes:
        free_where_drawn(viewer)
        _scenes[viewer] = Scenes(viewer)
    return _scenes[viewer]
