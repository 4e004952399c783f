"""Asks the run on show: a form of the question's settings, a worker, the answer kept in the run."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from qtpy.QtCore import Qt, Signal  # type: ignore[attr-defined]
from qtpy.QtWidgets import QLineEdit, QWidget

from napari_globalxai.errors import InputError
from napari_globalxai.progress import ProgressCallback
from napari_globalxai.statistics.query import parse_query
from napari_globalxai.widgets.fields.choice_box import choice_box
from napari_globalxai.widgets.fields.fold import Fold
from napari_globalxai.widgets.fields.layouts import in_column
from napari_globalxai.widgets.fields.parts import JobBar, text_label, tipped_button
from napari_globalxai.widgets.fields.setting_fields import field_value, set_field
from napari_globalxai.widgets.fields.settings_form import OpenForm, SettingsForm
from napari_globalxai.widgets.fields.wrapped import tip_lines
from napari_globalxai.widgets.jobs.warm_up import import_models
from napari_globalxai.widgets.jobs.workers import JobRunner, Work
from napari_globalxai.widgets.layers.other_run import OtherRunLayers, other_run_of
from napari_globalxai.widgets.session.present_run import while_present
from napari_globalxai.widgets.session.session import Session
from napari_globalxai.widgets.session.viewer_jobs import ASKING, runner_of
from napari_globalxai.widgets.words.panel_words import in_panel_words
from napari_globalxai.widgets.words.questions import QUESTIONS, Question
from napari_globalxai.widgets.workbench.panel import Panel

if TYPE_CHECKING:
    from collections.abc import Sequence

    from napari_globalxai.runs.run import Run
    from napari_globalxai.widgets.session.shown_maps import Selection

_UNNAMED = (
    "The images selected are named by no query, so that the form asks of all; write one here, or "
    "keep it so."
)


def asking(run: Run, question: Question, chosen: Sequence[Any], trust: bool) -> Work:
    """Return what asks a question of a run and tells the chapter of its answer."""

    def work(progress: ProgressCallback) -> str:
        import_models()
        told = while_present(run, progress)
        try:
            question.ask(run, chosen, trust, told)
        except InputError as why:
            # In the words of this form, which other forms have of the same settings.
            raise InputError(in_panel_words(str(why), question.fields())) from why
        return question.chapter

    return work


def on_show(session: Session, beside: Run | None) -> tuple[dict[str, Any], str]:
    """Return what settings of questions are likely to be, from what is on show, and a remark."""
    values: dict[str, Any] = {}
    if session.run is not None and session.map_name in session.run.labels:
        values["labels"] = (session.map_name,)
    among, less = session.selection, session.choice.less
    where, rest = _query_of(among), _query_of(less)
    if where:
        values |= {"where": where, "a": where, "b": rest or f"not ({where})"}
    elif rest:
        values |= {"a": f"not ({rest})", "b": rest}
    if beside is not None:
        values["other"] = beside.folder
    return values, _UNNAMED if among is not None and not where else ""


def _query_of(selection: Selection | None) -> str:
    if selection is None:
        return ""
    try:
        parse_query(selection.where)
    except InputError:
        return ""
    return selection.where


class AskView(Fold):
    """Chooses a question and its settings, asks it, and tells which chapter answers it.

    Parameters
    ----------
    panel : Panel
        The panel that it is a part of.
    viewer : napari.viewer.Viewer
        The viewer.
    session : Session
        What the viewer works on.

    Attributes
    ----------
    answered : Signal
        Name of the chapter that has the answer.
    runner : JobRunner
        Asks.
    box : QComboBox
        The questions.
    first, more : SettingsForm
        What is asked for at once, and what is folded away.
    ask_button : QPushButton
        Asks.
    """

    answered = Signal(str)

    def __init__(self, panel: Panel, viewer: Any, session: Session) -> None:
        super().__init__("Ask")
        self._session = session
        self._beside: OtherRunLayers = other_run_of(viewer)
        # What was filled in from what is on show; what the user wrote stays.
        self._filled: Mapping[str, Any] = {}
        self._shown: Question | None = None
        self.runner: JobRunner = runner_of(viewer, ASKING)
        self.toggled.connect(self._on_chosen)
        panel.follow(session.view_changed, self._on_view)
        panel.follow(session.map_changed, self._fill_in)
        panel.follow(session.choice_changed, self._fill_in)
        panel.follow(self._beside.changed, self._fill_in)
        self.make_content(self._make_parts, self.runner)
        if self.runner.is_running:
            self.expand()

    @property
    def question(self) -> Question:
        """The question that is chosen."""
        self.ensure_made()
        return QUESTIONS[self.box.currentData()]

    def ask(self) -> None:
        """Ask the run on show."""
        run, question = self._session.run, self.question
        if run is None or self.runner.is_running:
            return
        try:
            chosen = question.settings({**self.first.values(), **self.more.values()})
        except InputError as why:
            self.job_bar.say(in_panel_words(str(why), question.fields()))
            return
        session = self._session
        work = asking(run, question, chosen, session.trusts(run))
        # Told to all panels, also where this one is closed by then.
        self.runner.run(work, then=lambda chapter: session.answered.emit())

    def cancel(self) -> None:
        """Stop the work under way."""
        if self.is_made:
            self.job_bar.cancel()

    def _make_parts(self) -> QWidget:
        self.box = choice_box("What to ask", "What the run on show is asked, without a terminal")
        for number, question in enumerate(QUESTIONS.values()):
            self.box.addItem(question.title, question.name)
            self.box.setItemData(number, tip_lines(question.summary), Qt.ItemDataRole.ToolTipRole)
        self.summary = text_label()
        self.first, self.more = OpenForm(), SettingsForm("Settings")
        self.remark = text_label(_UNNAMED)
        self.ask_button = tipped_button("Ask", "Keep the answer in the run, and show it below")
        self.job_bar = JobBar(self.runner)
        content = QWidget()
        box = in_column(content)
        for part in (
            *(self.box, self.summary, self.first, self.remark),
            *(self.more, self.ask_button, self.job_bar),
        ):
            box.addWidget(part)
        self.ask_button.clicked.connect(self.ask)
        self.box.currentIndexChanged.connect(self._on_chosen)
        self.more.toggled.connect(self._show_more)
        self.runner.started.connect(self._on_changed)
        self.runner.finished.connect(self._on_changed)
        self.runner.cancelled.connect(self._on_cancelled)
        self.runner.succeeded.connect(self._on_answered)
        self._on_changed()
        return content

    def _on_chosen(self, *what: object) -> None:
        # Its settings are made once somebody looks.
        if not self.isExpanded() or self.question is self._shown:
            return
        question = self.question
        self._shown = question
        fields = {each.name: each for each in question.fields()}
        self.summary.setText(question.summary)
        self.first.show_settings([fields[name] for name in question.first])
        for field in self.first.fields.values():
            if isinstance(field, QLineEdit):
                field.returnPressed.connect(self.ask)
        # Made once somebody unfolds it; until then all is at its defaults.
        self.more.collapse()
        self.more.show_settings(())
        self._filled = {name: field_value(field) for name, field in self.first.fields.items()}
        self._fill_in()

    def _show_more(self, unfolded: bool) -> None:
        if unfolded and self._shown is not None and not self.more.fields:
            first = self._shown.first
            self.more.show_settings(
                [each for each in self._shown.fields() if each.name not in first]
            )

    def _fill_in(self, *what: object) -> None:
        """Fill in what is on show, but for what the user wrote."""
        if not self.is_made:
            return
        values, remark = on_show(self._session, self._beside.run)
        for name, field in self.first.fields.items():
            is_filled = field_value(field) == self._filled.get(name)
            if name in ("labels", "where", "a", "b", "other") and is_filled:
                set_field(field, values.get(name))
                self._filled = {**self._filled, name: field_value(field)}
        asks_of_some = any(name in self.first.fields for name in ("where", "a"))
        self.remark.setText(remark)
        self.remark.setVisible(bool(remark) and asks_of_some)

    def _on_view(self, view: object) -> None:
        if self.is_made:
            self.job_bar.forget()
        self._on_changed()

    def _on_changed(self, *what: object) -> None:
        if not self.is_made:
            return
        is_free = self._session.run is not None and not self.runner.is_running
        self.ask_button.setEnabled(is_free)
        self._fill_in()

    def _on_cancelled(self) -> None:
        self.job_bar.say("Stopped. What the run holds is as it was before.")

    def _on_answered(self, chapter: str) -> None:
        self.job_bar.say("")
        self.answered.emit(chapter)
