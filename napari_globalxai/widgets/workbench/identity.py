"""What is on show: a header that every panel of a run has."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

from qtpy.QtWidgets import QLabel

from napari_globalxai.widgets.fields.parts import text_label
from napari_globalxai.widgets.fields.wrapped import tip_lines
from napari_globalxai.widgets.session.session import Session
from napari_globalxai.widgets.words.plain_labels import plain
from napari_globalxai.widgets.words.table_words import local_time

if TYPE_CHECKING:
    from napari_globalxai.runs.run import Run
    from napari_globalxai.widgets.workbench.panel import Panel

NO_RUN = "No run is on show: compute or open one in “Global explanations”."
NO_RUN_HERE = "No run is on show: “Compute” makes one, “Open run…” shows one made before."


def identity_of(run: "Run") -> str:
    """Return a run in a line: model, method, cohort, images and date."""
    record = run.record
    model = Path(record.model.source).name if record.model.source else record.model.card.name
    finished = local_time(record.finished or record.started)
    facts = [
        model or "model",
        record.settings.method,
        Path(record.cohort.table).name,
        f"{record.counts.explained} of {record.counts.images} images",
        finished,
    ]
    return " · ".join(facts)


def make_header(panel: "Panel", session: Session, without: str = NO_RUN) -> QLabel:
    """Put a header into a panel that always tells what is on show.

    Parameters
    ----------
    panel : Panel
        The panel.
    session : Session
        What the viewer works on.
    without : str, optional
        What it says while no run is on show.
    """
    header = _Identity(session, without)
    panel.follow(session.view_changed, header.on_view)
    return header.label


class _Identity:
    """Keeps a label in step with a session."""

    def __init__(self, session: Session, without: str) -> None:
        self.label = text_label(without)
        self.label.setAccessibleName("Run on show")
        # The label keeps what keeps it, as the session knows its method weakly.
        self.label.identity = self  # type: ignore[attr-defined]
        if session.view is not None:
            self.on_view(session.view)

    def on_view(self, view: Any) -> None:
        """Tell of another run."""
        self.label.setText(f"Shown: {identity_of(view.run)}")
        self.label.setToolTip(tip_lines(plain(str(view.run.folder))))
