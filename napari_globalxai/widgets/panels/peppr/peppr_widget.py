"""The panel that tests a global map for faithfulness."""

from typing import Any

import napari.viewer
import numpy as np
from qtpy.QtWidgets import QPushButton

from napari_globalxai.errors import InputError
from napari_globalxai.faithfulness.result import PepprResult
from napari_globalxai.settings.execution_settings import DeviceSettings
from napari_globalxai.settings.peppr_settings import PepprSettings
from napari_globalxai.widgets.fields.choice_box import choice_box
from napari_globalxai.widgets.fields.flow_row import FlowRow
from napari_globalxai.widgets.fields.parts import JobBar, heading, text_label
from napari_globalxai.widgets.fields.settings_form import named_field
from napari_globalxai.widgets.jobs.workers import JobRunner, LatestOnly
from napari_globalxai.widgets.layers.run_layers import RunLayers, layers_of
from napari_globalxai.widgets.panels.peppr.further_results import FurtherResults
from napari_globalxai.widgets.panels.peppr.growing_curves import CurvesUnderWay, curves_under_way
from napari_globalxai.widgets.panels.peppr.peppr_form import PepprForm
from napari_globalxai.widgets.panels.peppr.peppr_jobs import testing
from napari_globalxai.widgets.panels.peppr.peppr_plot import PLOT_TIP, PepprPlot
from napari_globalxai.widgets.panels.peppr.peppr_question_view import PepprQuestionView
from napari_globalxai.widgets.panels.peppr.peppr_results import CurvesBeside, ResultTable
from napari_globalxai.widgets.panels.peppr.peppr_words import probability_text
from napari_globalxai.widgets.panels.peppr.per_image_view import PerImageView
from napari_globalxai.widgets.panels.peppr.sanity_view import SanityView
from napari_globalxai.widgets.panels.peppr.scrubber import Scrubber
from napari_globalxai.widgets.panels.peppr.verdict_view import VerdictView
from napari_globalxai.widgets.panels.peppr.whole_run_note import make_whole_run_note
from napari_globalxai.widgets.panels.runs.moved_model import MovedModel
from napari_globalxai.widgets.session.image_result import ImageResult
from napari_globalxai.widgets.session.run_view import RunView, stored_result
from napari_globalxai.widgets.session.session import Session, plain_viewer, session_of
from napari_globalxai.widgets.session.shown_maps import map_of
from napari_globalxai.widgets.session.viewer_jobs import TESTING, runner_of
from napari_globalxai.widgets.words.panel_words import in_panel_words
from napari_globalxai.widgets.workbench.identity import make_header
from napari_globalxai.widgets.workbench.panel import Panel

_ABOUT = (
    "Does the model decide by what a map shows? PEPPR erases the images along it, restores blanks "
    "along it, and watches ROC AUC, beside maps like it that lie elsewhere."
)
_OPEN_A_RUN = "Compute global maps or open a run first, in the panel “Global explanations”."


