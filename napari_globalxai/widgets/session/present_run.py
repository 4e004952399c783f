"""Work on a run ends when the run's folder goes: its results would lie where nobody looks."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from napari_globalxai.addresses import is_remote
from napari_globalxai.errors import InputError
from napari_globalxai.progress import Progress, ProgressCallback
from napari_globalxai.runs.record import has_record
from napari_globalxai.storage import check_writable

if TYPE_CHECKING:
    from napari_globalxai.runs.run import Run


def check_present(run: Run) -> None:
    """Refuse to write into a run that was moved or deleted.

    Raises
    ------
    InputError
        When its folder is no run any more.
    """
    if not has_record(run.folder):
        raise InputError(f"{run.folder}: is not there any more; open the run where it lies now.")


def check_takes(run: Run) -> None:
    """Refuse to write into a run that is gone, or that nothing can be written into.

    Raises
    ------
    InputError
        When its folder is no run any more, or read-only.
    """
    check_present(run)
    check_writable(run.folder, "copy the run to a folder that you may write to, and open it there")


@contextmanager
def telling_if_gone(run: Run) -> Iterator[None]:
    """Say that a run has gone where its files cannot be read, rather than what they lack."""
    try:
        yield
    except InputError:
        if not is_remote(run.folder):
            check_present(run)
        raise


def while_present(run: Run, progress: ProgressCallback) -> ProgressCallback:
    """Return a callback that tells of progress, and ends the work once the run is gone.

    Raises
    ------
    InputError
        When nothing can be written into the run to begin with.
    """
    if not is_remote(run.folder):
        check_takes(run)

    def tell(report: Progress) -> None:
        # Each look into a store is a wait of its own.
        if not is_remote(run.folder):
            check_present(run)
        progress(report)

    return tell
