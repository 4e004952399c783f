"""The panel that computes and shows global maps."""

from pathlib import Path
from typing import Any, Optional

import napari.viewer
from napari.utils.notifications import show_info
from qtpy.QtCore import QUrl
from qtpy.QtGui import QDesktopServices
from qtpy.QtWidgets import QCheckBox, QFileDialog, QPushButton

from napari_globalxai.errors import InputError
from napari_globalxai.settings.cohort_settings import CohortSettings
from napari_globalxai.settings.explain_settings import ExplainSettings
from napari_globalxai.widgets.fields.parts import JobBar, flowing, heading, side_by_side
from napari_globalxai.widgets.jobs.workers import JobRunner
from napari_globalxai.widgets.layers.growing_layers import growing_layers_of
from napari_globalxai.widgets.layers.run_layers import RunLayers, layers_of, sample_paths
from napari_globalxai.widgets.panels.answers.answers_view import AnswersView
from napari_globalxai.widgets.panels.cohort_and_model.check_view import CheckView
from napari_globalxai.widgets.panels.cohort_and_model.run_form import RunForm, default_run_folder
from napari_globalxai.widgets.panels.maps.explain_jobs import (
    checking,
    explaining,
    reading,
    reporting,
)
from napari_globalxai.widgets.panels.maps.growing_view import GrowingView
from napari_globalxai.widgets.panels.maps.map_view import MapView
from napari_globalxai.widgets.panels.maps.result_tables import ImagePanel, PerformanceTable
from napari_globalxai.widgets.panels.maps.stands_out import StandsOut
from napari_globalxai.widgets.panels.runs.beside_view import BesideView
from napari_globalxai.widgets.panels.runs.moved_images import MovedImages
from napari_globalxai.widgets.panels.runs.run_notes import RunNotes
from napari_globalxai.widgets.panels.runs.runs_view import STOPPED, ListedRun, RunsView, read_listed
from napari_globalxai.widgets.panels.runs.store_consent import StoreConsent
from napari_globalxai.widgets.session.recognised import result_folder
from napari_globalxai.widgets.session.remembered import chosen, remember_chosen
from napari_globalxai.widgets.session.run_view import RunView, open_view
from napari_globalxai.widgets.session.session import Session, plain_viewer, session_of
from napari_globalxai.widgets.session.viewer_jobs import EXPLAINING, runner_of
from napari_globalxai.widgets.words.panel_words import in_panel_words
from napari_globalxai.widgets.words.plain_labels import plain
from napari_globalxai.widgets.workbench.identity import NO_RUN_HERE, make_header
from napari_globalxai.widgets.workbench.panel import Panel
from napari_globalxai.widgets.workbench.reader_choice import remember_reader
from napari_globalxai.widgets.workbench.step_buttons import step_buttons

__all__ = ["ExplainWidget", "default_run_folder"]


