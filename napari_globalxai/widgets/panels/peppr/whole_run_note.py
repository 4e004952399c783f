"""A sentence that PEPPR tests the run's own maps, while other maps are on show."""

from __future__ import annotations

from qtpy.QtWidgets import QLabel

from napari_globalxai.widgets.fields.wrapped import tip_lines
from napari_globalxai.widgets.session.session import Session
from napari_globalxai.widgets.session.shown_maps import MapChoice
from napari_globalxai.widgets.words.plain_labels import plain
from napari_globalxai.widgets.workbench.following_label import Said, following_label
from napari_globalxai.widgets.workbench.panel import Panel

_WORDS = "The maps on show are others: {title}. PEPPR tests the run's own, of all images."
# In a tooltip, as the curves are to be in view below.
_HOW = (
    "To test others, keep them by “Of which images” in “Global explanations”, and choose their "
    "files in “Compare maps, test regions, as published”."
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
    return following_label(
        panel, "What is tested", session.choice_changed, _say_what, session.choice
    )


def _say_what(choice: MapChoice) -> Said:
    if choice.is_own:
        return Said()
    return Said(plain(_WORDS.format(title=choice.title)), tip_lines(_HOW))
