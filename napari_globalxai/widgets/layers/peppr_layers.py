"""The layers of PEPPR: what is erased or restored, and what the model saw of the image in view."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary

import numpy as np
import numpy.typing as npt
from napari.layers import Image
from napari.utils.notifications import show_error

from napari_globalxai.errors import InputError
from napari_globalxai.faithfulness.fills.fill_kinds import depends_on_mask
from napari_globalxai.widgets.jobs.event_turns import TURNS
from napari_globalxai.widgets.layers.layer_roles import GAP, RoleLayers
from napari_globalxai.widgets.layers.outlines import (
    CASING,
    INSIDE,
    RIM,
    label_colours,
    outline,
    rimmed,
)
from napari_globalxai.widgets.session.frame_place import FramePlace
from napari_globalxai.widgets.session.run_view import RunView, to_rgb
from napari_globalxai.widgets.session.session import Session, plain_viewer, session_of
from napari_globalxai.widgets.words.colours import ARM_COLOURS
from napari_globalxai.widgets.words.panel_words import in_panel_words
from napari_globalxai.widgets.words.plain_labels import plain
from napari_globalxai.widgets.workbench.scenes import Scene

if TYPE_CHECKING:
    from napari_globalxai.faithfulness.result import PepprResult

SCENE = Scene("peppr", ("seen", "area"), level=3, beside="run")
SEEN = "What the model saw"
AREA_NAMES = {"restore": "Restored area", "erase": "Erased area"}


class PepprLayers(RoleLayers):
    """Keeps the layers of PEPPR in step with a session.

    Parameters
    ----------
    viewer : napari.Viewer
        The viewer; it is not kept alive.
    session : Session
        What is to be shown.
    """

    def __init__(self, viewer: Any, session: Session) -> None:
        super().__init__(viewer, SCENE)
        self.session = session
        self._seen_row: int | None = None
        self._seen_input: npt.NDArray[np.uint8] | None = None
        self._seen_fill: npt.NDArray[np.float32] | None = None
        self._waiting: set[str] = set()
        # The run of which it was said that an image is lost, and whether that is the one in view.
        self._told: RunView | None = None
        self._is_lost = False
        session.view_changed.connect(self._on_view)
        session.row_changed.connect(self._on_row)
        session.result_changed.connect(self._on_result)
        session.scrubbed.connect(self._on_scrubbed)
        session.frame_moved.connect(self._on_moved)

    def _on_view(self, view: RunView) -> None:
        self._seen_row, self._told = None, None
        for role in self.scene.roles:
            layer = self.layer(role)
            # Those of another frame.
            if layer is not None and layer.data.shape[:2] != view.valid.shape:
                self._remove(role)

    def _on_row(self, row: int) -> None:
        result = self.session.result
        if result is not None and _is_of_another(result, row):
            # That of this image comes in a moment, where it was tested.
            self._hide_result()
        elif result is not None and result.fold_orders is not None:
            # Each image was tested along the order of its own fold.
            self._show_result()
        else:
            self._show_seen()

    def _on_result(self, result: PepprResult | None) -> None:
        self._seen_row = None
        before = self._shows_seen
        if result is None:
            self._hide_result()
        else:
            # First, as napari goes on believing in the old size of a hidden layer.
            for role in self._waiting:
                self.set_visible(role, True)
            self._waiting.clear()
            self.bring_forward()
            self._show_result()

        def fit() -> None:
            if before != self._shows_seen:
                self._fit()

        TURNS.after(fit)

    @property
    def _shows_seen(self) -> bool:
        layer = self.layer("seen")
        return layer is not None and bool(layer.visible)

    def _hide_result(self) -> None:
        """Hide what belongs to a result until there is one again.

        To take a layer away and make it anew would hold up the window for longer than a person
        waits, at each step from a map with a result to one without.
        """
        for role in ("area", "seen"):
            layer = self.layer(role)
            if layer is not None and layer.visible:
                layer.visible = False
                self._waiting.add(role)

    def _on_scrubbed(self, fraction: float, arm: str) -> None:
        if self.session.view is not None:
            self.bring_forward()
        self._show_result()

    def _show_result(self) -> None:
        if self.session.result is not None:
            self._in_turn("area", self._show_area, on="images")
            self._in_turn("seen", self._show_seen, on="images")

    def _show_area(self) -> None:
        result, fraction, arm = self.session.result, self.session.fraction, self.session.arm
        if result is None:
            return
        area = rimmed(self._area(result, fraction, arm))
        colours = {INSIDE: CASING, RIM: ARM_COLOURS[arm]}
        layer = self.layer("area")
        if layer is not None and layer.metadata.get("arm") != arm:
            layer.colormap = label_colours(colours)
        self._show("area", lambda: outline(area, colours), data=area, name=AREA_NAMES[arm])
        self.layer("area").metadata["arm"] = arm

    def _area(self, result: PepprResult, fraction: float, arm: str) -> npt.NDArray[np.uint8]:
        """Return which valid pixels are erased or restored, 0 or 1."""
        kept = result.kept(fraction, arm, self.session.row)
        if arm == "restore":
            return kept.astype(np.uint8)
        valid = np.zeros(result.shape, bool)
        valid.ravel()[result.order] = True
        return (valid & ~kept).astype(np.uint8)

    def _show_seen(self) -> None:
        result, view, row = self.session.result, self.session.view, self.session.row
        if result is None or view is None:
            return
        # A fill that depends on what is left takes too long to follow the slider.
        if result.fill is None or depends_on_mask(result.fill):
            self._remove("seen")
            return
        if self._seen_row != row or self._seen_input is None:
            # One image of the cache, a few milliseconds; scrubbing finds it in memory.
            try:
                self._seen_row, self._seen_input = row, view.model_input(row)
            except (InputError, OSError) as why:
                self._seen_row, self._is_lost = None, True
                self.set_visible("seen", False)
                self._tell_once(view, why)
                return
            self._seen_fill = result.fill_of(row, self._seen_input)
        seen = result.seen(
            self._seen_input, self.session.fraction, self.session.arm, self._seen_fill, row
        )
        image = to_rgb(seen, view.channels)
        # Seen again after an image that was lost.
        visible, self._is_lost = True if self._is_lost else None, False
        self._show("seen", lambda: Image(image, rgb=True), data=image, name=SEEN, visible=visible)

    def _tell_once(self, view: RunView, why: Exception) -> None:
        """Say that the run's images cannot be read any more, and not at every step."""
        if self._told is not view:
            self._told = view
            show_error(plain(in_panel_words(str(why))))

    def _on_moved(self, place: FramePlace) -> None:
        for role in self.scene.roles:
            layer = self.layer(role)
            if layer is not None:
                self._place(layer, role)

    def _place(self, layer: Any, role: str) -> None:
        """Put a layer where the frame lies, what the model saw beside it."""
        place, right = self.session.place, 0
        if role == "seen":
            # Beside the image in view, so that both can be compared at a glance.
            width = layer.data.shape[1] if place.shape is None else place.shape[1]
            right = round(width * (1 + GAP))
        place.lay(layer, right)


def _is_of_another(result: PepprResult, row: int) -> bool:
    """Return whether it is the result of one image, and not of this one."""
    # Imports pandas, which the first panel can do without.
    from napari_globalxai.widgets.session.image_result import ImageResult

    return isinstance(result, ImageResult) and result.row != row


_layers: WeakKeyDictionary[Any, PepprLayers] = WeakKeyDictionary()


def peppr_layers_of(viewer: Any) -> PepprLayers:
    """Return what shows the results of PEPPR in a viewer; one a viewer."""
    plain = plain_viewer(viewer)
    if plain not in _layers:
        _layers[plain] = PepprLayers(plain, session_of(plain))
    return _layers[plain]
