"""Other questions to PEPPR on a run: images one by one, the published protocol."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from napari_globalxai.errors import InputError
from napari_globalxai.faithfulness.evaluation import Evaluation
from napari_globalxai.faithfulness.predictions.drawn_images import on_drawn_images
from napari_globalxai.faithfulness.questions.paper_protocol import PaperResult, run_paper
from napari_globalxai.faithfulness.questions.per_image import (
    PerImageResult,
    run_per_image,
    save_per_image,
)
from napari_globalxai.progress import JobProgress, ProgressCallback, ignore_progress
from napari_globalxai.runs.folder import PEPPR_FOLDER, file_stem
from napari_globalxai.runs.peppr.evaluate import (
    before_fill,
    controls_of,
    make_evaluation,
    stages_of,
    valid_share_of,
)
from napari_globalxai.runs.peppr.spreading import passes_elsewhere
from napari_globalxai.runs.run import Run, open_run
from napari_globalxai.runs.tables import FILE
from napari_globalxai.runs.turns import made_aside
from napari_globalxai.settings.execution_settings import WorkerSettings
from napari_globalxai.settings.peppr_settings import PepprSettings
from napari_globalxai.statistics.global_map import OVERALL
from napari_globalxai.storage import hash_value


class OwnMaps:
    """The maps of single images for a label; other processes read them from the run folder.

    Parameters
    ----------
    run : Run, str or pathlib.Path
        The run or its folder.
    label : str
        The label.
    """

    def __init__(self, run: Run | str | Path, label: str) -> None:
        self._run = run if isinstance(run, Run) else open_run(run)
        self._label = label

    def __call__(self, row: int) -> npt.NDArray[np.float32]:
        """Return the map of a row of the cohort, (height, width)."""
        return self._run.image_map(row, self._label)

    def __reduce__(self) -> tuple[type[OwnMaps], tuple[Path, str]]:
        return OwnMaps, (self._run.folder.absolute(), self._label)


def peppr_images(
    run: Run | str | Path,
    map: str = OVERALL,
    settings: PepprSettings | None = None,
    *,
    model: str | Path | None = None,
    device: str = "auto",
    trust: bool = False,
    batch_size: int | None = None,
    workers: WorkerSettings | int | None = None,
    progress: ProgressCallback = ignore_progress,
    **keywords: Any,
) -> list[PerImageResult]:
    """Erase and restore each image along its own map: another question than the cohort's.

    Parameters
    ----------
    run : Run, str or pathlib.Path
        The run or its folder.
    map : str, optional
        A label, or ``overall`` for all of them; of each, the images that carry it are tested.
    settings : PepprSettings, optional
        What is chosen; fills, steps, area, images and seed count.
    model, device, trust, batch_size, workers, **keywords
        As for `peppr`.
    progress : callable, optional
        May raise `Cancelled`. What was predicted by then is kept.

    Returns
    -------
    list of PerImageResult
        One a fill and label; kept in the run as ``peppr/<map>.per-image.csv`` and ``.json``, those
        of another fill than the mean image as ``peppr/<map>.<fill>.per-image.csv`` and ``.json``.
    """
    chosen = PepprSettings.of(settings, keywords)
    run = run if isinstance(run, Run) else open_run(run)
    if map not in run.maps:
        raise InputError(f"{map}: is no map of the run, but {', '.join(run.maps)} are.")
    labels = run.labels if map == OVERALL else (map,)
    told = JobProgress(progress)
    # Each fill's results are written once they are there, whatever becomes of the next.
    results: list[PerImageResult] = []
    for fill in chosen.fills:
        one_fill = PepprSettings.of(chosen, {"fill": fill})
        evaluation = _evaluation(run, labels, one_fill, model, device, trust, batch_size)
        carried = [
            label
            for label in labels
            if (evaluation.truth[:, evaluation.classifier.labels.index(label)] == 1).any()
        ]
        with passes_elsewhere(workers, run.folder / PEPPR_FOLDER, told) as elsewhere:
            spread = replace(evaluation, elsewhere=elsewhere)
            of_fill = [
                run_per_image(
                    spread,
                    label,
                    OwnMaps(run, label),
                    one_fill,
                    cache=controls_of(run),
                    maps_key=_maps_key(run),
                    progress=stages_of(told, before_fill(fill, chosen)),
                )
                for label in carried or labels
            ]
        files = {int(row): str(run.images[FILE].iloc[row]) for row in evaluation.rows}
        with made_aside(run.folder, PEPPR_FOLDER, whole=False) as aside:
            save_per_image(aside, file_stem(map), of_fill, files)
        results += of_fill
    return results


def _maps_key(run: Run) -> str:
    """Return a hash of what the maps of single images depend on, as `Run.image_map` gives them."""
    return hash_value([run.store.fingerprint, run.aggregation.model_dump(mode="json")])


def peppr_as_published(
    run: Run | str | Path,
    settings: PepprSettings | None = None,
    *,
    model: str | Path | None = None,
    device: str = "auto",
    trust: bool = False,
    batch_size: int | None = None,
    workers: WorkerSettings | int | None = None,
    progress: ProgressCallback = ignore_progress,
    **keywords: Any,
) -> PaperResult:
    """Run PEPPR along the overall map as close to its publication as the public sources allow.

    Parameters
    ----------
    run : Run, str or pathlib.Path
        The run or its folder.
    settings : PepprSettings, optional
        What is chosen; the first fill, steps, area, images, bootstrap and seed count.
    model, device, trust, batch_size, workers, progress, **keywords
        As for `peppr`.

    Returns
    -------
    PaperResult
        Kept in the run as ``peppr/overall.paper.csv`` and ``.json``, with what had to be chosen.
    """
    chosen = PepprSettings.of(settings, keywords)
    run = run if isinstance(run, Run) else open_run(run)
    evaluation = _evaluation(run, run.labels, chosen, model, device, trust, batch_size)
    one_fill = PepprSettings.of(chosen, {"fill": chosen.fills[0]})
    told = JobProgress(progress)
    with passes_elsewhere(workers, run.folder / PEPPR_FOLDER, told) as elsewhere:
        spread = replace(evaluation, elsewhere=elsewhere)
        result = run_paper(
            spread,
            OVERALL,
            run.maps[OVERALL],
            one_fill,
            cache=controls_of(run),
            progress=told,
        )
    with made_aside(run.folder, PEPPR_FOLDER, whole=False) as aside:
        result.save(aside)
    return result


def _evaluation(
    run: Run,
    labels: tuple[str, ...],
    settings: PepprSettings,
    model: str | Path | None,
    device: str,
    trust: bool,
    batch_size: int | None,
) -> Evaluation:
    evaluation = make_evaluation(
        run,
        fill=settings.fills[0],
        valid_share=valid_share_of(settings),
        batch_size=batch_size,
        classifier=run.classifier(device=device, model=model, trust=trust),
        judged=labels,
        seed=settings.seed,
    )
    return on_drawn_images(evaluation, settings.most_images, settings.seed)
