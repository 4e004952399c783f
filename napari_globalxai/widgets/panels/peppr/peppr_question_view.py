"""Asks PEPPR for more than curves along one map: maps compared, regions, the published protocol."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from qtpy.QtWidgets import QWidget

from napari_globalxai.errors import InputError
from napari_globalxai.faithfulness.targets import MACRO
from napari_globalxai.settings.declared import declared_fields
from napari_globalxai.settings.peppr_question import PAPER, PROTOCOLS, PepprQuestion
from napari_globalxai.settings.peppr_settings import PepprSettings
from napari_globalxai.widgets.fields.fold import Fold
from napari_globalxai.widgets.fields.layouts import in_column
from napari_globalxai.widgets.fields.parts import JobBar, text_label, tipped_button
from napari_globalxai.widgets.jobs.workers import JobRunner
from napari_globalxai.widgets.layers.other_run import OtherRunLayers, other_run_of
from napari_globalxai.widgets.panels.peppr.compared_curves import ComparedCurves
from napari_globalxai.widgets.panels.peppr.further_reading import PUBLISHED
from napari_globalxai.widgets.panels.peppr.further_results import FurtherResults
from napari_globalxai.widgets.panels.peppr.growing_curves import (
    CurvesUnderWay,
    GrowingMaps,
    curves_under_way,
)
from napari_globalxai.widgets.panels.peppr.peppr_form import PepprForm
from napari_globalxai.widgets.panels.peppr.peppr_jobs import Answered, answering
from napari_globalxai.widgets.panels.peppr.peppr_question_form import PepprQuestionForm
from napari_globalxai.widgets.session.session import OVERALL, Session
from napari_globalxai.widgets.session.viewer_jobs import runner_of
from napari_globalxai.widgets.words.panel_words import in_panel_words
from napari_globalxai.widgets.workbench.panel import Panel

OTHERWISE = "Another test of PEPPR"
_NOTHING_YET = (
    "Tick two maps or more, or add a run, to compare maps; or choose a region, or the protocol "
    "“paper”. One map alone is tested by “Run PEPPR” above."
)
_OPEN_A_RUN = "Open a run first."
_MOST_SENTENCES = 2


def in_words(question: PepprQuestion, maps: Sequence[str], region: str) -> str:
    """Return what a question will do, in a sentence; empty where it asks for nothing.

    Parameters
    ----------
    question : PepprQuestion
        The question, without a clash.
    maps : sequence of str
        What the maps are called.
    region : str
        What the region is called.
    """
    if question.protocol == PAPER:
        return f"{PROTOCOLS[PAPER]}."
    if question.regions is not None:
        whose = question.one_map or "every label"
        return (
            f"Keeps and erases {region} in the whole frame: what becomes of the AUC of {whose}, "
            "with intervals. No verdict."
        )
    if question.compares:
        runs = _and(["this run", *(each.name for each in question.against)])
        return (
            f"Compares {_and(maps or (OVERALL,))} of {runs}: Δ of each, and every difference of "
            "two with its interval. No verdict."
        )
    return ""


def _and(names: Sequence[str]) -> str:
    *most, last = names
    return f"{', '.join(most)} and {last}" if most else last


class PepprQuestionView(Fold):
    """Chooses what PEPPR is asked, says what that will do or why it cannot be, and asks it.

    Parameters
    ----------
    panel : Panel
        The panel that it is a part of.
    viewer : napari.viewer.Viewer
        The viewer.
    session : Session
        What the viewer works on.
    settings_form : PepprForm
        Holds the settings of the test.
    further : FurtherResults
        Shows the answer.

    Attributes
    ----------
    runner : JobRunner
        Runs the work.
    form : PepprQuestionForm
        What is asked.
    said : QLabel
        What it will do, or why it cannot.
    start_button : QPushButton
        Starts it.
    curves : ComparedCurves
        Curves of the maps that are compared.
    """

    def __init__(
        self,
        panel: Panel,
        viewer: Any,
        session: Session,
        settings_form: PepprForm,
        further: FurtherResults,
    ) -> None:
        super().__init__("Compare maps, test regions, as published")
        self._session, self._settings_form, self._further = session, settings_form, further
        self._beside: OtherRunLayers = other_run_of(viewer)
        self.runner: JobRunner = runner_of(viewer, OTHERWISE)
        self._panel, self._viewer = panel, viewer
        self._growing: CurvesUnderWay = curves_under_way(viewer, OTHERWISE)
        panel.follow(session.view_changed, self._on_view)
        panel.follow(session.answered, self._on_kept)
        panel.follow(self._beside.changed, self._on_beside)
        self.make_content(self._make_parts, self.runner)
        if self.runner.is_running:
            self.expand()

    def start(self) -> None:
        """Ask PEPPR what is chosen."""
        self.ensure_made()
        run, question, form = self._session.run, self.form.question(), self._settings_form
        if run is None or self.runner.is_running or question.clash or question.is_plain:
            return
        try:
            settings, workers, computing = form.settings(), form.workers(), form.computing()
        except InputError as why:
            self.job_bar.say(in_panel_words(str(why)))
            return
        use, session = self._session.use_of_model(run), self._session
        # As published, the mean over labels is told, too.
        maps = GrowingMaps(settings, (MACRO,) if question.protocol == PAPER else ())
        self.curves.begin(maps)
        work = answering(run, question, self.form.place, settings, computing, workers, use, maps)
        # Told to all panels, also where this one is closed by then.
        self.runner.run(work, then=lambda found: session.answered.emit())

    def cancel(self) -> None:
        """Stop the work under way."""
        if self.is_made:
            self.job_bar.cancel()

    def _make_parts(self) -> QWidget:
        self.form = PepprQuestionForm()
        self.said = text_label()
        self.said.setAccessibleName("What this will do")
        self.start_button = tipped_button(
            "Start this test", "Ask what is chosen here, with the settings of the test above"
        )
        self.job_bar = JobBar(self.runner)
        content = QWidget()
        box = in_column(content)
        self.curves = ComparedCurves(self._panel, self._viewer, self._session, self._growing)
        for part in (self.form, self.said, self.start_button, self.job_bar, self.curves):
            box.addWidget(part)
        self.curves.show_grown()
        self.start_button.clicked.connect(self.start)
        self.form.edited.connect(self._on_edited)
        self.form.said.connect(self.job_bar.say)
        self._settings_form.fills.edited.connect(self._on_edited)
        self.runner.started.connect(self._on_edited)
        # A place is kept before it is tested, also where that is stopped.
        self.runner.finished.connect(self.form.list_regions)
        self.runner.cancelled.connect(self._on_cancelled)
        self.runner.succeeded.connect(self._on_answered)
        self._show_run()
        return content

    def _show_run(self) -> None:
        self.form.show_run(self._session.run)
        self._on_beside()

    def _on_view(self, view: object) -> None:
        if self.is_made:
            self.job_bar.forget()
            self.curves.show_grown()
            self._show_run()

    def _on_beside(self) -> None:
        """Offer the run that is laid beside the one on show."""
        if self.is_made and self._beside.run is not None and self._session.run is not None:
            self.form.add_run(self._beside.run.folder, is_ticked=False)

    def _on_kept(self) -> None:
        if self.is_made:
            self.form.list_regions()

    def _on_edited(self) -> None:
        question, run = self.form.question(), self._session.run
        clash = in_panel_words(question.clash, declared_fields(PepprQuestion))
        words = in_words(question, self.form.maps.words(), self.form.regions_box.currentText())
        fills = self._settings_form.fills.value
        if words and question.regions is None:
            words += f" {PepprSettings.model_construct(fill=fills).first_fill_alone}".rstrip()
        nothing_yet = _OPEN_A_RUN if run is None else _NOTHING_YET
        self.said.setText(f"⚠ {clash}" if clash else (words if run else "") or nothing_yet)
        can_start = bool(words) and not clash
        self.start_button.setEnabled(can_start and run is not None and not self.runner.is_running)

    def _on_cancelled(self) -> None:
        self.job_bar.say("Stopped. What was predicted is kept; results are as before.")

    def _on_answered(self, found: Answered) -> None:
        if found.part == PUBLISHED:
            # Its curves are those of the panel now.
            self._growing.forget()
            self.curves.show_grown()
        if self._session.run is not found.run:
            # Its numbers would stand below the name of the run on show.
            self.job_bar.say(f"{found.run.folder.name}: the test is done, and kept in that run.")
            return
        first = [f"{each[:1].upper()}{each[1:]}." for each in found.sentences[:_MOST_SENTENCES]]
        more = len(found.sentences) - len(first)
        below = f"{more} more under “Further results”." if more else ""
        self.job_bar.say("\n".join([*first, below]).strip())
        self._further.show_run(found.run, found.part)
