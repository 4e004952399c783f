"""Maps of a selection, kept in the run as `maps --name` keeps them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from qtpy.QtWidgets import QLineEdit, QWidget

from napari_globalxai.errors import InputError
from napari_globalxai.progress import ProgressCallback
from napari_globalxai.statistics.query import parse_query
from napari_globalxai.widgets.fields.layouts import in_column
from napari_globalxai.widgets.fields.parts import JobBar, tipped_button
from napari_globalxai.widgets.fields.settings_form import FormRows
from napari_globalxai.widgets.jobs.warm_up import import_models
from napari_globalxai.widgets.jobs.workers import JobRunner, Work
from napari_globalxai.widgets.session.present_run import while_present
from napari_globalxai.widgets.session.session import Session
from napari_globalxai.widgets.session.shown_maps import MapChoice
from napari_globalxai.widgets.session.viewer_jobs import runner_of
from napari_globalxai.widgets.workbench.panel import Panel

if TYPE_CHECKING:
    from napari_globalxai.runs.run import Run

KEEPING = "Keeping maps"


def keeping(run: Run, name: str, choice: MapChoice) -> Work:
    """Return what keeps the maps of a choice in a run."""

    def work(progress: ProgressCallback) -> str:
        import_models()
        from napari_globalxai.runs.questions.selections import make_maps

        where = None if choice.among is None else choice.among.where
        make_maps(
            run,
            name,
            where=where,
            statistic=choice.statistic,
            progress=while_present(run, progress),
        )
        return name

    return work


class KeepSelection(QWidget):
    """Asks for a name and keeps the maps on show; of a difference, a contrast tells more.

    Parameters
    ----------
    panel : Panel
        The panel that it is a part of.
    viewer : napari.viewer.Viewer
        The viewer, which does the work where the panel is closed meanwhile.
    session : Session
        What the viewer works on.

    Attributes
    ----------
    runner : JobRunner
        Runs the work.
    name_line : QLineEdit
        The name in the run.
    button : QPushButton
        Keeps them.
    """

    def __init__(self, panel: Panel, viewer: Any, session: Session) -> None:
        super().__init__()
        self._session = session
        self.runner: JobRunner = runner_of(viewer, KEEPING)
        self.name_line = QLineEdit()
        self.name_line.setAccessibleName("Name of the selection")
        self.name_line.setPlaceholderText("site-b")
        self.button = tipped_button(
            "Keep in the run", "Write these maps into “selections” of the run, for its report"
        )
        self.job_bar = JobBar(self.runner)
        form = FormRows()
        form.form.addRow("Name", self.name_line)
        box = in_column(self)
        box.addWidget(form)
        box.addWidget(self.button)
        box.addWidget(self.job_bar)
        self.button.clicked.connect(self.keep)
        self.name_line.returnPressed.connect(self.keep)
        self.runner.succeeded.connect(self._on_kept)
        self.runner.finished.connect(self._on_changed)
        panel.follow(session.choice_changed, self._on_changed)
        panel.follow(session.view_changed, self._on_changed)
        self._on_changed()

    def keep(self) -> None:
        """Keep the maps on show under the name."""
        run, choice = self._session.run, self._session.choice
        name = self.name_line.text().strip()
        if run is None or choice.is_own or choice.less is not None or self.runner.is_running:
            return
        if not name:
            self.job_bar.say("Give the selection a name.")
            self.name_line.setFocus()
            return
        try:
            if choice.among is not None:
                parse_query(choice.among.where)
        except InputError:
            self.job_bar.say("Images that no query names cannot be kept; “Save list…” keeps them.")
            return
        answered = self._session.answered
        # Told to all panels, also where this one is closed by then.
        self.runner.run(keeping(run, name, choice), then=lambda name: answered.emit())
        self.button.setEnabled(False)

    def _on_changed(self, *what: object) -> None:
        choice = self._session.choice
        is_kept = self._session.run is not None and not choice.is_own and choice.less is None
        self.button.setEnabled(is_kept and not self.runner.is_running)

    def _on_kept(self, name: str) -> None:
        self.job_bar.say(f"Kept as “{name}”; “What the run was asked” shows it.")
