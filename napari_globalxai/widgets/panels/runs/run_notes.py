"""What to keep in mind of the run on show: its warnings, and the images that failed."""

from napari_globalxai.cohort.wording import counted
from napari_globalxai.runs.tables import ERROR, FAILED, STATUS
from napari_globalxai.widgets.fields.fold import Fold
from napari_globalxai.widgets.fields.parts import text_label
from napari_globalxai.widgets.session.run_view import RunView
from napari_globalxai.widgets.words.panel_words import in_panel_words

_MOST_FAILURES_SHOWN = 8
# From here on warnings are folded away, so that what is asked for is in view.
_MOST_LINES_UNFOLDED = 4


class RunNotes(Fold):
    """Warnings and failures, folded away where they are many, hidden where there are none.

    Attributes
    ----------
    notes : QLabel
        A line each.
    """

    def __init__(self) -> None:
        super().__init__("")
        self.notes = text_label()
        self.show_content(self.notes)
        self.hide()

    def show_run(self, view: RunView) -> None:
        """Show those of a run."""
        lines = _lines(view)
        self.notes.setText("\n".join(lines))
        failed = view.run.record.counts.failed
        title = f"⚠ {counted(len(view.run.record.warnings), 'warning')}"
        self.set_title(f"{title}, {counted(failed, 'failed image')}" if failed else title)
        self.setVisible(bool(lines))
        if lines and len(lines) <= _MOST_LINES_UNFOLDED:
            self.expand()
        else:
            self.collapse()


def _lines(view: RunView) -> list[str]:
    images = view.run.images
    failed = [str(message) for message in images.loc[images[STATUS] == FAILED, ERROR]]
    lines = [f"⚠ {in_panel_words(warning)}" for warning in view.run.record.warnings]
    if failed:
        lines.append(f"⚠ {len(failed)} of {len(images)} images failed:")
        lines += [f"• {in_panel_words(message)}" for message in failed[:_MOST_FAILURES_SHOWN]]
        if len(failed) > _MOST_FAILURES_SHOWN:
            lines.append(f"• and {len(failed) - _MOST_FAILURES_SHOWN} more, see images.csv")
    return lines
