"""Workers for what predicts along orders: opened for a call, and what they share cleared away."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from napari_globalxai.addresses import remove_tree
from napari_globalxai.execution.dask_workers import AGAIN, open_workers
from napari_globalxai.faithfulness.predictions.passes import PassRunner
from napari_globalxai.progress import ProgressCallback
from napari_globalxai.settings.execution_settings import WorkerSettings

_SHARED_FOLDER = "for-workers"


@contextmanager
def passes_elsewhere(
    workers: WorkerSettings | int | None,
    folder: Path,
    progress: ProgressCallback,
    go_on: str = AGAIN,
) -> Iterator[PassRunner | None]:
    """Give what predicts on workers; None where this process does.

    Parameters
    ----------
    workers : WorkerSettings or int, optional
        How many, or where they are.
    folder : pathlib.Path
        Where the results go; the files that workers share lie there meanwhile.
    progress : callable
        Told where the workers can be watched.
    go_on : str, optional
        What to do where they are gone meanwhile, see `Workers`.
    """
    with open_workers(workers, progress, go_on) as processes:
        if processes is None:
            yield None
            return
        from napari_globalxai.faithfulness.predictions.spread_passes import SpreadPasses

        shared = folder / _SHARED_FOLDER
        try:
            yield SpreadPasses(processes, shared)
        finally:
            remove_tree(shared)
