"""PEPPR on a run: which map, which images, where the results go."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from napari_globalxai.addresses import place
from napari_globalxai.attribution.precision import choose_batch_size
from napari_globalxai.execution.dask_workers import SAME_AGAIN, check_workers
from napari_globalxai.faithfulness.evaluation import Evaluation
from napari_globalxai.faithfulness.fills.fill_agreement import fill_agreement
from napari_globalxai.faithfulness.fills.fill_kinds import fit_fill
from napari_globalxai.faithfulness.folds import CROSS_FITTED
from napari_globalxai.faithfulness.orders.controls import COMPARING, stage_of
from napari_globalxai.faithfulness.orders.remade_maps import REMAKING
from napari_globalxai.faithfulness.peppr import ALONG, run_peppr
from napari_globalxai.faithfulness.predictions.drawn_images import on_drawn_images
from napari_globalxai.faithfulness.predictions.passes import PassRunner
from napari_globalxai.faithfulness.result import PepprResult
from napari_globalxai.faithfulness.stored_results import fill_stem
from napari_globalxai.models.classifier import Classifier
from napari_globalxai.progress import JobProgress, ProgressCallback, ignore_progress
from napari_globalxai.runs.folder import PEPPR_FOLDER
from napari_globalxai.runs.peppr.fill_fitting import fitting_of, share_of_fields
from napari_globalxai.runs.peppr.peppr_verdicts import write_verdicts
from napari_globalxai.runs.peppr.random_rival import EXPLAINING, RandomRival, random_rival
from napari_globalxai.runs.peppr.spreading import passes_elsewhere
from napari_globalxai.runs.peppr.tested_maps import TestedMap, find_map, fold_maps, maps_of_all
from napari_globalxai.runs.run import Run, open_run
from napari_globalxai.runs.turns import check_within, made_aside
from napari_globalxai.settings.execution_settings import WorkerSettings
from napari_globalxai.settings.peppr_settings import PepprSettings
from napari_globalxai.statistics.global_map import OVERALL
from napari_globalxai.storage import check_writable, hash_value

# Orders that clear cases take: for the remaining time, until they are counted.
_LIKELY = {"shifted": 19, "surrogate": 48}
_SIMPLE = 10
_EXPLAINING_EFFORT = 3.0
_CONTROLS = "controls"


def controls_of(run: Run) -> Path:
    """Return where a run keeps predictions along orders, which stopped work goes on from.

    Raises
    ------
    InputError
        When a link leads out of the run's folder.
    """
    check_within(run.folder, PEPPR_FOLDER)
    return run.folder / PEPPR_FOLDER / _CONTROLS


def peppr(
    run: Run | str | Path,
    map: str = OVERALL,
    settings: PepprSettings | None = None,
    *,
    map_from: Run | str | Path | None = None,
    model: str | Path | None = None,
    device: str = "auto",
    trust: bool = False,
    batch_size: int | None = None,
    out: str | Path | None = None,
    workers: WorkerSettings | int | None = None,
    progress: ProgressCallback = ignore_progress,
    **keywords: Any,
) -> PepprResult:
    """Test whether a global map is faithful to the model, and keep the result in the run.

    Where there are enough patients, each is tested along a map of the others (cross-fitting).

    Parameters
    ----------
    run : Run, str or pathlib.Path
        The run or its folder.
    map : str, optional
        ``overall``, a label, or a TIFF file with a map of the frame's size.
    settings : PepprSettings, optional
        What is chosen.
    map_from : Run, str or pathlib.Path, optional
        Another run, whose map of that name is tested on the images of this one.
    model : str or pathlib.Path, optional
        Where the model is, if it has moved since.
    device, batch_size : optional
        As in `DeviceSettings`.
    trust : bool, optional
        As for `load_model`, where the model is not loaded yet.
    out : str or pathlib.Path, optional
        Folder to keep the result in, under ``peppr/``, in place of the run's.
    workers : WorkerSettings or int, optional
        Processes that share the work, or how many; by default this one does it. The bits are the
        same.
    progress : callable, optional
        Receives `Progress`; may raise `Cancelled`. What was predicted by then is kept.
    **keywords
        Fields of `PepprSettings`, in place of those of `settings`.

    Returns
    -------
    PepprResult
        With several fills, that of the first; it tells whether all agree, and the others lie beside
        it in the run.

    Raises
    ------
    InputError
        When the map, the model or a setting cannot be used, or nothing can be written there.
    """
    chosen = PepprSettings.of(settings, keywords)
    if not isinstance(run, Run):
        run = open_run(run)
    kept = (run.folder if out is None else place(out)) / PEPPR_FOLDER
    check_writable(kept, "give another folder with --out (out in Python)")
    check_within(kept.parent, PEPPR_FOLDER)
    found = find_map(run, map, map_from, judge_labels=chosen.judge_labels)
    check_workers(workers)
    told = JobProgress(progress, _efforts_of_all(chosen))
    classifier = run.classifier(device=device, model=model, trust=trust, progress=told)
    with passes_elsewhere(workers, kept, told, SAME_AGAIN) as elsewhere:
        how = {"batch_size": batch_size, "classifier": classifier, "elsewhere": elsewhere}
        results = {
            fill: _along(
                run,
                found,
                PepprSettings.of(chosen, {"fill": fill}),
                how,
                kept / _CONTROLS,
                stages_of(told, before_fill(fill, chosen)),
            )
            for fill in chosen.fills
        }
    agreement = fill_agreement(results) if len(results) > 1 else {}
    with made_aside(kept.parent, PEPPR_FOLDER, whole=False) as aside:
        for result in results.values():
            result.settings["valid_share"] = share_of_fields(run, valid_share_of(chosen))
            if agreement:
                result.notes["fills"] = agreement
            result.save(aside)
    if out is None:
        write_verdicts(run)
    return next(iter(results.values()))


def _along(
    run: Run,
    found: TestedMap,
    settings: PepprSettings,
    how: dict[str, Any],
    cache: Path,
    progress: ProgressCallback,
) -> PepprResult:
    """Run PEPPR along a map with one fill."""
    by_labels = tuple(label for label in found.judged if label in run.labels)
    evaluation = make_evaluation(
        run,
        fill=str(settings.fill),
        valid_share=valid_share_of(settings),
        judged=by_labels or run.labels,
        seed=settings.seed,
        **how,
    )
    evaluation = replace(
        evaluation, together=tuple(evaluation.classifier.labels.index(each) for each in run.labels)
    )
    evaluated_on, parts = found.evaluated_on, []
    if found.is_own:
        random = _random_rival(run, found, how, settings, cache, progress)
        crossed = fold_maps(run, found, evaluation, settings, random)
        if crossed is None:
            parts = [maps_of_all(run, found, evaluation, settings, random)]
        else:
            evaluation, parts = replace(evaluation, fold_of=crossed[0]), crossed[1]
            evaluated_on = CROSS_FITTED
    # Only now: maps of other patients are of all of them.
    evaluation = on_drawn_images(evaluation, settings.most_images, settings.seed)
    return run_peppr(
        evaluation,
        found.name,
        found.image,
        found.judged,
        settings,
        cache=cache,
        folds=parts,
        evaluated_on=evaluated_on,
        progress=progress,
    )


def _random_rival(
    run: Run,
    found: TestedMap,
    how: dict[str, Any],
    settings: PepprSettings,
    folder: Path,
    progress: ProgressCallback,
) -> RandomRival | None:
    """Return maps of the model with random weights, where they are wanted and can be had."""
    labels = run.labels if found.title == OVERALL else (found.title,)
    if not settings.random_weights or not all(len(run.members(label)) for label in labels):
        return None
    model, batch_size = how["classifier"], how["batch_size"]
    at_once = choose_batch_size(model) if batch_size is None else batch_size
    worker = model.working_with(images_a_forward=at_once)
    return random_rival(run, worker, labels, settings.seed, folder, progress)


def before_fill(fill: str, settings: PepprSettings) -> str:
    """Return what stands before the names of a fill's stages, where there are several."""
    return f"{fill_stem(fill)}: " if len(settings.fills) > 1 else ""


