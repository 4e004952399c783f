"""Asks where a run's model is now, where it is not any more where the run says."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

from qtpy.QtWidgets import QWidget

from napari_globalxai.models.card.model_card import MODEL_SUFFIXES
from napari_globalxai.progress import Progress, ProgressCallback
from napari_globalxai.widgets.fields.layouts import in_column
from napari_globalxai.widgets.fields.parts import JobBar, text_label, tipped_button
from napari_globalxai.widgets.fields.path_field import PathField
from napari_globalxai.widgets.fields.settings_form import FormRows
from napari_globalxai.widgets.jobs.warm_up import import_models
from napari_globalxai.widgets.jobs.workers import JobRunner, LatestOnly, Work
from napari_globalxai.widgets.session.recognised import Recognised, recognise
from napari_globalxai.widgets.session.remembered import moved_to, remember_moved
from napari_globalxai.widgets.session.session import Session
from napari_globalxai.widgets.session.viewer_jobs import runner_of
from napari_globalxai.widgets.words.panel_words import in_panel_words
from napari_globalxai.widgets.workbench.panel import Panel

if TYPE_CHECKING:
    from napari_globalxai.runs.run import Run


def proving(run: Run, model: Path, trust: bool) -> Work:
    """Return what loads a model and proves that it is the one that a run was made with."""

    def work(progress: ProgressCallback) -> Path:
        progress(Progress("Loading the model", 0, 1))
        import_models()
        from napari_globalxai.runs.opened.run_model import load_run_model

        load_run_model(run, "cpu", model, trust=trust)
        return model

    return work


def _find(run: Run, named: Path | None) -> tuple[str, Path | None]:
    """Return why there is no model, and where it is as somebody told some other time."""
    from napari_globalxai.runs.opened.model_place import why_no_model

    why = why_no_model(run, named)
    known = moved_to(run.record.model.sha256)
    if why and named is None and known is not None and not why_no_model(run, known):
        return "", known
    return why, None


class MovedModel(QWidget):
    """Appears where the model of the run on show cannot be loaded from where the run says.

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
    runner : JobRunner
        Looks at the model that is named.
    said : QLabel
        What is wrong.
    field : PathField
        Where the model is now.
    button : QPushButton
        Takes it, if it is the same.
    """

    def __init__(self, panel: Panel, viewer: Any, session: Session) -> None:
        super().__init__()
        self._session = session
        self.runner: JobRunner = runner_of(viewer, "Looking at a model")
        self.said = text_label()
        self.said.setAccessibleName("What is wrong with the run's model")
        suffixes = " ".join(f"*{each}" for each in MODEL_SUFFIXES)
        self.field = PathField("Choose the run's model", f"Models ({suffixes});;All files (*)")
        self.field.takes = lambda path: recognise(path) is Recognised.MODEL
        self.button = tipped_button(
            "Use this model", "Load it, and take it if it is the one that the run was made with"
        )
        self.job_bar = JobBar(self.runner)
        self._looks = LatestOnly(self)
        form = FormRows()
        form.form.addRow("Model", self.field)
        box = in_column(self)
        box.addWidget(self.said)
        box.addWidget(form)
        box.addWidget(self.button)
        box.addWidget(self.job_bar)
        self.button.clicked.connect(self.use)
        self._looks.ready.connect(self._on_looked)
        self.runner.started.connect(self._on_changed)
        self.runner.finished.connect(self._on_changed)
        panel.follow(session.view_changed, self._on_view)
        panel.follow(session.moved, self.look)
        self.hide()
        self.look()

    def watch(self, runner: JobRunner) -> None:
        """Look again where work failed that needs the model."""
        runner.failed.connect(self.look)

    def look(self, *what: object) -> None:
        """Find out whether the model is there, in the background."""
        run = self._session.run
        if run is not None:
            named = self._session.model_of(run)
            self._looks.request(run, lambda: _find(run, named))

    def use(self) -> None:
        """Take the model that is named, if it is the run's."""
        run, model, session = self._session.run, self.field.path, self._session
        if run is None or self.runner.is_running:
            return
        if model is None:
            self.job_bar.say("Choose the model.")
            self.field.setFocus()
            return

        def take(model: Path) -> None:
            remember_moved(run.record.model.sha256, model)
            session.name_model(run, model)

        trusted = session.trusted_model
        trust = trusted is not None and os.path.realpath(trusted) == os.path.realpath(model)
        self.runner.run(proving(run, model, trust), then=take)

    def _on_view(self, view: object) -> None:
        self.hide()
        self.field.path = None
        self.job_bar.say("")
        self.look()

    def _on_changed(self) -> None:
        self.button.setEnabled(not self.runner.is_running)

    def _on_looked(self, run: Run, found: tuple[str, Path | None]) -> None:
        why, known = found
        if run is not self._session.run:
            return
        if known is not None:
            self._session.name_model(run, known)
        if why:
            self.said.setText(f"⚠ {in_panel_words(why)} Without it, nothing can be predicted anew.")
        else:
            self.job_bar.say("")
        self.setVisible(bool(why))
