"""The panel that measures and erases what somebody drew."""

from collections.abc import Callable
from pathlib import Path
from typing import Any, Optional
from weakref import WeakSet

import napari.viewer
import numpy as np
import numpy.typing as npt
from qtpy.QtCore import QTimer
from qtpy.QtWidgets import QLineEdit

from napari_globalxai.errors import InputError
from napari_globalxai.progress import ProgressCallback
from napari_globalxai.statistics.query import parse_query
from napari_globalxai.widgets.fields.parts import JobBar, flowing, heading, tipped_button
from napari_globalxai.widgets.fields.settings_form import FormRows
from napari_globalxai.widgets.jobs.workers import JobRunner
from napari_globalxai.widgets.layers.native_layers import NO_IMAGES
from napari_globalxai.widgets.layers.region_drawing import add_drawing, draw_region
from napari_globalxai.widgets.layers.region_marks import name_as_changed
from napari_globalxai.widgets.layers.region_mask import read_region
from napari_globalxai.widgets.layers.run_layers import RunLayers, layers_of
from napari_globalxai.widgets.panels.regions.audit_view import AuditView
from napari_globalxai.widgets.panels.regions.findings_view import ShownFinding
from napari_globalxai.widgets.panels.regions.kept_regions import list_kept, make_kept_box, read_kept
from napari_globalxai.widgets.panels.regions.places_box import PlacesBox
from napari_globalxai.widgets.panels.regions.region_box import RegionBox
from napari_globalxai.widgets.panels.regions.region_numbers import RegionNumbers
from napari_globalxai.widgets.panels.regions.region_view import erase, keep_region, measure_region
from napari_globalxai.widgets.panels.runs.moved_model import MovedModel
from napari_globalxai.widgets.session.session import Session, plain_viewer, session_of
from napari_globalxai.widgets.session.shown_maps import Selection
from napari_globalxai.widgets.session.viewer_jobs import runner_of
from napari_globalxai.widgets.words.panel_words import in_panel_words
from napari_globalxai.widgets.workbench.identity import make_header
from napari_globalxai.widgets.workbench.open_panels import open_panel
from napari_globalxai.widgets.workbench.panel import Panel

_MILLISECONDS_OF_DRAWING = 250
_BUTTONS = {
    "New region": "Add a layer and draw a rectangle on it",
    "Measure": "How much of every label's map the region holds",
    "Erase and predict": "What every label's ROC AUC is without the region",
    "Keep": "Keep the region and its numbers in the run's folder",
    "Report": "Keep what was measured, write the report of the run on show and open it",
}
_OPEN_A_RUN = "Open a run first."


