"""How layers are added: what napari does at once is spread over turns of the event loop.

A layer takes it a tenth of a second and more: its place in the canvas, its controls, its selection,
its first drawing. Here, each of these has a turn of its own.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from typing import Any
from weakref import WeakSet, ref

from napari.layers import Layer
from napari.utils.events import Event
from qtpy.QtCore import QTimer

from napari_globalxai.widgets.jobs.event_turns import TURNS
from napari_globalxai.widgets.workbench.drawing_context import canvas_of, draw_later
from napari_globalxai.widgets.workbench.scenes import ref_while_open


def add_in_turns(viewer: Any, layer: Layer, position: int | None = None) -> None:
    """Add a layer; what is selected stays so.

    Parameters
    ----------
    viewer : napari.Viewer
        The viewer itself, no proxy of it.
    layer : napari.layers.Layer
        The layer.
    position : int, optional
        Where it goes in the list; at its end where it is left out.
    """
    draw_later(viewer)
    # napari selects what is new; the layer that the user works on stays selected.
    with same_selection(viewer), _controls_later(viewer):
        viewer.layers.insert(len(viewer.layers) if position is None else position, layer)
    _draw_in_parts(viewer, layer)


def select_in_turn(viewer: Any, layer: Layer, is_wanted: Callable[[], bool] = lambda: True) -> None:
    """Select a layer in a turn of its own, as showing its controls takes the window a moment.

    Parameters
    ----------
    viewer : napari.Viewer
        The viewer itself, no proxy of it.
    layer : napari.layers.Layer
        The layer; it may have been taken away by then.
    is_wanted : callable
        Whether it is to be selected by then.
    """
    given = ref_while_open(viewer)

    def piece() -> None:
        there = given()
        if is_wanted() and there is not None and layer in there.layers:
            there.layers.selection.active = layer

    TURNS.add(piece)


def next_in_turns(viewer: Any) -> None:
    """Spread what napari does with layers that it adds by itself before the event loop goes on.

    Parameters
    ----------
    viewer : napari.Viewer
        The viewer itself, no proxy of it.
    """
    draw_later(viewer)
    given, selection = ref(viewer), viewer.layers.selection
    with ExitStack() as stack:
        stack.enter_context(_controls_later(viewer))
        stack.enter_context(selection.events.blocker_all())
        until_then = stack.pop_all()

    def go_on() -> None:
        chosen = set(selection)
        selection.clear()
        until_then.close()
        there = given()
        for layer in chosen if there is not None else ():
            select_in_turn(there, layer)

    QTimer.singleShot(0, go_on)


class _MadeWhenAsked(dict[Layer, Any]):
    """napari's controls by layer; those of some are made once somebody asks for them.

    Whoever selects or removes a layer before its turn does.
    """

    def __init__(self, container: Any) -> None:
        super().__init__(container.widgets)
        self._container = ref(container)
        self.late: WeakSet[Layer] = WeakSet()

    def __missing__(self, layer: Layer) -> Any:
        if layer not in self.late:
            raise KeyError(layer)
        self.make(layer)
        return self[layer]

    def make(self, layer: Layer) -> None:
        """Make the controls of a layer, unless they are there."""
        container = self._container()
        if layer in self.late and container is not None:
            self.late.discard(layer)
            # Here, too, none where napari is set to make them for the selection alone.
            container._add(Event("inserted", value=layer))
            # They begin with the first tool, whichever was taken up meanwhile.
            layer.events.mode(mode=layer.mode)


@contextmanager
def _controls_later(viewer: Any) -> Iterator[None]:
    """Make the controls of layers that are added meanwhile in turns of their own."""
    window = getattr(viewer, "window", None)
    container = getattr(getattr(window, "_qt_viewer", None), "controls", None)
    make = getattr(container, "_add", None)
    if container is None or make is None or not isinstance(container.widgets, dict):
        yield
        return
    if not isinstance(container.widgets, _MadeWhenAsked):
        container.widgets = _MadeWhenAsked(container)
    controls, given = container.widgets, ref_while_open(viewer)

    def make_one(layer: Layer) -> None:
        there = given()
        if there is not None and layer in there.layers:
            controls.make(layer)

    def on_inserted(event: Any) -> None:
        controls.late.add(event.value)
        TURNS.add(partial(make_one, event.value))

    inserted = viewer.layers.events.inserted
    inserted.connect(on_inserted)
    try:
        with inserted.blocker(make):
            yield
    finally:
        inserted.disconnect(on_inserted)


@contextmanager
def same_selection(viewer: Any) -> Iterator[None]:
    """Keep what is selected while layers are added.

    napari would fill the controls of layers twice, and nobody be told of anything new.
    """
    selection = viewer.layers.selection
    chosen, active = set(selection), selection.active
    with selection.events.blocker_all():
        yield
        selection.active = active
        viewer.layers.selection = chosen


def _draw_in_parts(viewer: Any, layer: Layer) -> None:
    """Draw what a layer consists of one after the other: each is built when it is first drawn.

    Of shapes, these are areas, their outlines, lines, corners and letters. Letters take longest,
    our layers have none, and they are left out until somebody writes some.
    """
    node = getattr(getattr(canvas_of(viewer), "layer_to_visual", {}).get(layer), "node", None)
    for part in getattr(node, "_subvisuals", ())[1:]:
        if not part.visible:
            continue
        part.visible = False
        show = partial(_show, ref(part))
        if part is getattr(node, "text", None):
            layer.text.events.connect(show)
        else:
            TURNS.add(show)


def _show(part: Any, event: object = None) -> None:
    there = part()
    if there is not None and not there.visible:
        there.visible = True
