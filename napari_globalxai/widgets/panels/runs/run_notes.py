"""What to keep in mind of the run on show: the images that failed, and its warnings."""

from napari_globalxai.runs.tables import ERROR, FAILED, STATUS
from napari_globalxai.widgets.fields.warning_list import WarningList
from napari_globalxai.widgets.session.run_view import RunView

_MOST_FAILURES_SHOWN = 8


class RunNotes(WarningList):
    """Failures and warnings of a run, hidden where there are none."""

    def __init__(self) -> None:
        super().__init__("Warnings of the run")

    def show_run(self, view: RunView) -> None:
        """Show those of a run."""
        images = view.run.images
        failed = [str(message) for message in images.loc[images[STATUS] == FAILED, ERROR]]
        errors = [f"{len(failed)} of {len(images)} images failed."] if failed else []
        told = failed[:_MOST_FAILURES_SHOWN]
        if more := len(failed) - len(told):
            told.append(f"{more} more images failed, see images.csv.")
        self.show_lines(errors, [*told, *view.run.record.warnings])
