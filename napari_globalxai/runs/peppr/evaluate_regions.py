"""Keeping and erasing regions of a run's frame."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from napari_globalxai.addresses import local_file
from napari_globalxai.errors import InputError
from napari_globalxai.faithfulness.predictions.drawn_images import on_drawn_images
from napari_globalxai.faithfulness.questions.region_tests import RegionResult, run_regions
from napari_globalxai.faithfulness.questions.stored_regions import RegionTest, stored_tests
from napari_globalxai.images.regions_file import read_regions
from napari_globalxai.progress import JobProgress, ProgressCallback, ignore_progress
from napari_globalxai.runs.folder import PEPPR_FOLDER
from napari_globalxai.runs.peppr.evaluate import controls_of, make_evaluation
from napari_globalxai.runs.peppr.spreading import passes_elsewhere
from napari_globalxai.runs.run import Run, open_run
from napari_globalxai.runs.turns import made_aside, writing
from napari_globalxai.settings.execution_settings import WorkerSettings
from napari_globalxai.settings.peppr_settings import PepprSettings
from napari_globalxai.statistics.global_map import OVERALL
from napari_globalxai.storage import hash_file


def peppr_regions(
    run: Run | str | Path,
    regions: str | Path,
    map: str | None = None,
    settings: PepprSettings | None = None,
    *,
    model: str | Path | None = None,
    device: str = "auto",
    trust: bool = False,
    batch_size: int | None = None,
    workers: WorkerSettings | int | None = None,
    progress: ProgressCallback = ignore_progress,
    **keywords: Any,
) -> list[RegionResult]:
    """Keep and erase whole regions, each alone and ranked by their share of the map.

    Parameters
    ----------
    run : Run, str or pathlib.Path
        The run or its folder.
    regions : str or pathlib.Path
        A labels image of the frame's size, or its address: TIFF, PNG, npy or NIfTI.
    map : str, optional
        A label, to test that one; by default all labels of the run, each ranked by its own map.
    settings : PepprSettings, optional
        What is chosen; fill, images and seed count.
    model, device, trust, batch_size, workers, progress, **keywords
        As for `peppr`.

    Returns
    -------
    list of RegionResult
        One a fill; kept in the run as ``peppr/regions.csv`` and ``.json``, beside those of other
        files; what was known of this file is replaced.

    Raises
    ------
    InputError
        When the file, the map or the model cannot be used.
    """
    chosen = PepprSettings.of(settings, keywords)
    if not isinstance(run, Run):
        run = open_run(run)
    if map is not None and map not in run.maps:
        raise InputError(f"{map}: is no map of the run, but {', '.join(run.maps)} are.")
    labels = run.labels if map in (None, OVERALL) else (str(map),)
    with local_file(regions) as file:
        found, sha256 = read_regions(file, run.stack.shape), hash_file(file)
    told = JobProgress(progress)
    classifier = run.classifier(device=device, model=model, trust=trust)
    results = []
    with passes_elsewhere(workers, run.folder / PEPPR_FOLDER, told) as elsewhere:
        for fill in chosen.fills:
            evaluation = make_evaluation(
                run,
                fill=fill,
                batch_size=batch_size,
                classifier=classifier,
                judged=labels,
                seed=chosen.seed,
                elsewhere=elsewhere,
            )
            result = run_regions(
                on_drawn_images(evaluation, chosen.most_images, chosen.seed),
                found,
                {label: run.maps[label] for label in labels},
                PepprSettings.of(chosen, {"fill": fill}),
                cache=controls_of(run),
                progress=told,
            )
            result.settings.update({"file": str(regions), "file_sha256": sha256})
            with (
                writing(run.folder),
                made_aside(run.folder, PEPPR_FOLDER, whole=False) as aside,
            ):
                result.save(aside, _kept_of(run, result))
            results.append(result)
    return results


def _kept_of(run: Run, result: RegionResult) -> list[RegionTest]:
    """Return what the run holds of other regions with that fill; nothing of a damaged file."""
    path = run.folder / PEPPR_FOLDER / f"{result.stem}.json"
    try:
        return stored_tests(path) if path.is_file() else []
    except InputError:
        return []
