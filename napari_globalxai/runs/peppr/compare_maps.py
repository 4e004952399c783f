"""Several maps of a run, or of several runs, compared by PEPPR on the same images."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from napari_globalxai.errors import InputError
from napari_globalxai.faithfulness.evaluation import Evaluation
from napari_globalxai.faithfulness.predictions.drawn_images import draw_images
from napari_globalxai.faithfulness.questions.map_comparison import (
    Candidate,
    MapComparison,
    compare_candidates,
)
from napari_globalxai.progress import JobProgress, ProgressCallback, ignore_progress
from napari_globalxai.runs.folder import PEPPR_FOLDER
from napari_globalxai.runs.peppr.evaluate import controls_of, make_evaluation, valid_share_of
from napari_globalxai.runs.peppr.spreading import passes_elsewhere
from napari_globalxai.runs.peppr.tested_maps import TestedMap, find_map
from napari_globalxai.runs.run import Run, open_run
from napari_globalxai.runs.tables import FILE
from napari_globalxai.runs.turns import made_aside
from napari_globalxai.settings.execution_settings import WorkerSettings
from napari_globalxai.settings.peppr_settings import PepprSettings


def compare_maps(
    run: Run | str | Path,
    maps: Sequence[str],
    settings: PepprSettings | None = None,
    *,
    against: Sequence[Run | str | Path] = (),
    model: str | Path | None = None,
    device: str = "auto",
    trust: bool = False,
    batch_size: int | None = None,
    workers: WorkerSettings | int | None = None,
    progress: ProgressCallback = ignore_progress,
    **keywords: Any,
) -> MapComparison:
    """Compare maps, methods, layers or models on the same images, steps and resamples.

    Parameters
    ----------
    run : Run, str or pathlib.Path
        The run or its folder.
    maps : sequence of str
        ``overall``, labels, or TIFF files.
    settings : PepprSettings, optional
        What is chosen; fill, steps, area, images, bootstrap and seed count.
    against : sequence of Run, str or pathlib.Path, optional
        Other runs, whose maps of these names are compared, too. Maps of another method or layer
        are tried on this run's model; those of another model on their own, along the same images.
    model, device, trust, batch_size, workers, progress, **keywords
        As for `peppr`.

    Returns
    -------
    MapComparison
        Kept in the run as ``peppr/compared.csv`` and ``.json``.

    Raises
    ------
    InputError
        When a map or run cannot be used, or the runs share too few images.
    """
    chosen = PepprSettings.of(settings, keywords)
    chosen = PepprSettings.of(chosen, {"fill": chosen.fills[0]})
    first = run if isinstance(run, Run) else open_run(run)
    others = [each if isinstance(each, Run) else open_run(each) for each in against]
    judged = [_found(first, name)[1] for name in maps]
    labels = tuple(dict.fromkeys(label for each in judged for label in each))

    def evaluation_of(other: Run, place: str | Path | None) -> Evaluation:
        return make_evaluation(
            other,
            fill=str(chosen.fill),
            valid_share=valid_share_of(chosen),
            batch_size=batch_size,
            classifier=other.classifier(device=device, model=place, trust=trust),
            judged=labels,
            seed=chosen.seed,
        )

    own = evaluation_of(first, model)
    runs = [(first, own)]
    for other in others:
        same = other.record.model.sha256 == first.record.model.sha256
        runs.append((other, own if same else evaluation_of(other, None)))
    runs = _on_the_same_images(runs, first)
    if 0 < chosen.most_images < len(runs[0][1].rows):
        base = runs[0][1]
        drawn = draw_images(base.patients, base.truth, chosen.most_images, chosen.seed)
        runs = [(each, evaluation.of_images(drawn)) for each, evaluation in runs]
    names = _names([each for each, _ in runs])
    candidates = []
    for place, (each, evaluation) in zip(names, runs, strict=True):
        for name in maps:
            found, of_map = _found(each, name)
            called = f"{place}:{found.name}" if others else found.name
            candidates.append(Candidate(called, found.image, of_map, evaluation))
    told = JobProgress(progress)
    with passes_elsewhere(workers, first.folder / PEPPR_FOLDER, told) as elsewhere:
        spread = [
            replace(each, evaluation=replace(each.evaluation, elsewhere=elsewhere))
            for each in candidates
        ]
        result = compare_candidates(spread, chosen, cache=controls_of(first), progress=told)
    result.settings["runs"] = {
        name: str(each.folder) for name, (each, _) in zip(names, runs, strict=True)
    }
    with made_aside(first.folder, PEPPR_FOLDER, whole=False) as aside:
        result.save(aside)
    return result


def _found(run: Run, name: str) -> tuple[TestedMap, tuple[str, ...]]:
    """Return a map, and the labels along which it is compared: its own, or all of the run."""
    found = find_map(run, name, None, judge_labels=False)
    return found, tuple(label for label in found.judged if label in run.labels) or run.labels


def _names(runs: list[Run]) -> list[str]:
    """Return what runs are called: their folders' names, told apart where those are equal."""
    names = [each.folder.resolve().name for each in runs]
    return [
        name if names.count(name) == 1 else f"{name}-{number}"
        for number, name in enumerate(names, start=1)
    ]


def _on_the_same_images(
    runs: list[tuple[Run, Evaluation]], first: Run
) -> list[tuple[Run, Evaluation]]:
    """Leave in each evaluation the images that all have, in the first one's order."""
    files = [dict(zip(_files(run), run.finished_rows.tolist(), strict=True)) for run, _ in runs]
    common = [file for file in files[0] if all(file in each for each in files)]
    if len(common) < 2:
        raise InputError(
            f"{runs[-1][0].folder}: shares no images with {first.folder}; compare runs of one "
            "cohort."
        )
    matched = []
    base = files[0]
    for (run, evaluation), rows_of in zip(runs, files, strict=True):
        # Another run's maps may be tried on the first one's images.
        own = rows_of if evaluation.stack is run.stack else base
        rows = np.array([own[file] for file in common])
        place = {int(row): at for at, row in enumerate(evaluation.rows)}
        keep = np.array([place[int(row)] for row in rows])
        matched.append((run, evaluation.of_images(keep)))
    return matched


def _files(run: Run) -> list[str]:
    names = run.images[FILE].astype(str)
    return [names.iloc[row] for row in run.finished_rows]
