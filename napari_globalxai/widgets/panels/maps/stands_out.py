"""Tells what stands out in the maps on show, and leads to it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from qtpy.QtWidgets import QPushButton, QWidget

from napari_globalxai.widgets.fields.layouts import in_column
from napari_globalxai.widgets.fields.parts import text_label
from napari_globalxai.widgets.jobs.workers import LatestOnly
from napari_globalxai.widgets.panels.regions.findings_view import ShownFinding
from napari_globalxai.widgets.panels.regions.first_sight import known_findings
from napari_globalxai.widgets.session.session import Session, plain_viewer

if TYPE_CHECKING:
    from napari_globalxai.widgets.workbench.panel import Panel


class StandsOut(QWidget):
    """The first finding of the run on show in a sentence, and a button that shows it.

    Parameters
    ----------
    panel : Panel
        The panel that it is a part of.
    viewer : napari.Viewer
        The viewer.
    session : Session
        What the viewer works on.

    Attributes
    ----------
    said : QLabel
        The sentence.
    show_button : QPushButton
        Shows map, image and region of the finding, and opens the list of all.
    """

    def __init__(self, panel: Panel, viewer: Any, session: Session) -> None:
        super().__init__()
        self._viewer, self._session = plain_viewer(viewer), session
        self._first: ShownFinding | None = None
        self._found = LatestOnly(self)
        self._found.ready.connect(self._on_found)
        self.said = text_label()
        self.said.setAccessibleName("What stands out")
        self.show_button = QPushButton("Show finding")
        self.show_button.setToolTip(
            "Show the map, an image and the region of it, and list all findings in “Regions”"
        )
        self.show_button.clicked.connect(self.show_finding)
        box = in_column(self)
        box.addWidget(self.said)
        box.addWidget(self.show_button)
        self.hide()
        panel.follow(session.view_changed, self._on_view)
        # An audit says more than a first look.
        panel.follow(session.answered, self._read)
        if session.view is not None:
            self._on_view(session.view)

    def show_finding(self) -> None:
        """Open the list of findings and show the first."""
        from napari_globalxai.widgets.workbench.open_panels import open_panel

        if self._first is not None:
            open_panel(self._viewer, "Regions").show_finding(self._first)

    def _on_view(self, view: Any) -> None:
        self.hide()
        self._read()

    def _read(self) -> None:
        run = self._session.run
        if run is not None:
            self._found.request(run, lambda: known_findings(run))

    def _on_found(self, run: Any, findings: list[ShownFinding]) -> None:
        if run is not self._session.run:
            return
        self._first = findings[0] if findings else None
        self.setVisible(self._first is not None)
        if self._first is not None:
            more = f" And {len(findings) - 1} more." if len(findings) > 1 else ""
            self.said.setText(f"⚑ {self._first.facts.get('sentence', '')}{more}")