class PepprWidget(Panel):
    """Runs PEPPR along a map of the open run; shows curves, verdict and what the model saw.

    Parameters
    ----------
    viewer : napari.viewer.Viewer
        The viewer to show it in.

    Attributes
    ----------
    session : Session
        What the viewer works on.
    runner : JobRunner
        Runs the work.
    images : PerImageView
        Images one by one.
    otherwise : PepprQuestionView
        Maps compared, regions, the published protocol.
    sanity : SanityView
        The check against random weights.
    map_box, label_box : QComboBox
        Map to test; label whose curves are shown.
    fill_box, steps_box, controls_box : QWidget
        The settings that most people change.
    more_form : SettingsForm
        The others.
    scrubber : Scrubber
        Fraction and arm.
    plot : PepprPlot
        The curves.
    badge, reason, probability : QLabel
        Verdict, the numbers behind it, and the prediction on the image in view.
    """

    def __init__(self, viewer: "napari.viewer.Viewer") -> None:
        super().__init__()
        self.session: Session = session_of(viewer)
        self.layers: RunLayers = layers_of(viewer)
        self.runner: JobRunner = runner_of(viewer, TESTING)
        self._stored = LatestOnly(self)
        self.growing: CurvesUnderWay = curves_under_way(viewer)
        self._keep_result = self._curves_to_come = False
        self._make_controls(viewer)
        self._lay_out()
        self._connect(viewer)
        if self.session.view is not None:
            self._on_view(self.session.view)
            self._on_result(self.session.result)
        else:
            self._set_enabled(False)
            self.job_bar.say(_OPEN_A_RUN)
        if self.runner.is_running:
            self._on_started()
        if self.growing.result is not None:
            self._on_grown(self.growing.result)

    # What users and scripts do.

    def compute(self) -> None:
        """Run PEPPR along the map chosen; finished controls are not computed again."""
        view, name = self.session.view, self.map_box.currentText()
        if view is None:
            self.job_bar.say(_OPEN_A_RUN)
        elif name not in view.maps:
            self.job_bar.say("This map is a file; choose one of the run's own.")
        elif not self.runner.is_running:
            run, use = view.run, self.session.use_of_model(view.run)
            try:
                settings, computing = self.settings(), self.computing()
                workers = self.form.workers()
            except InputError as why:
                self.job_bar.say(in_panel_words(str(why)))
                return

            growing, session = self.growing, self.session

            def show(result: PepprResult) -> None:
                growing.forget()
                # Unless another run was opened meanwhile; this one's result is in its folder.
                if session.view is view:
                    if result.map_name in view.maps:
                        session.choose_map(result.map_name)
                    session.set_result(result)

            watcher = growing.start(run, name, settings)
            work = testing(run, name, settings, computing, workers, use, watcher)
            self.runner.run(work, then=show)

    def settings(self) -> PepprSettings:
        """Return what is chosen.

        Raises
        ------
        InputError
            When something does not fit.
        """
        return self.form.settings()

    def computing(self) -> DeviceSettings:
        """Return where the model is to run."""
        return self.form.computing()

    def cancel(self) -> None:
        """Stop the work under way; finished controls are kept."""
        self.job_bar.cancel()

    # Making the panel.

    def _make_controls(self, viewer: Any) -> None:
        self.header = make_header(self, self.session)
        self.whole_run_note = make_whole_run_note(self, self.session)
        self.moved_model = MovedModel(self, viewer, self.session)
        self.form = form = PepprForm()
        self.map_box, self.more_form = form.map_box, form.more_form
        self.fill_box, self.steps_box = form.fill_box, form.steps_box
        self.controls_box = form.controls_box
        self.compute_button = QPushButton("Run PEPPR")
        self.stress(self.compute_button)
        self.compute_button.setToolTip("Erase and restore along the map and along all controls")
        self.about = text_label(_ABOUT)
        self.job_bar = JobBar(self.runner)
        self.results = ResultTable()
        self.results_heading = heading("Results")
        self.results_heading.hide()
        self.further = FurtherResults(self, viewer, self.session, self.layers)
        self.images = PerImageView(self, viewer, self.session, self.layers, form)
        self.otherwise = PepprQuestionView(self, viewer, self.session, form, self.further)
        self.sanity = SanityView(self, viewer, self.session)
        self.label_box = choice_box("Label", "The label whose performance is plotted")
        self.verdict = VerdictView()
        self.badge, self.reason = self.verdict.badge, self.verdict.reason
        self.plot = PepprPlot(viewer.theme)
        self.plot.setToolTip(PLOT_TIP)
        self.scrubber = Scrubber()
        self.probability = text_label()

    def _lay_out(self) -> None:
        self._whose = named_field("La&bel", self.label_box)
        whose = FlowRow(named_field("&Map", self.map_box), self._whose, fills=True)
        self.content.addWidget(self.header)
        self.content.addWidget(self.about)
        self.content.addWidget(self.whole_run_note)
        self.content.addWidget(self.moved_model)
        self.content.addWidget(whose)
        # A result comes first: its curves are to be in view on a small screen. Without one, the
        # next test is all that there is.
        self.content.addWidget(self.verdict)
        self.content.addWidget(self.plot, 1)
        self.content.addWidget(self.scrubber)
        self.content.addWidget(self.probability)
        self.content.addWidget(self.verdict.reason)
        self.content.addWidget(self.form)
        self.content.addWidget(self.compute_button)
        self.content.addWidget(self.job_bar)
        self.content.addWidget(self.results_heading)
        self.content.addWidget(self.results)
        self.content.addWidget(self.images)
        self.content.addWidget(self.otherwise)
        self.content.addWidget(self.further)
        self.content.addWidget(self.sanity)
        self.content.addStretch(0)
        self._show_parts(None)

    def _connect(self, viewer: Any) -> None:
        self.compute_button.clicked.connect(self.compute)
        self.runner.started.connect(self._on_started)
        self.runner.finished.connect(self._on_finished)
        self.runner.succeeded.connect(self._on_computed)
        self.runner.cancelled.connect(self._on_cancelled)
        self.results.chosen.connect(self._on_result_chosen)
        self._stored.ready.connect(self._on_stored)
        self._stored.failed.connect(self.job_bar.say)
        self._beside = CurvesBeside(self.results, self.session, self.plot)
        self._beside.failed.connect(self.job_bar.say)
        for part in (self, self.images, self.otherwise, self.sanity):
            self.moved_model.watch(part.runner)
        self.images.left.connect(self._look_up)
        self.images.tested.connect(self.further.show_run)
        self.map_box.currentTextChanged.connect(self._on_map_chosen)
        self.label_box.currentTextChanged.connect(self._on_label)
        self.scrubber.moved.connect(self.session.scrub)
        self.plot.fraction_picked.connect(self.session.scrub)
        self.follow(self.session.view_changed, self._on_view)
        self.follow(self.session.map_changed, self._on_map)
        self.follow(self.session.result_changed, self._on_result)
        self.follow(self.growing.grown, self._on_grown)
        self.follow(self.session.scrubbed, self._on_scrubbed)
        self.follow(self.session.row_changed, self._show_probability)
        self.follow(plain_viewer(viewer).events.theme, self._on_theme)

    def _set_enabled(self, enabled: bool) -> None:
        self.form.setEnabled(enabled)
        self.map_box.setEnabled(enabled)
        self.compute_button.setEnabled(enabled)

    def _on_started(self) -> None:
        self.compute_button.setEnabled(False)
        self._curves_to_come = True
        self.form.make_room()

    def _on_finished(self) -> None:
        self.compute_button.setEnabled(self.session.view is not None)

    def _on_cancelled(self) -> None:
        self.job_bar.say("Stopped. Finished controls are kept for the next time.")

    def _on_theme(self, event: Any) -> None:
        self.plot.set_theme(event.value)

    # The map to test, and what is known of it.

    def _on_view(self, view: RunView) -> None:
        self._set_enabled(True)
        self.compute_button.setEnabled(not self.runner.is_running)
        self.job_bar.forget()
        self._list_results(view)
        self.map_box.blockSignals(True)
        self.map_box.clear()
        # Maps from files, of which the run holds a result, come last.
        files = [name for name in self.results.maps if name not in view.maps]
        self.map_box.addItems([*view.maps, *files])
        self.map_box.setCurrentText(self.session.map_name)
        self.map_box.blockSignals(False)
        self._name_map(self.session.result)
        self._look_up()

    def _list_results(self, view: RunView) -> None:
        self.results.show_run(view.run)
        self.further.show_run(view.run)
        self.results_heading.setVisible(bool(self.results.texts()))

    def _on_map(self, name: str) -> None:
        self.map_box.setCurrentText(name)

    def _name_map(self, result: PepprResult | None) -> None:
        """Let the box say which map the result on show is of; images have maps of their own."""
        view = self.session.view
        if result is None or view is None or self.images.followed is not None:
            return
        name = map_of(result, view.maps)
        self.map_box.blockSignals(True)
        if self.map_box.findText(name) < 0:
            self.map_box.addItem(name)
        self.map_box.setCurrentText(name)
        self.map_box.blockSignals(False)

    def _on_map_chosen(self, name: str) -> None:
        if self.session.view is not None and name:
            if name in self.session.view.maps:
                self.session.choose_map(name)
            self._look_up()

    def _look_up(self) -> None:
        """Load what was computed before along the map chosen."""
        view, name = self.session.view, self.map_box.currentText()
        if view is not None and not self._keep_result and not self.images.follows(name):
            known = self.session.result
            if known is None or map_of(known, view.maps) != name:
                self._request(view, name)

    def _request(self, view: RunView, name: str) -> None:
        run = view.run
        self._stored.request((view, name), lambda: stored_result(run, name))

    def _on_result_chosen(self, map_name: str, fill: str) -> None:
        """Show one of the results that the run holds."""
        view = self.session.view
        if view is None:
            return
        self.images.leave()
        if not self.runner.is_running:
            self.growing.forget()
        self._keep_result = True
        if map_name in view.maps:
            self.session.choose_map(map_name)
        self.map_box.setCurrentText(map_name)
        self._keep_result = False
        run = view.run
        self._stored.request((view, map_name), lambda: stored_result(run, map_name, fill))

    def _on_stored(self, key: Any, found: Any) -> None:
        view: RunView | None = key[0]
        name: str = key[1]
        if view is not None and view is self.session.view and name == self.map_box.currentText():
            self.session.set_result(found)

    def _on_computed(self, result: PepprResult) -> None:
        self.job_bar.say("")
        view = self.session.view
        if view is not None and self.session.result is result:
            self._list_results(view)
            self.results.mark(result, view.maps)
            self.bring_in_view(self.header, self.plot)

    # The result.

    def _on_result(self, result: PepprResult | None) -> None:
        # A label's map is judged by that label; on the overall map, keep what was looked at.
        own = [] if result is None else list(result.verdict)
        wanted = own[0] if len(own) == 1 else self.label_box.currentText()
        self._list_labels([] if result is None else list(result.areas), wanted)
        self.about.setVisible(result is None)
        if not isinstance(result, ImageResult):
            self._name_map(result)
        if result is not None:
            self.form.follow_settings(result.settings, result.fills)
            self._open_at(result, self.label_box.currentText())
        view = self.session.view
        self.results.mark(result, {} if view is None else view.maps)
        self._show_parts(result)
        self.scrubber.show_state(self.session.fraction, self.session.arm)
        self._on_label(self.label_box.currentText())

    def _show_parts(self, result: PepprResult | None) -> None:
        """Show what there is of a result, as far as it has come."""
        for part in (self._whose, self.plot):
            part.setVisible(result is not None)
        # Layers follow a finished one.
        for part in (self.scrubber, self.probability):
            part.setVisible(result is not None and result is self.session.result)

    def _list_labels(self, labels: list[str], wanted: str) -> None:
        self.label_box.blockSignals(True)
        self.label_box.clear()
        self.label_box.addItems(labels)
        if wanted in labels:
            self.label_box.setCurrentText(wanted)
        self.label_box.blockSignals(False)

    def _on_grown(self, result: PepprResult) -> None:
        """Show what the test under way has come to, unless another map is looked at."""
        if self._grown() is None:
            return
        with_curves = str(result.curves["label"].iloc[0])
        self._list_labels(list(result.areas), with_curves)
        self.verdict.show_verdict(None, with_curves)
        self._show_parts(result)
        self.plot.show_result(result, with_curves)
        if self._curves_to_come:
            # Once: later, it is for whoever looks on to scroll.
            self._curves_to_come = False
            self.about.hide()
            self.bring_in_view(self.header, self.plot)

    def _grown(self) -> PepprResult | None:
        return self.growing.of(self.session.run, self.map_box.currentText())

    def _open_at(self, result: PepprResult, label: str) -> None:
        """Open the scrubber at the fraction that suffices, where one does."""
        sufficient = result.areas.get(label, {}).get("sufficient_fraction", np.nan)
        if sufficient is not None and np.isfinite(sufficient):
            self.session.scrub(float(sufficient), "restore")

    def _on_label(self, label: str) -> None:
        self.growing.label = label
        if self._grown() is not None:
            # Its curves come in a moment.
            return
        result = self.session.result
        self.plot.show_result(result, label)
        self.verdict.show_verdict(result, label)
        self._show_probability()

    def _on_scrubbed(self, fraction: float, arm: str) -> None:
        self.scrubber.show_state(fraction, arm)
        self.plot.show_fraction(fraction, arm)
        self._show_probability()

    def _show_probability(self, row: int | None = None) -> None:
        """Show what the model predicted on the image in view at the nearest step."""
        session, label = self.session, self.label_box.currentText()
        text = ""
        if session.result is not None and label in session.result.labels:
            text = probability_text(
                session.result, label, session.row, session.fraction, session.arm
            )
        self.probability.setText(text)
