"""A second run beside the one on show: the same image and the same label's map of both."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary

import numpy as np
import numpy.typing as npt
from napari.layers import Image
from psygnal import Signal

from napari_globalxai.plain_text import numeral
from napari_globalxai.progress import ProgressCallback
from napari_globalxai.widgets.jobs.event_turns import TURNS
from napari_globalxai.widgets.jobs.warm_up import import_in_worker
from napari_globalxai.widgets.jobs.workers import LatestOnly
from napari_globalxai.widgets.layers.layer_roles import GAP, RoleLayers, show_colour_bar
from napari_globalxai.widgets.layers.run_difference import (
    IMAGE,
    MAP,
    MEANS,
    Differences,
    image_difference,
)
from napari_globalxai.widgets.session.lazy_images import at_rows
from napari_globalxai.widgets.session.mass import Side, outside_warning
from napari_globalxai.widgets.session.run_view import RunView, open_view
from napari_globalxai.widgets.session.session import OVERALL, Session, plain_viewer, session_of
from napari_globalxai.widgets.words.colours import map_colormap
from napari_globalxai.widgets.words.plain_labels import plain
from napari_globalxai.widgets.workbench.identity import identity_of
from napari_globalxai.widgets.workbench.scenes import Scene

if TYPE_CHECKING:
    from napari_globalxai.runs.run import Run

SCENE = Scene("other run", ("other images", "other map", "other difference"), level=1, beside="run")
OTHER_IMAGES = "Images of the other run"


def other_map_name(name: str) -> str:
    """Return the name of the layer of the other run's map."""
    return plain(f"Global map of the other run: {name}")


def difference_name(first: Run, second: Run, name: str) -> str:
    """Return the name of the layer of a difference: which run less which."""
    return plain(f"A − B: {name} ({first.folder.name} − {second.folder.name})")


@dataclass(frozen=True)
class OtherView:
    """A run that is laid beside another one.

    Attributes
    ----------
    first : RunView
        The run that it stands beside.
    view : RunView
        It.
    images : array
        Its images in the order of the first run's, uint8 (image, height, width, 3); black where it
        has none.
    correlation : dict of str to float
        By map that both have: Spearman's correlation over the pixels that are valid in both.
    remarks : tuple of str
        What does not match.
    rows : numpy.ndarray
        The row in it of each of the first run's images, -1 where it has none.
    """

    first: RunView
    view: RunView
    images: Any
    correlation: dict[str, float]
    remarks: tuple[str, ...]
    rows: npt.NDArray[np.int64]


def open_beside(first: RunView, folder: Path, progress: ProgressCallback) -> OtherView:
    """Open a run to be laid beside another one. To be called in a worker.

    Raises
    ------
    InputError
        When the runs have no image, no frame or no label in common.
    """
    from napari_globalxai.runs.questions.matching import match_images

    view = open_view(folder, progress)
    matched = match_images(first.run, view.run)
    rows = np.full(len(first.images), -1)
    rows[matched.first] = matched.second
    images = at_rows(view.images, rows)
    return OtherView(first, view, images, _correlations(first, view), matched.remarks, rows)


def _correlations(first: RunView, second: RunView) -> dict[str, float]:
    spearmanr = import_in_worker("scipy.stats").spearmanr
    valid = first.valid & second.valid
    common = [name for name in first.maps if name in second.maps]
    return {
        name: float(spearmanr(first.maps[name][valid], second.maps[name][valid]).statistic)
        for name in common
        if np.ptp(first.maps[name][valid]) > 0 and np.ptp(second.maps[name][valid]) > 0
    }


