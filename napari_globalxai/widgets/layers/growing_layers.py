"""Global maps that grow in the viewer while a cohort is explained."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary

import numpy as np
import numpy.typing as npt
from napari.layers import Image
from psygnal import Signal
from qtpy.QtCore import QTimer

from napari_globalxai.errors import InputError
from napari_globalxai.widgets.jobs.workers import LatestOnly
from napari_globalxai.widgets.layers.layer_roles import RoleLayers
from napari_globalxai.widgets.session.names import METADATA_KEY, give_role
from napari_globalxai.widgets.session.run_view import to_rgb
from napari_globalxai.widgets.session.session import OVERALL, Session, plain_viewer, session_of
from napari_globalxai.widgets.session.viewer_jobs import EXPLAINING, runner_of
from napari_globalxai.widgets.words.colours import map_colormap
from napari_globalxai.widgets.words.plain_labels import plain
from napari_globalxai.widgets.workbench.scenes import Scene

if TYPE_CHECKING:
    from napari_globalxai.cohort.table import Cohort
    from napari_globalxai.runs.opened.growing_maps import GrowingMaps, Grown

_MILLISECONDS_BETWEEN = 1000
_IMAGES_BELOW = 12
SCENE = Scene("growing", ("growing ground", "growing map"), level=4)
GROUND = "Mean of the first images"


def growing_name(name: str) -> str:
    """Return the name of the layer of a map that grows."""
    return plain(f"Growing map: {name}")


@dataclass(frozen=True)
class GrownView:
    """What a run under way has come to.

    Attributes
    ----------
    grown : Grown
        The maps.
    ground : numpy.ndarray
        What they are laid on: the mean of the first images, uint8 (height, width, 3).
    """

    grown: Grown
    ground: npt.NDArray[np.uint8]


class _Follower:
    """Reads what a run under way has come to; in a worker."""

    def __init__(self, folder: Path, read: Callable[[], Cohort]) -> None:
        self._folder, self._read = folder, read
        self._maps: GrowingMaps | None = None
        self._ground: npt.NDArray[np.uint8] | None = None

    def update(self) -> GrownView | None:
        """Return what there is by now, None while there is nothing to show."""
        from napari_globalxai.runs.opened.growing_maps import GrowingMaps

        try:
            if self._maps is None:
                self._maps = GrowingMaps(self._folder, self._read())
            grown = self._maps.update()
            if grown is None or not grown.maps:
                return None
            if self._ground is None:
                self._ground = self._mean(grown.rows[:_IMAGES_BELOW])
        except (InputError, OSError):
            # What is wrong, the job itself says.
            return None
        return GrownView(grown, self._ground)

    def _mean(self, rows: tuple[int, ...]) -> npt.NDArray[np.uint8]:
        from napari_globalxai.frame.stack import AlignedStack
        from napari_globalxai.runs.folder import STACK_FOLDER

        stack = AlignedStack(self._folder / STACK_FOLDER)
        mean = stack.read(rows).mean(axis=0).round().astype(np.uint8)
        return to_rgb(mean, stack.channels)


class GrowingLayers(RoleLayers):
    """Follows the run that a viewer computes, and shows its maps until they are finished.

    Parameters
    ----------
    viewer : napari.Viewer
        The viewer; it is not kept alive.
    session : Session
        The run that may be open in it.

    Attributes
    ----------
    grown : psygnal.Signal
        A `GrownView`, or None when there is none any more.
    view : GrownView or None
        What was shown last.
    """

    grown = Signal(object)

    def __init__(self, viewer: Any, session: Session) -> None:
        super().__init__(viewer, SCENE)
        self._session = session
        self.view: GrownView | None = None
        self._name, self._is_shown = OVERALL, True
        self._follower: _Follower | None = None
        self._reads = LatestOnly()
        self._reads.ready.connect(self._on_read)
        self._timer = QTimer()
        self._timer.setInterval(_MILLISECONDS_BETWEEN)
        self._timer.timeout.connect(self._ask)
        self.scenes.front_changed.connect(self._on_front)

    @property
    def name(self) -> str:
        """The map on show."""
        return self._name

    @name.setter
    def name(self, name: str) -> None:
        self._name = name
        self._draw()

    @property
    def is_shown(self) -> bool:
        """Whether the maps are shown; at first, where nothing else is."""
        return self._is_shown

    @is_shown.setter
    def is_shown(self, shown: bool) -> None:
        self._is_shown = shown
        if shown:
            self._draw()
        else:
            self._take_away()

    def start(self, folder: Path, read: Callable[[], Cohort]) -> None:
        """Follow a run that is about to be computed.

        Parameters
        ----------
        folder : pathlib.Path
            Its folder.
        read : callable
            Reads the cohort; called in a worker.
        """
        self._follower = _Follower(folder, read)
        self._name, self._is_shown = self._session.map_name, not self.scenes.front
        self._timer.start()

    def hand_over(self) -> None:
        """Leave what shows a map to the finished run that is about to be opened.

        To take the layer away and make another would hold up the window twice.
        """
        viewer, layer = self._viewer(), self.layer("growing map")
        if viewer is not None and layer is not None and self.layer("global map") is None:
            known = layer.metadata[METADATA_KEY]
            noted = {name: known[name] for name in ("asked", "name") if name in known}
            give_role(layer, "global map", **noted)
            viewer.layers.move(viewer.layers.index(layer), self._position("global map"))
        self.stop()

    def stop(self) -> None:
        """Take the maps away: they are finished, or will not be."""
        self._timer.stop()
        self._follower = None
        if self.view is not None:
            self._take_away()
            self.view = None
            self.grown.emit(None)

    def _ask(self) -> None:
        follower = self._follower
        if follower is not None and not self._reads.is_running:
            self._reads.request(follower, follower.update)

    def _on_read(self, follower: _Follower, view: GrownView | None) -> None:
        if follower is self._follower and view is not None:
            self.view = view
            self._draw()
            self.grown.emit(view)

    def _draw(self) -> None:
        if self.view is None or not self._is_shown:
            return
        self.bring_forward()
        self._in_turn("growing ground", self._show_ground)
        self._in_turn("growing map", self._show_map, on="growing ground")

    def _show_ground(self) -> None:
        view = self.view
        if view is not None and self._is_shown:
            self._show(
                "growing ground",
                lambda: Image(view.ground, rgb=True),
                data=view.ground,
                name=GROUND,
            )

    def _show_map(self) -> None:
        view = self.view
        if view is None or not self._is_shown:
            return
        name = self._name if self._name in view.grown.maps else OVERALL
        image, signed = view.grown.maps[name], view.grown.signed
        limit = float(np.abs(image).max()) or 1.0
        limits = (-limit if signed else 0.0, limit)
        is_new = self.layer("growing map") is None
        colormap = map_colormap(signed=signed)
        self._show(
            "growing map",
            lambda: Image(image, colormap=colormap, contrast_limits=limits, opacity=0.75),
            data=image,
            name=growing_name(name),
            contrast_limits_range=limits,
            contrast_limits=limits,
        )
        if is_new:
            self._fit()

    def _on_front(self, name: str) -> None:
        # Somebody works with something else meanwhile.
        if name != self.scene.name and self._is_shown and self._follower is not None:
            self._is_shown = False
            if self.view is not None:
                self.grown.emit(self.view)

    def _take_away(self) -> None:
        self.scenes.put_away(self.scene)
        self._remove_in_turn(lambda: self.view is not None and self._is_shown)


_layers: WeakKeyDictionary[Any, GrowingLayers] = WeakKeyDictionary()


def growing_layers_of(viewer: Any) -> GrowingLayers:
    """Return what shows the maps of a viewer's run under way; one a viewer."""
    plain = plain_viewer(viewer)
    if plain not in _layers:
        layers = _layers[plain] = GrowingLayers(plain, session_of(plain))
        runner_of(plain, EXPLAINING).finished.connect(layers.stop)
    return _layers[plain]