class ExplainWidget(Panel):
    """Chooses cohort and model, computes global maps and shows them.

    Parameters
    ----------
    viewer : napari.viewer.Viewer
        The viewer to show them in.

    Attributes
    ----------
    session : Session
        What the viewer works on.
    layers : RunLayers
        Keeps the layers in step with the session.
    runner, check_runner, report_runner : JobRunner
        Run the work.
    header : QLabel
        The run on show.
    form : RunForm
        The next run; its fields are attributes of the panel as well.
    growing : GrowingView
        The maps of a run under way.
    maps : MapView
        The map on show; its boxes are attributes of the panel as well.
    beside : BesideView
        A second run beside it.
    runs : RunsView
        The runs that were opened before.
    answers : AnswersView
        What was asked of the run otherwise.
    stands_out : StandsOut
        What stands out in the maps.
    native_box : QCheckBox
        Whether the image in view is shown as its file stores it.
    """

    short_name = "Maps"

    def __init__(self, viewer: "napari.viewer.Viewer") -> None:
        super().__init__()
        self.session: Session = session_of(viewer)
        self.layers: RunLayers = layers_of(viewer)
        self.runner: JobRunner = runner_of(viewer, EXPLAINING)
        self.check_runner: JobRunner = runner_of(viewer, "Checking a cohort")
        self.report_runner: JobRunner = runner_of(viewer, "Writing a report")
        # The run that is being opened.
        self._asked: Optional[Path] = None  # noqa: UP045
        self._make_controls(viewer)
        self._lay_out()
        self._connect()
        for layer in viewer.layers:
            self._take_sample(layer)
        self.follow(plain_viewer(viewer).layers.events.inserted, self._on_layer)
        self._recall()
        if self.session.view is not None:
            self._on_view(self.session.view)
        if self.runner.is_running:
            self._on_started()

    # What users and scripts do.

    def compute(self) -> None:
        """Explain the cohort; a run that was stopped goes on where it was."""
        cohort, model, out = self.cohort_field.path, self.model_field.path, self.output_field.path
        trust = self.session.trusts_model
        missing = self.form.missing()
        if missing is not None or cohort is None or model is None or out is None:
            if missing is not None:
                self.form.expand()
                self.job_bar.say(missing[0])
                missing[1].setFocus()
        elif not self.runner.is_running:
            try:
                reads, settings = CohortSettings(**self.cohort_form.values()), self.settings()
            except InputError as why:
                self.job_bar.say(in_panel_words(str(why)))
                return

            remember_chosen({"cohort": str(cohort), "model": str(model), "method": settings.method})
            self.runs.remember(out)
            growing, session = self.growing.layers, self.session

            def show(view: RunView) -> None:
                growing.hand_over()
                session.open(view)

            self.runner.run(explaining(cohort, reads, model, out, settings, trust), then=show)
            growing.start(out, lambda: reading(cohort, reads))

    def check(self) -> None:
        """Read all images and predict them, and list what would go wrong."""
        cohort, model, trust = (
            self.cohort_field.path,
            self.model_field.path,
            self.session.trusts_model,
        )
        if cohort is None:
            self.job_bar.say("Choose a cohort table.")
            return
        try:
            reads, settings = CohortSettings(**self.cohort_form.values()), self.settings()
        except InputError as why:
            self.job_bar.say(in_panel_words(str(why)))
            return

        if not self.check_runner.is_running:
            self.check_runner.run(checking(cohort, reads, model, settings, trust))

    def settings(self) -> ExplainSettings:
        """Return what is chosen in the forms.

        Raises
        ------
        InputError
            When something does not fit.
        """
        return self.form.settings()

    def open_run(self, folder: Optional[Path] = None) -> None:  # noqa: UP045
        """Open a run folder; without one, let the user pick it."""
        if folder is None:
            start = str(self.output_field.path or Path.home())
            picked = QFileDialog.getExistingDirectory(self, "Open a run folder", start)
            folder = Path(picked) if picked else None
        if folder is not None and self.runner.is_running:
            # The bar tells of the work, line by line.
            busy = "another run is computed or read"
            show_info(plain(f"{folder.name} is not opened while {busy}; open it again then."))
        elif folder is not None:
            chosen = self._asked = result_folder(folder) or folder
            self.runner.run(lambda progress: open_view(chosen, progress), then=self.session.open)

    def write_report(self) -> None:
        """Draw the figures of the run on show, write its report and show it in the browser."""
        run = self.session.run
        if run is None:
            self.job_bar.say("Compute global maps or open a run first.")
        elif not self.report_runner.is_running:
            self.report_runner.run(reporting(run))

    def cancel(self) -> None:
        """Stop the work under way; what is finished is kept."""
        self.job_bar.cancel()

    # Making the panel.

    def _make_controls(self, viewer: Any) -> None:
        self.header = make_header(self, self.session, NO_RUN_HERE)
        self.form = form = RunForm(self.session)
        self.cohort_field, self.model_field = form.cohort_field, form.model_field
        self.output_field, self.trust_box = form.output_field, form.trust_box
        self.method_box, self.layer_field = form.method_box, form.layer_field
        self.settings_form, self.alignment_form = form.settings_form, form.alignment_form
        self.cohort_form, self.maps_form = form.cohort_form, form.maps_form
        self.computing_form = form.computing_form
        self.compute_button = QPushButton("Compute")
        self.stress(self.compute_button)
        self.compute_button.setToolTip("Explain every image and average the maps in the frame")
        self.check_button = QPushButton("Check")
        self.check_button.setToolTip("Read and predict every image, and list what would go wrong")
        self.open_button = QPushButton("Open run…")
        self.open_button.setToolTip("Show a run that was computed before")
        self.report_button = QPushButton("Report")
        self.report_button.setToolTip("Write the report of the run on show and open it")
        self.runs = RunsView()
        self.job_bar = JobBar(self.runner)
        self.growing = GrowingView(self, growing_layers_of(viewer))
        self.checked, self.report_bar = CheckView(self.check_runner), JobBar(self.report_runner)
        self.warnings = RunNotes()
        self.step_buttons = step_buttons(self, viewer)
        self.maps = MapView(self, viewer, self.session, self.layers)
        self.map_box, self.map_table = self.maps.map_box, self.maps.map_table
        self.shared_scale_box = self.maps.shared_scale_box
        self.global_map_box = self.maps.global_map_box
        self.attribution_box = self.maps.attribution_box
        self.beside = BesideView(self, viewer, self.session)
        self.stands_out = StandsOut(self, viewer, self.session)
        self.native_box = QCheckBox("Native image")
        self.native_box.setToolTip(
            "Show the image as its file stores it, in full resolution, with the maps laid on it"
        )
        self.consent = StoreConsent(self, self.layers)
        self.moved_images = MovedImages(self, self.layers)
        self.image_panel = ImagePanel()
        self.performance = PerformanceTable()
        self.answers = AnswersView(self, viewer, self.session)

    def _lay_out(self) -> None:
        buttons = flowing(
            self.compute_button, self.open_button, self.check_button, self.report_button
        )
        image_row = flowing(heading("Image in view"), self.native_box)
        self.content.addWidget(self.header)
        self.content.addWidget(self.warnings)
        self.content.addWidget(self.form)
        self.content.addWidget(buttons)
        self.content.addWidget(self.runs)
        self.content.addWidget(self.job_bar)
        self.content.addWidget(self.growing)
        self.content.addWidget(self.checked)
        self.content.addWidget(self.report_bar)
        self.content.addWidget(flowing(heading("Global maps"), side_by_side(*self.step_buttons)))
        self.content.addWidget(self.stands_out)
        self.content.addWidget(self.maps)
        self.content.addWidget(self.beside)
        self.content.addWidget(image_row)
        self.content.addWidget(self.consent)
        self.content.addWidget(self.moved_images)
        self.content.addWidget(self.image_panel)
        self.content.addWidget(heading("Performance"))
        self.content.addWidget(self.performance)
        self.content.addWidget(self.answers)
        self.content.addStretch(1)
        self._results = (
            self.maps,
            self.beside,
            self.native_box,
            self.image_panel,
            self.performance,
            self.answers,
        )
        for part in (*self._results, self.report_button):
            part.setEnabled(False)

    def _connect(self) -> None:
        self.compute_button.clicked.connect(self.compute)
        self.check_button.clicked.connect(self.check)
        self.open_button.clicked.connect(self._on_open_clicked)
        self.report_button.clicked.connect(self.write_report)
        self.runs.asked.connect(self.open_run)
        self.runs.beside_asked.connect(self.beside.open_run)
        self.runs.stopped_asked.connect(self._on_stopped)
        self.runner.started.connect(self._on_started)
        self.runner.finished.connect(self._on_finished)
        self.runner.succeeded.connect(self._on_succeeded)
        self.runner.cancelled.connect(self._on_cancelled)
        self.runner.failed.connect(self._on_failed)
        self.report_runner.succeeded.connect(self._on_report)
        self.report_runner.cancelled.connect(self._on_no_report)
        self.form.run_dropped.connect(self.open_run)
        self.layer_field.failed.connect(self.job_bar.say)
        self.maps.refused.connect(self.job_bar.say)
        self.native_box.toggled.connect(self.session.show_native)
        self.follow(self.session.native_changed, self._on_native)
        self.follow(self.layers.native_failed, self.job_bar.say)
        self.follow(self.layers.maps_failed, self.job_bar.say)
        self.follow(self.session.inputs_suggested, self._on_inputs)
        self.follow(self.session.view_changed, self._on_view)
        self.follow(self.session.row_changed, self._on_row)

    # Inputs.

    def _on_layer(self, event: object) -> None:
        self._take_sample(event.value)  # type: ignore[attr-defined]

    def _take_sample(self, layer: object) -> None:
        paths = sample_paths(layer)
        if paths is not None:
            self.session.inputs_suggested.emit(*paths)

    def _on_inputs(self, cohort: Path, model: Path) -> None:
        self.cohort_field.path = cohort
        self.model_field.path = model

    def _recall(self) -> None:
        """Fill in what was last chosen, unless a sample or somebody else chose already."""
        last = chosen()
        for field, name in ((self.cohort_field, "cohort"), (self.model_field, "model")):
            path = Path(last.get(name, ""))
            if field.path is None and path.is_file():
                field.path = path
        index = self.method_box.findText(last.get("method", ""))
        if index >= 0:
            self.method_box.setCurrentIndex(index)

    def _on_failed(self, sentence: str) -> None:
        """Offer to go on with a run that was to be opened, and was stopped."""
        if self._asked is not None:
            (run,) = read_listed([self._asked])
            if run.state == STOPPED:
                self._on_stopped(run)

    def _on_stopped(self, run: ListedRun) -> None:
        """Let the form say what a run was to be, so that it can be gone on with."""
        assert run.record is not None
        self.form.follow_record(run.folder, run.record)
        self.job_bar.say("The form shows what the run was to be: Compute goes on with it.")
        self.compute_button.setFocus()

    # Work.

    def _on_open_clicked(self) -> None:
        self.open_run()

    def _on_started(self) -> None:
        self.compute_button.setEnabled(False)
        self.open_button.setEnabled(False)

    def _on_finished(self) -> None:
        self.compute_button.setEnabled(True)
        self.open_button.setEnabled(True)
        self._asked = None

    def _on_succeeded(self, view: RunView) -> None:
        counts = view.run.record.counts
        self.job_bar.say(f"{counts.explained} of {counts.images} images explained.")

    def _on_cancelled(self) -> None:
        self.job_bar.say("Stopped. What is finished is kept: Compute goes on from there.")

    def _on_no_report(self) -> None:
        self.report_bar.say("Stopped. No report was written.")

    def _on_report(self, path: Path) -> None:
        self.report_bar.say(f"Report: {path}")
        QDesktopServices.openUrl(QUrl.fromLocalFile(str(path.absolute())))

    # Results.

    def _on_view(self, view: RunView) -> None:
        for part in (*self._results, self.report_button):
            part.setEnabled(True)
        # What was asked for is in view; the next run is a click away.
        self.form.collapse()
        # Buttons that cannot be pressed meanwhile hand the focus on, and the panel scrolls to it.
        self.verticalScrollBar().setValue(0)  # type: ignore[union-attr]
        self.runs.set_beside(True)
        self.runs.remember(view.run.folder)
        # napari writes all its settings, which takes the window a moment.
        self.in_turn(lambda: remember_reader(view.run.folder))
        self.maps.show_run(view)
        self.performance.show_run(view)
        self._on_row(self.session.row)
        self.warnings.show_run(view)

    def _on_row(self, row: int) -> None:
        if self.session.view is not None and row < len(self.session.view.run.images):
            self.image_panel.show_image(self.session.view, row, native=self.session.native)

    def _on_native(self, native: bool) -> None:
        self.native_box.setChecked(native)
        self._on_row(self.session.row)
