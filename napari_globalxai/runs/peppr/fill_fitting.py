"""What fills are fitted to, of a run."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from napari_globalxai.faithfulness.fills.fill_kinds import Fitting
from napari_globalxai.runs.tables import PATIENT

if TYPE_CHECKING:
    from napari_globalxai.faithfulness.result import PepprResult
    from napari_globalxai.runs.run import Run


def fitting_of(
    run: Run,
    judged: Sequence[str],
    valid_share: float | None,
    labels: Sequence[str],
    seed: int,
) -> Fitting:
    """Return what fills may be fitted to: the finished images of a run.

    Parameters
    ----------
    run : Run
        The run.
    judged : sequence of str
        Labels that a map is judged by.
    valid_share : float or None
        As in `PepprSettings`.
    labels : sequence of str
        All labels of the model.
    seed : int
        Of a fill's noise.
    """
    rows, patients = run.finished_rows, run.images[PATIENT].tolist()
    return Fitting(
        images=run.stack,
        rows=rows,
        valid=run.coverage >= share_of_fields(run, valid_share),
        truth=run.truth(tuple(labels))[rows],
        patients=tuple(str(patients[row]) for row in rows),
        judged=[list(labels).index(label) for label in judged if label in labels],
        seed=seed,
    )


def share_of_fields(run: Run, asked: float | None) -> float:
    """Return the share of fields of view that must hold a pixel: what is asked, or the run's."""
    return run.record.settings.valid_share if asked is None else asked


def with_fill(run: Run, result: PepprResult) -> PepprResult:
    """Return a stored result with its fill, fitted again where it has to be."""
    if result.fill is not None:
        return result
    settings = result.settings
    fitting = fitting_of(
        run,
        tuple(result.verdict) or result.labels,
        settings.get("valid_share"),
        result.labels,
        int(settings.get("seed", 0)),
    )
    return result.fitted(run.stack, fitting)