def stages_of(told: ProgressCallback, before: str) -> ProgressCallback:
    """Return a callback that says whose the stages are, by what stands before their names."""
    return lambda progress: told(replace(progress, stage=f"{before}{progress.stage}"))


def _efforts_of_all(settings: PepprSettings) -> dict[str, float]:
    """Return how much work each stage of each fill is likely to be."""
    efforts = {}
    for number, fill in enumerate(settings.fills):
        for stage, effort in _efforts(settings).items():
            # Random weights are explained once.
            if not number or stage != EXPLAINING:
                efforts[f"{before_fill(fill, settings)}{stage}"] = effort
    return efforts


def _efforts(settings: PepprSettings) -> dict[str, float]:
    """Return how much work each stage is likely to be, in steps of one arm."""
    an_order = 2 * (settings.control_steps + settings.control_steps % 2)
    orders = {
        stage_of(name): min(likely if settings.adaptive else settings.controls, settings.controls)
        for name, likely in _LIKELY.items()
    }
    share = 1.0 if settings.judged_up_to > 0.5 else 0.5
    return {
        **({EXPLAINING: _EXPLAINING_EFFORT} if settings.random_weights else {}),
        ALONG: 2.0 * settings.steps,
        # What judges may be evaluated on one side of the middle alone.
        **{stage: an_order * count * share for stage, count in orders.items() if count},
        COMPARING: float(an_order * _SIMPLE),
        **({REMAKING: float(an_order * settings.remade_maps)} if settings.remade_maps else {}),
    }


