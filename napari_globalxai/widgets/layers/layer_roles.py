"""Layers that the panels look after, each told by its role from the user's own."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any
from weakref import ref

from napari.layers import Layer
from psygnal import Signal

from napari_globalxai.widgets.jobs.event_turns import TURNS
from napari_globalxai.widgets.layers.adding import add_in_turns, select_in_turn
from napari_globalxai.widgets.session.names import METADATA_KEY, give_role, role_of
from napari_globalxai.widgets.workbench.drawing_context import draw_later
from napari_globalxai.widgets.workbench.scenes import Scene, make_slider, ref_while_open, scenes_of

GAP = 0.06  # between layers side by side, as a share of the image
# Width and height of a colour bar, in pixels: beside and above the images, not over them.
_BAR = (20.0, 90.0)


def show_colour_bar(layer: Any, shown: bool = True) -> None:
    """Show or hide the colour bar of a layer, None where it has gone with the window."""
    if layer is not None:
        layer.colorbar.size = _BAR
        layer.colorbar.visible = shown


class RoleLayers:
    """Finds, makes and changes the layers of a scene by their roles.

    Parameters
    ----------
    viewer : napari.Viewer
        The viewer; it is not kept alive.
    scene : Scene
        What the layers are part of.

    Attributes
    ----------
    scenes : Scenes
        All scenes of the viewer.
    scene : Scene
        The one that is looked after here.
    visibility_changed : psygnal.Signal
        A role, and whether its layer can be seen while the scene is in front: by the eye in
        napari's list as well, or because somebody took it off that list.
    """

    visibility_changed = Signal(str, bool)

    def __init__(self, viewer: Any, scene: Scene) -> None:
        self._viewer = ref_while_open(viewer)
        self.scene, self.scenes = scene, scenes_of(viewer)
        self.scenes.add(scene)
        self._coming: set[str] = set()
        self._to_choose: Layer | None = None
        self._removes = False
        viewer.layers.events.removed.connect(self._on_removed)

    @property
    def in_front(self) -> bool:
        """Whether the scene is the one that is seen."""
        return self.scenes.front == self.scene.group

    def layer(self, role: str) -> Any:
        """Return the layer that plays a role, or None.

        Parameters
        ----------
        role : str
            One of this scene or of another.
        """
        viewer = self._viewer()
        if viewer is not None:
            for layer in viewer.layers:
                if role_of(layer) == role:
                    return layer
        return None

    def set_visible(self, role: str, visible: bool) -> None:
        """Show or hide a layer, where it is there, once its scene is in front."""
        layer = self.layer(role)
        if layer is not None:
            self.scenes.set_visible(layer, visible)

    def bring_forward(self) -> None:
        """Show the scene in place of others."""
        self.scenes.bring_forward(self.scene)

    def _in_turn(
        self,
        role: str,
        show: Callable[[], None],
        on: str | None = None,
        *,
        at_once: bool = True,
    ) -> None:
        """Call what shows a layer: now where the layer is there, else in a turn of its own.

        Parameters
        ----------
        role : str
            The role that the layer plays.
        show : callable
            Shows what is to be shown by then, or nothing.
        on : str, optional
            The role of what it lies on. A viewer that is closed meanwhile has no layers any more.
        at_once : bool
            Whether a layer that is there is shown now.
        """
        if at_once and self.layer(role) is not None:
            show()
        elif role not in self._coming:
            self._coming.add(role)

            def piece() -> None:
                self._coming.discard(role)
                if on is None or self.layer(on) is not None:
                    show()

            TURNS.add(piece)

    def make_slider(self) -> None:
        """Make the slider of a stack that is to come, see `make_slider`."""
        viewer = self._viewer()
        if viewer is not None:
            make_slider(viewer)

    def _show(
        self,
        role: str,
        make: Callable[[], Layer],
        *,
        data: Any,
        name: str,
        visible: bool | None = None,
        **values: Any,
    ) -> None:
        """Set a layer's data and attributes, or make the layer where there is none.

        A layer that the user has renamed keeps that name. Whether it is ``visible`` is left as it
        is where that is None.
        """
        viewer, layer = self._viewer(), self.layer(role)
        if viewer is None:
            return
        if layer is not None:
            layer.data = data
        else:
            layer = make()
            give_role(layer, role)
            self._place(layer, role)
            if self.scenes.front and not self.in_front:
                visible = layer.visible if visible is None else visible
                layer.visible = False
            is_chosen = not viewer.layers.selection or role == "global map"
            add_in_turns(viewer, layer, self._position(role))
            if is_chosen:
                self._to_choose = layer
                # Of several that are to be selected, the last one is.
                select_in_turn(viewer, layer, lambda: self._to_choose is layer)
        self._listen(layer, role)
        known = layer.metadata[METADATA_KEY]
        # Compared with what napari made of the name: it adds a number to one that is taken.
        if known.get("asked") != name and known.get("name", layer.name) == layer.name:
            layer.name = name
            known["asked"], known["name"] = name, layer.name
        for attribute, value in values.items():
            if getattr(layer, attribute) != value:
                setattr(layer, attribute, value)
        if visible is not None:
            self.scenes.set_visible(layer, visible)

    def _listen(self, layer: Any, role: str) -> None:
        """Tell of the layer's eye, from the first time that it is shown."""
        known = layer.metadata[METADATA_KEY]
        if known.get("is_heard"):
            return
        known["is_heard"] = True
        known.setdefault("of", layer.unique_id)
        this = ref(self)

        def on_visible(event: Any) -> None:
            roles = this()
            if roles is not None and roles.in_front:
                roles.visibility_changed.emit(role, bool(event.source.visible))

        layer.events.visible.connect(on_visible)
        self.visibility_changed.emit(role, bool(layer.visible))

    def _place(self, layer: Any, role: str) -> None:
        """Put a new layer where it belongs: at home, unless somebody says otherwise."""

    def _position(self, role: str) -> int:
        """Return where a new layer goes: in a fixed order, above what the user has below."""
        viewer, own = self._viewer(), self.scenes.rank(role)
        if viewer is None or own is None:
            return 0
        position = len(viewer.layers)
        for index, layer in reversed(list(enumerate(viewer.layers))):
            other = self.scenes.rank(role_of(layer))
            if other is not None and other > own:
                position = index
        return position

    def _remove(self, role: str) -> None:
        """Take a layer away, where it is there."""
        viewer, layer = self._viewer(), self.layer(role)
        if viewer is not None and layer is not None:
            draw_later(viewer)
            self._removes = True
            try:
                viewer.layers.remove(layer)
            finally:
                self._removes = False

    def _on_removed(self, event: Any) -> None:
        """Tell of what somebody else took away."""
        role = role_of(event.value)
        if role in self.scene.roles and not self._removes and self._viewer() is not None:
            self.visibility_changed.emit(role, False)

    def _remove_in_turn(self, is_wanted: Callable[[], bool]) -> None:
        """Take all layers of the scene away, each in a turn of its own.

        Each takes the window a moment.

        Parameters
        ----------
        is_wanted : callable
            Whether the layers are to be seen by then, after all.
        """

        def piece(role: str) -> None:
            if not is_wanted():
                self._remove(role)

        for role in self.scene.roles:
            if self.layer(role) is not None:
                TURNS.add(partial(piece, role))

    def _fit(self) -> None:
        """Point the camera anew, where the scene is in front."""
        self.scenes.fit(self.scene)