class RegionsWidget(Panel):
    """Measures how much of the maps a drawn region holds, and what erasing it takes.

    Parameters
    ----------
    viewer : napari.viewer.Viewer
        The viewer.

    Attributes
    ----------
    session : Session
        What the viewer works on.
    runner, eraser : JobRunner
        Run the work: measuring, and erasing with the model.
    layer_box : QComboBox
        The layer with the region: shapes or labels.
    numbers : RegionNumbers
        What was measured of the region; its sentence is an attribute of the panel as well.
    """

    def __init__(self, viewer: "napari.viewer.Viewer") -> None:
        super().__init__()
        self.session: Session = session_of(viewer)
        self.layers: RunLayers = layers_of(viewer)
        self._viewer = plain_viewer(viewer)
        self.runner: JobRunner = runner_of(viewer, "Measuring a region")
        self.eraser: JobRunner = runner_of(viewer, "Erasing a region")
        self._drawn = QTimer(self)
        self._drawn.setSingleShot(True)
        self._drawn.setInterval(_MILLISECONDS_OF_DRAWING)
        self._watched: WeakSet[Any] = WeakSet()
        # Of what is measured now; what was asked before is of another run or layer.
        self._turn = 0
        self._make_controls()
        self._lay_out()
        self._connect()
        self._on_view(self.session.view)
        if self.regions.layer is not None:
            # Drawn before the panel was closed, or without it.
            self._on_layer()

    # What users and scripts do.

    def new_region(self) -> None:
        """Add a layer to draw on, and take up the rectangle."""
        images = self.layers.layer("images")
        if images is None:
            self.said.setText(_OPEN_A_RUN if self.session.view is None else NO_IMAGES)
            return
        layer = add_drawing(self._viewer, "Region")
        self.regions.choose(layer)
        self._forget()
        self._watch(layer)
        self.said.setText("Drag a rectangle on the image: it is measured at once.")

    def measure(self) -> None:
        """Measure the region of the layer chosen, for all labels."""
        self.numbers.found = {}
        region, run = self.drawn_region(), self.session.run
        if region is None or run is None or self.runner.is_running:
            return
        name_as_changed(self.regions.layer, region)
        selection = self.session.selection
        among, where = (None, "") if selection is None else (selection.rows, selection.where)
        turn = self._turn

        def work(progress: ProgressCallback) -> Any:
            return turn, region, measure_region(run, region, among, progress), where

        self.runner.run(work)

    def erase(self) -> None:
        """Erase the region from all images and predict again, for all labels."""
        region, view = self.drawn_region(), self.session.view
        if region is None or view is None or self.eraser.is_running:
            return
        run, turn = view.run, self._turn
        use = self.session.use_of_model(run)

        def work(progress: ProgressCallback) -> Any:
            effects = erase(run, region, use, progress)
            # Also where the panel is closed by then.
            view.erased[region.tobytes()] = effects
            return turn, region, measure_region(run, region), effects

        self.eraser.run(work)

    def keep(self) -> None:
        """Keep the region and its numbers in the run's folder."""
        run, region = self.session.run, self.drawn_region()
        if run is None or region is None:
            return
        numbers = self.numbers
        measured = numbers.is_of(region)
        try:
            path = keep_region(
                run,
                self.name_line.text() or self.layer_box.currentText(),
                region,
                numbers.shares if measured else [],
                numbers.effects if measured else {},
                numbers.where if measured else "",
            )
        except (InputError, OSError) as why:
            self.said.setText(f"⚠ {in_panel_words(str(why))}")
            return
        self.job_bar.say(f"Kept for the report: {path}")
        self.session.answered.emit()
        list_kept(self.kept_box, self.session.run)

    def report(self) -> None:
        """Write the report of the run on show, with the region that was measured."""
        region = self.drawn_region() if self.numbers.shares else None
        if region is not None and self.numbers.is_of(region):
            self.keep()
        open_panel(self._viewer, "Global explanations").write_report()

    # Making the panel.

    def _make_controls(self) -> None:
        self.header = make_header(self, self.session)
        self.moved_model = MovedModel(self, self._viewer, self.session)
        self.regions = RegionBox(self, self._viewer)
        self.layer_box = self.regions.box
        self._buttons = (
            self.new_button,
            self.measure_button,
            self.erase_button,
            self.keep_button,
            self.report_button,
        ) = tuple(tipped_button(name, tip) for name, tip in _BUTTONS.items())
        self.name_line = QLineEdit()
        self.name_line.setAccessibleName("Name")
        self.name_line.setPlaceholderText("As the layer")
        self.kept_box = make_kept_box()
        self.places = PlacesBox(self)
        self.job_bar, self.erase_bar = JobBar(self.runner), JobBar(self.eraser)
        self.audit_view = AuditView(self, self._viewer, self.session)
        self.findings, self.audit_button = self.audit_view.table, self.audit_view.button
        self.auditor, self.audit_bar = self.audit_view.runner, self.audit_view.job_bar
        self.numbers = RegionNumbers(self, self.session, self.layers)
        self.said = self.numbers.said
        self.said.setText(self.regions.what_to_do)

    def _lay_out(self) -> None:
        form = FormRows()
        form.form.addRow("Re&gion", self.layer_box)
        form.form.addRow("&Name", self.name_line)
        form.form.addRow("Places", self.places.box)
        form.form.addRow("Kept", self.kept_box)
        self.content.addWidget(self.header)
        self.content.addWidget(self.moved_model)
        # What somebody who is new should see first.
        self.content.addWidget(self.audit_view)
        self.content.addWidget(heading("Region"))
        self.content.addWidget(form)
        self.content.addWidget(flowing(*self._buttons))
        self.content.addWidget(self.job_bar)
        self.content.addWidget(self.erase_bar)
        self.content.addWidget(self.numbers)
        self.content.addStretch(1)

    def _connect(self) -> None:
        self.new_button.clicked.connect(self.new_region)
        self.measure_button.clicked.connect(self.measure)
        self.erase_button.clicked.connect(self.erase)
        self.keep_button.clicked.connect(self.keep)
        self.kept_box.activated.connect(self._on_kept)
        self.places.chosen.connect(self._on_place)
        self.places.said.connect(self.said.setText)
        self.report_button.clicked.connect(self.report)
        self._drawn.timeout.connect(self._on_drawn)
        self.moved_model.watch(self.eraser)
        self.findings.chosen.connect(self.show_finding)
        self.runner.succeeded.connect(self._on_measured)
        self.eraser.succeeded.connect(self._on_erased)
        self.regions.changed.connect(self._on_layer)
        self.regions.listed.connect(self._on_listed)
        self.follow(self.session.view_changed, self._on_view)
        self.follow(self.session.selection_changed, self._on_selection)
        self.follow(self._viewer.layers.events.removed, self._on_removed)

    # The region.

    def drawn_region(self) -> Optional[npt.NDArray[np.bool_]]:  # noqa: UP045
        """Return the pixels of the frame that are drawn; None, with a word why, where none are."""
        view, images = self.session.view, self.layers.layer("images")
        layer = self.regions.layer
        if view is None or images is None:
            self.said.setText(_OPEN_A_RUN if view is None else NO_IMAGES)
            return None
        if layer is None:
            self.said.setText(self.regions.what_to_do)
            return None
        height, width = view.valid.shape
        try:
            region, self.numbers.remark = read_region(layer, images, (height, width))
        except InputError as why:
            self.said.setText(f"⚠ {in_panel_words(str(why))}")
            return None
        return region

    def _on_place(self, name: str, region: npt.NDArray[np.bool_]) -> None:
        self._draw(region, name)

    def _on_kept(self, index: int) -> None:
        path, run = self.kept_box.currentData(), self.session.run
        if path is None or run is None:
            return
        try:
            region = read_kept(Path(path), run)
        except (OSError, InputError) as why:
            self.said.setText(f"⚠ {in_panel_words(str(why))}")
            return
        self._draw(region, Path(path).stem)

    def _on_data(self, event: object = None) -> None:
        self.numbers.found = {}
        self._drawn.start()

    def _watch(self, layer: Any) -> None:
        """Measure anew what is drawn on a layer."""
        if layer not in self._watched:
            self._watched.add(layer)
            for event in _told_of_drawing(layer):
                self.follow(event, self._on_data)

    def _on_removed(self, event: Any) -> None:
        layer = event.value
        if layer in self._watched:
            self._watched.discard(layer)
            for each in _told_of_drawing(layer):
                self.leave(each)

    def _on_layer(self) -> None:
        self._forget()
        if self.regions.layer is not None:
            self._watch(self.regions.layer)
        self.said.setText(self.regions.what_to_do)
        self._drawn.start()

    def _on_listed(self) -> None:
        if self.regions.layer is None and self.session.view is not None and not self.numbers.found:
            self.said.setText(self.regions.what_to_do)

    def _forget(self) -> None:
        self._turn += 1
        # A name that was typed is of another region.
        self.name_line.clear()
        self.numbers.forget()

    def _on_drawn(self) -> None:
        """Measure once nobody draws any more."""
        layer = self.regions.layer
        if self.runner.is_running:
            self._drawn.start()
        elif layer is not None and len(layer.data) and self.session.view is not None:
            found = self.numbers.found
            self.measure()
            self.numbers.found = found

    # Results.

    def _on_view(self, view: object) -> None:
        enabled = self.session.view is not None
        for part in self._buttons:
            part.setEnabled(enabled)
        self._forget()
        self.said.setText(self.regions.what_to_do if enabled else _OPEN_A_RUN)
        list_kept(self.kept_box, self.session.run)
        self.places.show_run(self.session.run)

    def _on_measured(self, found: Any) -> None:
        turn, region, shares, where = found
        self.job_bar.say("")
        view = self.session.view
        if turn != self._turn or view is None:
            return
        # Regions are erased from all images; of some, the change is not known.
        effects = {} if where else view.erased.get(region.tobytes(), {})
        self.numbers.take(region, shares, effects, where)

    def _on_erased(self, found: Any) -> None:
        turn, region, shares, effects = found
        self.erase_bar.say("")
        if turn == self._turn:
            self.numbers.found = {}
            self.numbers.take(region, shares, effects)

    def show_finding(self, finding: ShownFinding) -> None:
        """Show a finding: its map, its images, its place, and one that shows it best.

        In turns of their own, as all of that draws the window and fills tables several times.
        """
        view = self.session.view
        label = str(finding.facts.get("label"))
        if view is None:
            return
        if label in view.maps:
            self.session.choose_map(label)

        def go_on(piece: Callable[[], None]) -> None:
            # Another run may be on show by then.
            self.in_turn(lambda: piece() if self.session.view is view else None)

        def select() -> None:
            selection = None
            if finding.query:
                rows = parse_query(finding.query).rows(view.run.images)
                selection = Selection(finding.query, tuple(rows.tolist()))
            self.session.select(selection)
            self._tell(finding)

        def step() -> None:
            self.layers.step_to(finding.rows[0])

        def draw() -> None:
            if finding.region is not None:
                self._draw(finding.region, finding.place)
            self._tell(finding)

        self._tell(finding)
        go_on(select)
        if finding.rows:
            go_on(step)
        go_on(draw)

    def _tell(self, finding: ShownFinding) -> None:
        label = str(finding.facts.get("label"))
        self.numbers.found = {label: str(finding.facts.get("sentence", ""))}
        self.said.setText(self.numbers.found[label])

    def _draw(self, region: npt.NDArray[np.bool_], name: str) -> None:
        images = self.layers.layer("images")
        if images is not None:
            layer = draw_region(self._viewer, region, name, images)
            self._watch(layer)
            self.regions.choose(layer)
            self._forget()
            self._drawn.start()

    def _on_selection(self, selection: object) -> None:
        if self.numbers.is_there:
            self._drawn.start()


def _told_of_drawing(layer: Any) -> list[Any]:
    """Return the events of a layer: of labels, strokes as well; of shapes, their data."""
    return [each for name in ("data", "paint") if (each := getattr(layer.events, name, None))]
