"""What one viewer works on: the run, the map chosen, PEPPR's result, the step of the scrubber.

The session tells of changes by psygnal and knows neither Qt nor napari, so that scripts can drive
it. Each viewer has its own.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple
from weakref import WeakKeyDictionary

from psygnal import Signal

from napari_globalxai.addresses import is_remote, place
from napari_globalxai.widgets.session.frame_place import FramePlace
from napari_globalxai.widgets.session.shown_maps import MapChoice

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    from napari_globalxai.faithfulness.result import PepprResult
    from napari_globalxai.runs.run import Run
    from napari_globalxai.widgets.session.run_view import RunView
    from napari_globalxai.widgets.session.shown_maps import Selection, ShownMaps

OVERALL = "overall"
ARMS = ("restore", "erase")


class ModelUse(NamedTuple):
    """How a run's model may be used.

    Attributes
    ----------
    model : pathlib.Path or None
        Where it is, where the run does not tell or it has moved.
    trust : bool
        Whether code from its files may run.
    """

    model: Path | None
    trust: bool


class Session:
    """State shared by the widgets and layers of one viewer.

    Attributes
    ----------
    inputs_suggested : psygnal.Signal
        A cohort table and a model that came with sample data.
    view_changed : psygnal.Signal
        Another run was opened.
    map_changed : psygnal.Signal
        Another of the run's maps was chosen, or others of that name are on show.
    selection_changed : psygnal.Signal
        Other images were selected, or None for all.
    choice_changed : psygnal.Signal
        Other maps are asked for, a `MapChoice`.
    row_changed : psygnal.Signal
        Another image came into view.
    native_changed : psygnal.Signal
        Whether the image in view is to be shown in the pixels of its file.
    frame_moved : psygnal.Signal
        Where the frame lies in what is shown, a `FramePlace`.
    result_changed : psygnal.Signal
        A result of PEPPR was computed or loaded, or None.
    answered : psygnal.Signal
        Something else was found about the run and lies in its folder.
    scrubbed : psygnal.Signal
        Fraction and arm of PEPPR to show.
    moved : psygnal.Signal
        Somebody told where a run's model or images are now.
    trusted_model : pathlib.Path or None
        The model whose files' code the user lets run.
    """

    inputs_suggested = Signal(Path, Path)
    view_changed = Signal(object)
    map_changed = Signal(str)
    selection_changed = Signal(object)
    choice_changed = Signal(object)
    row_changed = Signal(int)
    # Refused at once where there is nothing to show: all hear first that it was asked for, and the
    # panel's box is not ticked again.
    native_changed = Signal(bool, reemission="queued")
    frame_moved = Signal(object)
    result_changed = Signal(object)
    answered = Signal()
    scrubbed = Signal(float, str)
    moved = Signal()

    def __init__(self) -> None:
        self._view: RunView | None = None
        self._map_name = OVERALL
        self._selection: Selection | None = None
        self._less: Selection | None = None
        self._statistic = "mean"
        self._shown: ShownMaps | None = None
        self._row = 0
        self._native = False
        self._place = FramePlace()
        self._result: PepprResult | None = None
        self._fraction = 0.0
        self._arm = ARMS[0]
        self.trusted_model: Path | None = None
        # By the hash of the weights; by run folder.
        self._models: dict[str, Path] = {}
        self._image_folders: dict[Path, Path] = {}

    @property
    def trusts_model(self) -> bool:
        """Whether the user lets code from the files of the model in the form run."""
        return self.trusted_model is not None

    def trusts(self, run: Run) -> bool:
        """Return whether code of a run's model may run: a run of somebody else's names its own."""
        source = self.model_of(run) or run.record.model.source
        if self.trusted_model is None or source is None or is_remote(place(source)):
            return False
        return os.path.realpath(source) == os.path.realpath(self.trusted_model)

    def use_of_model(self, run: Run) -> ModelUse:
        """Return how a run's model may be used."""
        return ModelUse(self.model_of(run), self.trusts(run))

    def model_of(self, run: Run) -> Path | None:
        """Return where a run's model is, as somebody told; None where nobody did."""
        return self._models.get(run.record.model.sha256)

    def name_model(self, run: Run, model: Path) -> None:
        """Tell where a run's model is; it must have been proved to be the same."""
        self._models[run.record.model.sha256] = model
        self.moved.emit()

    def image_folder_of(self, run: Run) -> Path | None:
        """Return the folder below which a run's images are, as somebody told; else None."""
        return self._image_folders.get(run.folder)

    def name_image_folder(self, run: Run, folder: Path) -> None:
        """Tell below which folder a run's images are."""
        self._image_folders[run.folder] = folder
        self.moved.emit()

    @property
    def view(self) -> RunView | None:
        """The open run with what the viewer shows of it."""
        return self._view

    @property
    def run(self) -> Run | None:
        """The open run."""
        return None if self._view is None else self._view.run

    @property
    def map_name(self) -> str:
        """The map chosen: ``overall`` or a label."""
        return self._map_name

    @property
    def selection(self) -> Selection | None:
        """The images selected, None for all."""
        return self._selection

    @property
    def choice(self) -> MapChoice:
        """The maps that are asked for: of which images, less those of which, as which statistic."""
        return MapChoice(self._selection, self._less, self._statistic)

    @property
    def shown(self) -> ShownMaps | None:
        """The maps that take the place of the run's own, if any."""
        return self._shown

    @property
    def map_image(self) -> npt.NDArray[np.float32] | None:
        """The map on show."""
        if self._view is None:
            return None
        if self._shown is None:
            return self._view.maps[self._map_name]
        return self._shown.maps.get(self._map_name)

    @property
    def row(self) -> int:
        """Row of the image in view."""
        return self._row

    @property
    def native(self) -> bool:
        """Whether the image in view is shown in the pixels of its file, not in the frame."""
        return self._native

    @property
    def place(self) -> FramePlace:
        """Where the frame lies in what is shown."""
        return self._place

    @property
    def result(self) -> PepprResult | None:
        """PEPPR along a map, if any."""
        return self._result

    @property
    def fraction(self) -> float:
        """Fraction of the valid pixels that is erased or restored."""
        return self._fraction

    @property
    def arm(self) -> str:
        """``erase`` or ``restore``."""
        return self._arm

    def open(self, view: RunView) -> None:
        """Make a run the one that is shown, in its frame."""
        self.set_result(None)
        self.show_native(False)
        self._shown = None
        self._view = view
        if self._map_name not in view.maps:
            self._map_name = OVERALL if OVERALL in view.maps else next(iter(view.maps))
        self._less, self._statistic = None, "mean"
        self.select(None)
        self.view_changed.emit(view)
        self.map_changed.emit(self._map_name)

    def choose_map(self, name: str) -> None:
        """Choose one of the run's maps."""
        if self._view is None or name not in self._view.maps:
            raise KeyError(name)
        if name != self._map_name:
            self._map_name = name
            self.map_changed.emit(name)

    def select(self, selection: Selection | None) -> None:
        """Select some of the run's images, or all."""
        if selection != self._selection:
            self._selection = selection
            self.selection_changed.emit(selection)
            self.choice_changed.emit(self.choice)

    def compare_with(self, less: Selection | None) -> None:
        """Take the maps of other images away from those of the selection, or of none."""
        if less != self._less:
            self._less = less
            self.choice_changed.emit(self.choice)

    def choose_statistic(self, statistic: str) -> None:
        """Ask for the ``mean`` of the images' maps or their ``sd``."""
        if statistic != self._statistic:
            self._statistic = statistic
            self.choice_changed.emit(self.choice)

    def show_maps(self, shown: ShownMaps | None) -> None:
        """Show other maps in place of the run's own, or these again."""
        if shown is not self._shown:
            self._shown = shown
            self.map_changed.emit(self._map_name)

    def look_at(self, row: int) -> None:
        """Tell which image is in view."""
        if row != self._row:
            self._row = row
            self.row_changed.emit(row)

    def show_native(self, native: bool) -> None:
        """Show the image in view in the pixels of its file, or in the frame."""
        native = native and self._view is not None
        if native != self._native:
            self._native = native
            self.native_changed.emit(native)

    def move_frame(self, place: FramePlace) -> None:
        """Move all that is shown in the frame."""
        self._place = place
        self.frame_moved.emit(place)

    def set_result(self, result: PepprResult | None) -> None:
        """Set the result of PEPPR to show."""
        if result is not self._result:
            self._result = result
            self.result_changed.emit(result)

    def scrub(self, fraction: float, arm: str | None = None) -> None:
        """Show a fraction erased or restored."""
        arm = self._arm if arm is None else arm
        if arm not in ARMS:
            raise ValueError(f"arm is one of {', '.join(ARMS)}, not {arm!r}")
        fraction = min(1.0, max(0.0, float(fraction)))
        if (fraction, arm) != (self._fraction, self._arm):
            self._fraction, self._arm = fraction, arm
            self.scrubbed.emit(fraction, arm)


_sessions: WeakKeyDictionary[Any, Session] = WeakKeyDictionary()


def plain_viewer(viewer: Any) -> Any:
    """Return the viewer itself: napari hands plugins a proxy, a new one each time."""
    return getattr(viewer, "__wrapped__", viewer)


def session_of(viewer: Any) -> Session:
    """Return the session of a viewer; it lives as long as the viewer."""
    return _sessions.setdefault(plain_viewer(viewer), Session())
