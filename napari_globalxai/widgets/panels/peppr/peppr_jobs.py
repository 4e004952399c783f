"""What the panel of PEPPR has done in workers, as functions of what was chosen."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from napari_globalxai.progress import ProgressCallback
from napari_globalxai.settings.execution_settings import DeviceSettings, WorkerSettings
from napari_globalxai.settings.peppr_question import PAPER, PepprQuestion
from napari_globalxai.settings.peppr_settings import PepprSettings
from napari_globalxai.widgets.jobs.warm_up import import_models
from napari_globalxai.widgets.jobs.workers import Work
from napari_globalxai.widgets.session.present_run import check_present, while_present
from napari_globalxai.widgets.session.session import OVERALL

if TYPE_CHECKING:
    from napari_globalxai.faithfulness.predictions.watching import Watcher
    from napari_globalxai.faithfulness.result import PepprResult
    from napari_globalxai.runs.run import Run
    from napari_globalxai.widgets.panels.peppr.peppr_question_form import Place
    from napari_globalxai.widgets.session.session import ModelUse


def testing(
    run: Run,
    name: str,
    settings: PepprSettings,
    computing: DeviceSettings,
    workers: WorkerSettings,
    use: ModelUse,
    watcher: Watcher,
) -> Work:
    """Return what tests a map of a run, or goes on with it, while somebody looks on."""

    def work(progress: ProgressCallback) -> PepprResult:
        import_models()
        from napari_globalxai.faithfulness.predictions.watching import watched_by
        from napari_globalxai.runs.peppr.evaluate import peppr

        with watched_by(watcher):
            return peppr(
                run,
                name,
                settings,
                device=computing.device,
                batch_size=computing.batch_size,
                workers=workers,
                model=use.model,
                trust=use.trust,
                progress=while_present(run, progress),
            )

    return work


def testing_images(
    run: Run,
    name: str,
    settings: PepprSettings,
    computing: DeviceSettings,
    workers: WorkerSettings,
    use: ModelUse,
) -> Work:
    """Return what tests images along their own maps: those that carry the map's label, or any."""

    def work(progress: ProgressCallback) -> Run:
        import_models()
        from napari_globalxai.runs.peppr.evaluate_otherwise import peppr_images

        peppr_images(
            run,
            name,
            settings,
            device=computing.device,
            batch_size=computing.batch_size,
            workers=workers,
            model=use.model,
            trust=use.trust,
            progress=while_present(run, progress),
        )
        return run

    return work


@dataclass(frozen=True)
class Answered:
    """What PEPPR answered to a question.

    Attributes
    ----------
    run : Run
        The run, which holds the answer.
    part : str
        Which of the further results it is.
    sentences : tuple of str
        What it comes to, without full stops.
    """

    run: Run
    part: str
    sentences: tuple[str, ...]


def answering(
    run: Run,
    question: PepprQuestion,
    place: Place | None,
    settings: PepprSettings,
    computing: DeviceSettings,
    workers: WorkerSettings,
    use: ModelUse,
    watcher: Watcher,
) -> Work:
    """Return what compares maps, tests regions or runs as published, while somebody looks on.

    As the command does; a place that is no file yet is kept in the run as a region first.
    """

    def work(progress: ProgressCallback) -> Answered:
        # Before a region of it is looked for, or kept where the run lay.
        check_present(run)
        import_models()
        how = {
            "device": computing.device,
            "batch_size": computing.batch_size,
            "workers": workers,
            "model": use.model,
            "trust": use.trust,
            "progress": while_present(run, progress),
        }
        from napari_globalxai.faithfulness.predictions.watching import watched_by

        with watched_by(watcher):
            if question.protocol == PAPER:
                return _as_published(run, settings, how)
            if question.regions is not None:
                return _of_regions(run, question, place, settings, how)
            return _compared(run, question, settings, how)

    return work


def _as_published(run: Run, settings: PepprSettings, how: dict[str, Any]) -> Answered:
    from napari_globalxai.runs.peppr.evaluate_otherwise import peppr_as_published

    result = peppr_as_published(run, settings, **how)
    return Answered(run, "published", result.sentences)


def _of_regions(
    run: Run,
    question: PepprQuestion,
    place: Place | None,
    settings: PepprSettings,
    how: dict[str, Any],
) -> Answered:
    from napari_globalxai.faithfulness.questions.stored_regions import ALONE, ERASE
    from napari_globalxai.runs.peppr.evaluate_regions import peppr_regions
    from napari_globalxai.widgets.panels.regions.region_view import keep_region

    file = question.regions if place is None else keep_region(run, place.name, place.region, [], {})
    results = peppr_regions(run, str(file), question.one_map, settings, **how)
    alone = [
        row for result in results for row in result.rows if (row.ranked, row.arm) == (ALONE, ERASE)
    ]
    sentences = [row.sentence for row in alone]
    if len({row.region for row in alone}) == 1:
        # By its file, as in the tables.
        sentences = [row.sentence.replace(row.region, Path(str(file)).stem) for row in alone]
    return Answered(run, "regions", tuple(sentences))


def _compared(
    run: Run, question: PepprQuestion, settings: PepprSettings, how: dict[str, Any]
) -> Answered:
    from napari_globalxai.report.comparison_figure import write_comparison_figure
    from napari_globalxai.runs.peppr.compare_maps import compare_maps

    maps = question.maps or (OVERALL,)
    result = compare_maps(run, maps, settings, against=question.against, **how)
    write_comparison_figure(run.folder, [asdict(each) for each in result.maps])
    return Answered(run, "pairs", tuple(each.sentence for each in result.pairs))