class OtherRunLayers(RoleLayers):
    """Lays a second run below the one on show, in step with its slider and its map.

    Parameters
    ----------
    viewer : napari.Viewer
        The viewer; it is not kept alive.
    session : Session
        The run on show.

    Attributes
    ----------
    changed : psygnal.Signal
        Another run is laid beside, or none, or something else of it is shown.
    """

    changed = Signal()

    def __init__(self, viewer: Any, session: Session) -> None:
        super().__init__(viewer, SCENE)
        self._session = session
        self._other: OtherView | None = None
        self._shown = MAP
        self._differences: Differences | None = None
        self._of_images = LatestOnly()
        self._of_images.ready.connect(self._on_image_difference)
        session.row_changed.connect(self._on_row)
        session.map_changed.connect(self._on_map)
        session.choice_changed.connect(self._on_choice)
        session.view_changed.connect(self._on_view)
        session.native_changed.connect(self._on_native)

    @property
    def run(self) -> Run | None:
        """The run that is laid beside."""
        return None if self._other is None else self._other.view.run

    @property
    def said(self) -> str:
        """Which run it is, and how alike the maps are."""
        other, name = self._other, self._session.map_name
        if other is None:
            return ""
        one, two = (identity_of(view.run) for view in (other.first, other.view))
        # Told alike, they are known by their folders.
        sentences = [f"Below: {two}" + (f", in {other.view.run.folder.name}" if one == two else "")]
        choice = self._session.choice
        if self._shown != IMAGE and not choice.is_own:
            sentences.append(
                f"This is of both runs' own maps, of all images; above are others: {choice.title}."
            )
        if name not in other.view.maps:
            sentences.append(f"It has no map of {name}.")
        elif self._shown == MEANS and self._differences is not None:
            sentences += [self._differences.sentence(name), *self._differences.remarks]
        elif self._shown == IMAGE and other.rows[self._session.row] < 0:
            sentences.append("It has not got the image in view.")
        elif name in other.correlation:
            sentences.append(
                f"Maps of {name}: Spearman's correlation {numeral(other.correlation[name], '.2f')}."
            )
        return "\n".join(dict.fromkeys([*sentences, *other.remarks]))

    @property
    def outside(self) -> str:
        """A warning where much of the maps below lies outside the field of view, else nothing."""
        other, name = self._other, self._session.map_name
        if other is None or name not in other.view.outside or self._shown == IMAGE:
            # Of one image, as of the one in view above, nothing is said.
            return ""
        one, two = (view.run.folder.name for view in (other.first, other.view))
        if self._shown == MAP:
            return outside_warning(f"{name} in {two}", [Side(two, other.view.outside[name])])
        if self._differences is None or name not in self._differences.maps:
            return ""
        sides = (
            Side(f"A ({one})", other.first.outside[name]),
            Side(f"B ({two})", other.view.outside[name]),
        )
        return outside_warning(name, sides)

    @property
    def shown(self) -> str:
        """What the lower picture shows, one of `SHOWN`."""
        return self._shown

    @property
    def other(self) -> OtherView | None:
        """The run that is laid beside, with the run that it stands beside."""
        return self._other

    @property
    def has_differences(self) -> bool:
        """Whether the runs have been compared."""
        return self._differences is not None

    def show_instead(self, shown: str, differences: Differences | None = None) -> None:
        """Show something else in the lower picture.

        Parameters
        ----------
        shown : str
            One of `SHOWN`.
        differences : Differences, optional
            How the runs differ, for that of their maps; those known are kept.
        """
        self._shown = shown
        self._differences = differences or self._differences
        self._on_map(self._session.map_name)

    def show(self, other: OtherView) -> None:
        """Lay a run beside the one on show, unless that is another one by now."""
        if other.first is not self._session.view:
            return
        self._session.show_native(False)
        self.bring_forward()
        self._other, self._shown, self._differences = other, MAP, None
        self._in_turn("other images", self._show_images)
        self._in_turn("other map", self._show_maps, on="other images")

    def close(self) -> None:
        """Take it away."""
        if self._other is None:
            return
        self._other, self._shown, self._differences = None, MAP, None
        self._remove_in_turn(lambda: self._other is not None)
        TURNS.after(self._fit)
        self.changed.emit()

    def _show_images(self) -> None:
        other = self._other
        if other is not None:
            self._show(
                "other images",
                lambda: Image(other.images, rgb=True, axis_labels=("image", "y", "x")),
                data=other.images,
                name=OTHER_IMAGES,
            )
            self._fit()

    def _show_maps(self) -> None:
        self._on_map(self._session.map_name)

    def _on_choice(self, choice: object) -> None:
        if self._other is not None:
            self.changed.emit()

    def _on_map(self, name: str) -> None:
        other = self._other
        if other is None or self.layer("other images") is None:
            return
        image = other.view.maps.get(name) if self._shown == MAP else None
        if image is None:
            self.set_visible("other map", False)
        else:
            self._show_map(other, name, image)
        difference = None
        if self._shown == MEANS and self._differences is not None:
            difference = self._differences.maps.get(name)
        self._show_difference(difference, name)
        if self._shown == IMAGE:
            self._on_row(self._session.row)
        self.changed.emit()

    def _on_row(self, row: int) -> None:
        """Show how the maps of the image in view differ, read beside the GUI thread."""
        other, name = self._other, self._session.map_name
        # The slider may move to rows of another run before this one is taken away.
        if other is None or self._shown != IMAGE or other.first is not self._session.view:
            return
        is_there = other.rows[row] >= 0 and name != OVERALL and name in other.view.maps
        if not is_there:
            self._show_difference(None, name)
        else:
            runs, rows = (other.first.run, other.view.run), (row, int(other.rows[row]))
            self._of_images.request((other, row, name), lambda: image_difference(*runs, rows, name))
        self.changed.emit()

    def _on_image_difference(self, key: tuple[OtherView, int, str], image: Any) -> None:
        other, row, name = key
        now = (self._other, self._session.row, self._session.map_name)
        if other is now[0] and (row, name) == now[1:] and self._shown == IMAGE:
            self._show_difference(image, name)

    def _show_difference(self, image: npt.NDArray[np.float32] | None, name: str) -> None:
        other = self._other
        if other is None or image is None:
            self.set_visible("other difference", False)
            return
        limit = float(np.abs(image[other.first.valid]).max(initial=0)) or 1.0
        limits = (-limit, limit)
        colormap = map_colormap(signed=True, role="difference")
        self._show(
            "other difference",
            lambda: Image(image, colormap=colormap, contrast_limits=limits, opacity=0.85),
            data=image,
            name=difference_name(other.first.run, other.view.run, name),
            contrast_limits_range=limits,
            contrast_limits=limits,
            visible=True,
        )
        show_colour_bar(self.layer("other difference"))

    def _show_map(self, other: OtherView, name: str, image: npt.NDArray[np.float32]) -> None:
        view = other.view
        limit = view.map_limit(name, shared=False)
        limits = (-limit if view.signed else 0.0, limit)
        colormap = map_colormap(signed=view.signed)
        self._show(
            "other map",
            lambda: Image(image, colormap=colormap, contrast_limits=limits, opacity=0.75),
            data=image,
            name=other_map_name(name),
            contrast_limits_range=limits,
            contrast_limits=limits,
            visible=True,
        )

    def _on_view(self, view: RunView) -> None:
        self.close()

    def _on_native(self, native: bool) -> None:
        # It lies beside the frame, not beside the file's own pixels.
        for role in self.scene.roles:
            self.set_visible(role, not native)
        if not native:
            # Of map and difference, one.
            self._on_map(self._session.map_name)

    def _place(self, layer: Any, role: str) -> None:
        """Put it below, as the canvas between napari's own panels is higher than it is wide."""
        if self._other is not None:
            layer.translate = (round(self._other.first.valid.shape[0] * (1 + GAP)), 0)


_layers: WeakKeyDictionary[Any, OtherRunLayers] = WeakKeyDictionary()


def other_run_of(viewer: Any) -> OtherRunLayers:
    """Return what lays a second run beside the first in a viewer; one a viewer."""
    plain = plain_viewer(viewer)
    if plain not in _layers:
        _layers[plain] = OtherRunLayers(plain, session_of(plain))
    return _layers[plain]
