"""A sentence that PEPPR tests the run's own maps, while other maps are on show."""

from __future__ import annotations

from typing import Any

from qtpy.QtWidgets import QLabel

from napari_globalxai.widgets.fields.parts import text_label
from napari_globalxai.widgets.session.session import Session
from napari_globalxai.widgets.words.plain_labels import plain
from napari_globalxai.widgets.workbench.panel import Panel

_WORDS = (
    "The maps on show are others: {title}. PEPPR tests the run's own, of all images. To test "
    "others, keep them by “Of which images” in “Global explanations”, and choose their files in "
    "“Compare maps, test regions, as published”."
)


def make_whole_run_note(panel: Panel, session: Session) -> QLabel:
    """Return the sentence, which is there while maps of a selection are on show.

    Parameters
    ----------
    panel : Panel
        The panel.
    session : Session
        What the viewer works on.
    """
    note = _Note(session)
    panel.follow(session.choice_changed, note.on_choice)
    return note.label


class _Note:
    """Keeps a label in step with a session."""

    def __init__(self, session: Session) -> None:
        self.label = text_label()
        self.label.setAccessibleName("What is tested")
        # The label keeps what keeps it, as the session knows its method weakly.
        self.label.note = self  # type: ignore[attr-defined]
        self.on_choice(session.choice)

    def on_choice(self, choice: Any) -> None:
        """Tell of other maps."""
        self.label.setText(plain(_WORDS.format(title=choice.title)))
        self.label.setVisible(not choice.is_own)
