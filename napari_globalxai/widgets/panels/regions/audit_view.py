"""Findings of a run: of its audit, started here, or what stands out before one was made."""

from typing import Any

from qtpy.QtWidgets import QWidget

from napari_globalxai.widgets.fields.layouts import in_column
from napari_globalxai.widgets.fields.parts import (
    JobBar,
    flowing,
    heading,
    text_label,
    tipped_button,
)
from napari_globalxai.widgets.jobs.workers import JobRunner, LatestOnly
from napari_globalxai.widgets.panels.regions.findings_view import (
    FindingsTable,
    ShownFinding,
    audit_run,
    has_audit,
)
from napari_globalxai.widgets.panels.regions.first_sight import known_findings
from napari_globalxai.widgets.session.session import Session
from napari_globalxai.widgets.session.viewer_jobs import runner_of
from napari_globalxai.widgets.workbench.panel import Panel

_NOTHING_FOUND = "The audit found nothing that needs a look."
_NOTHING_YET = "No place beyond the picture stands out. “Audit” searches everywhere."


class AuditView(QWidget):
    """Lists what was found in a run, and searches it.

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
        Runs the audit.
    table : FindingsTable
        What was found; a click shows it.
    said : QLabel
        That nothing was found.
    button : QPushButton
        Starts the audit.
    """

    def __init__(self, panel: Panel, viewer: Any, session: Session) -> None:
        super().__init__()
        self._session = session
        self.runner: JobRunner = runner_of(viewer, "Auditing a run")
        self.table = FindingsTable()
        self.said = text_label()
        self.said.setAccessibleName("Whether anything was found")
        self.button = tipped_button(
            "Audit", "Search the run for shortcuts: places, subgroups and clusters; takes a while"
        )
        self.job_bar = JobBar(self.runner)
        self._listed = LatestOnly(self)
        box = in_column(self, spacing=8)
        box.addWidget(flowing(heading("Findings"), self.button))
        box.addWidget(self.job_bar)
        box.addWidget(self.said)
        box.addWidget(self.table)
        self.button.clicked.connect(self.audit)
        self.runner.succeeded.connect(self._on_audited)
        self._listed.ready.connect(self._on_listed)
        self._listed.failed.connect(self.job_bar.say)
        panel.follow(session.view_changed, self._on_view)
        self._on_view(session.view)

    def audit(self) -> None:
        """Search the run for shortcuts, and list what was found."""
        run = self._session.run
        if run is not None and not self.runner.is_running:
            use = self._session.use_of_model(run)
            self.runner.run(lambda progress: (run, audit_run(run, use, progress)))

    def _on_view(self, view: object) -> None:
        run = self._session.run
        self.button.setEnabled(run is not None)
        self._show([], "")
        if run is not None:
            self._listed.request(run, lambda: (has_audit(run), known_findings(run)))

    def _on_audited(self, found: Any) -> None:
        run, findings = found
        self.job_bar.say("")
        self._on_listed(run, (True, findings))
        if run is self._session.run:
            self._session.answered.emit()

    def _on_listed(self, run: Any, found: tuple[bool, list[ShownFinding]]) -> None:
        was_audited, findings = found
        if run is self._session.run:
            self._show(findings, _NOTHING_FOUND if was_audited else _NOTHING_YET)

    def _show(self, findings: list[ShownFinding], without: str) -> None:
        """List what was found, or say that there is nothing: an empty table says neither."""
        self.table.show_findings(findings)
        self.table.setVisible(bool(findings))
        self.said.setText(without)
        self.said.setVisible(not findings and bool(without))
