"""What the panel of global maps has done in workers, as functions of what was chosen."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from napari_globalxai.progress import Progress, ProgressCallback
from napari_globalxai.settings.cohort_settings import CohortSettings
from napari_globalxai.settings.explain_settings import ExplainSettings
from napari_globalxai.widgets.jobs.warm_up import import_models, keep_out
from napari_globalxai.widgets.jobs.workers import Work
from napari_globalxai.widgets.panels.cohort_and_model.check_view import Checked
from napari_globalxai.widgets.session.present_run import while_present
from napari_globalxai.widgets.session.run_view import RunView, read_view

if TYPE_CHECKING:
    from napari_globalxai.cohort.table import Cohort
    from napari_globalxai.runs.run import Run


def reading(table: Path, settings: CohortSettings) -> Cohort:
    """Read a cohort. To be called in a worker."""
    from napari_globalxai.cohort.table import read_cohort

    return read_cohort(table, settings)


def explaining(
    table: Path,
    read: CohortSettings,
    model: Path,
    out: Path,
    settings: ExplainSettings,
    trust: bool,
) -> Work:
    """Return what explains a cohort, or goes on with it, and reads what the viewer shows."""

    def work(progress: ProgressCallback) -> RunView:
        import_models()
        from napari_globalxai.runs.pipeline import explain

        told = _keeping_out(progress)
        run = explain(
            reading(table, read), model, out, settings, resume=True, trust=trust, progress=told
        )
        return read_view(run, progress)

    return work


def _keeping_out(progress: ProgressCallback) -> ProgressCallback:
    """Keep what a model imports as it is tried out of the search for cycles, before maps grow."""
    is_out = False

    def told(step: Progress) -> None:
        nonlocal is_out
        if not is_out and step.stage.startswith("Explaining"):
            is_out = True
            keep_out()
        progress(step)

    return told


def checking(
    table: Path, read: CohortSettings, model: Path | None, settings: ExplainSettings, trust: bool
) -> Work:
    """Return what lists what would go wrong."""

    def work(progress: ProgressCallback) -> Checked:
        import_models()
        from napari_globalxai.runs.inputs.check import check_inputs

        found = check_inputs(reading(table, read), model, settings, trust=trust, progress=progress)
        return found.facts, found.refusals, found.others

    return work


def reporting(run: Run) -> Work:
    """Return what draws a run's figures and writes its report."""

    def work(progress: ProgressCallback) -> Path:
        from napari_globalxai.report.html import write_report

        return write_report(run, progress=while_present(run, progress))

    return work
