"""The main job: from a cohort and a model to global maps in a run folder."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from napari_globalxai.addresses import place
from napari_globalxai.cohort.table import Cohort, read_cohort
from napari_globalxai.execution.dask_workers import RESUME, check_workers, open_workers
from napari_globalxai.models.classifier import Classifier
from napari_globalxai.models.loaders import OtherModelError, load_model
from napari_globalxai.progress import JobProgress, ProgressCallback, ignore_progress
from napari_globalxai.runs.claim import made_with_another, recorded_weights, refuse_taken
from napari_globalxai.runs.inputs.table_reading import gone_on_with
from napari_globalxai.runs.plan import plan_run
from napari_globalxai.runs.run import Run
from napari_globalxai.runs.stages import EFFORTS
from napari_globalxai.runs.turns import writing_throughout
from napari_globalxai.settings.cohort_settings import CohortSettings
from napari_globalxai.settings.explain_settings import ExplainSettings


def explain(
    cohort: Cohort | str | Path,
    model: Classifier | str | Path,
    out: str | Path,
    settings: ExplainSettings | str | None = None,
    *,
    aligned: str | Path | None = None,
    resume: bool = False,
    trust: bool = False,
    progress: ProgressCallback = ignore_progress,
    **keywords: Any,
) -> Run:
    """Explain a cohort: align, predict, attribute, aggregate.

    Parameters
    ----------
    cohort : Cohort, str or pathlib.Path
        The cohort or its table.
    model : Classifier, str or pathlib.Path
        The model, its card or its weights.
    out : str or pathlib.Path
        The run folder to make.
    settings : ExplainSettings or str, optional
        What is chosen; a text is the name of the attribution method.
    aligned : str or pathlib.Path, optional
        Folder of an alignment, a quality control or another run with the same frame, whose aligned
        images are taken over.
    resume : bool, optional
        Go on with a run that was stopped, or whose table has got more rows at its end; nothing
        finished is computed again. A table given by its path is read as it was.
    trust : bool, optional
        As for `load_model`, where the model is loaded here.
    progress : callable, optional
        Receives `Progress`; may raise `Cancelled`, after which the run can be resumed.
    **keywords
        Fields of `ExplainSettings`, in place of those of `settings`; device, number format and CAM
        layer count where the model is loaded here.

    Returns
    -------
    Run

    Raises
    ------
    InputError
        When an input cannot be used. Single images that fail do not raise: they are listed in
        ``images.csv`` with their error.
    """
    if isinstance(settings, str):
        settings, keywords = None, {"method": settings, **keywords}
    chosen = ExplainSettings.of(settings, keywords)
    folder = place(out)
    if isinstance(cohort, str | Path):
        reading = CohortSettings()
        cohort = read_cohort(cohort, gone_on_with(folder, reading) if resume else reading)
    if not resume:
        refuse_taken(folder)
    check_workers(chosen)
    told = JobProgress(progress, EFFORTS)
    if isinstance(model, str | Path):
        try:
            model = load_model(
                model,
                device=chosen.device,
                precision=chosen.precision,
                trust=trust,
                cam_layer=chosen.cam_layer,
                sha256=recorded_weights(folder) if resume else None,
                progress=told,
            )
        except OtherModelError as why:
            raise made_with_another(folder, "model") from why
    plan = plan_run(cohort, model, folder, chosen, None if aligned is None else place(aligned))
    with writing_throughout(folder), open_workers(chosen, told, RESUME) as workers:
        aligned_images = plan.align(resume=resume, progress=told, workers=workers)
        attributed = aligned_images.attribute(told, workers)
        return attributed.aggregate(told).write()