def make_evaluation(
    run: Run,
    *,
    fill: str = "mean-image",
    valid_share: float | None = None,
    batch_size: int | None = None,
    classifier: Classifier | None = None,
    judged: Sequence[str] | None = None,
    seed: int = 0,
    elsewhere: PassRunner | None = None,
) -> Evaluation:
    """Return what PEPPR evaluates orders on: the finished images of a run.

    Parameters
    ----------
    run : Run
        The run.
    fill : str, optional
        What erased pixels show.
    valid_share, batch_size : optional
        As in `PepprSettings` and `DeviceSettings`.
    classifier : Classifier, optional
        The model, where it is loaded.
    judged : sequence of str, optional
        Labels that a map is judged by, which some fills must be free of; by default all.
    seed : int, optional
        Of a fill's noise.
    elsewhere : PassRunner, optional
        Predicts in place of this process.
    """
    model = classifier or run.classifier()
    at_once = choose_batch_size(model) if batch_size is None else batch_size
    rows = run.finished_rows
    fitting = fitting_of(
        run, model.labels if judged is None else judged, valid_share, model.labels, seed
    )
    return Evaluation(
        classifier=model.working_with(images_a_forward=at_once),
        stack=run.stack,
        rows=rows,
        truth=run.truth(model.labels)[rows],
        patients=tuple(fitting.patients),
        valid=run.coverage >= share_of_fields(run, valid_share),
        fill=fit_fill(fill, run.stack, rows, fitting),
        batch_size=at_once,
        key=hash_value(
            [
                run.record.model.sha256,
                run.record.model.card.model_dump(mode="json"),
                model.precision,
                run.stack.key,
            ]
        ),
        elsewhere=elsewhere,
    )


def valid_share_of(settings: PepprSettings) -> float | None:
    """Return the share of fields of view that must hold a pixel; 0 ranks the whole frame."""
    return 0.0 if settings.area == "frame" else settings.valid_share
