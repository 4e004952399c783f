"""What is on show: a header that every panel of a run has."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

from qtpy.QtWidgets import QLabel

from napari_globalxai.widgets.fields.wrapped import tip_lines
from napari_globalxai.widgets.session.session import Session
from napari_globalxai.widgets.words.plain_labels import plain
from napari_globalxai.widgets.words.table_words import local_time
from napari_globalxai.widgets.workbench.following_label import Said, following_label

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

    def say(view: Any) -> Said:
        if view is None:
            return Said(without)
        return Said(f"Shown: {identity_of(view.run)}", tip_lines(plain(str(view.run.folder))))

    return following_label(panel, "Run on show", session.view_changed, say, session.view)
