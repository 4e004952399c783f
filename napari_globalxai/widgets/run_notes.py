"""What is to be kept in mind of a run: its warnings, and the images that failed."""

from __future__ import annotations

from typing import TYPE_CHECKING

from napari_globalxai.cohort.wording import counted
from napari_globalxai.runs.tables import ERROR, FAILED, STATUS
from napari_globalxai.widgets.panel_words import in_panel_words

if TYPE_CHECKING:
    from napari_globalxai.runs.run import Run

_MOST_FAILURES = 8


def notes_title(run: Run) -> str:
    """Return how many warnings there are, and how many images failed."""
    failed = run.record.counts.failed
    title = f"⚠ {counted(len(run.record.warnings), 'warning')}"
    return f"{title}, {counted(failed, 'failed image')}" if failed else title


def notes_of(run: Run) -> list[str]:
    """Return the warnings and the first of the failed images, a line each."""
    images = run.images
    failed = [str(message) for message in images.loc[images[STATUS] == FAILED, ERROR]]
    lines = [f"⚠ {in_panel_words(warning)}" for warning in run.record.warnings]
    if failed:
        lines.append(f"⚠ {len(failed)} of {len(images)} images failed:")
        lines += [f"• {in_panel_words(message)}" for message in failed[:_MOST_FAILURES]]
        if len(failed) > _MOST_FAILURES:
            lines.append(f"• and {len(failed) - _MOST_FAILURES} more, see images.csv")
    return lines
