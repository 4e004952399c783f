"""PEPPR on a run: which map, which images, where the results go."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import tifffile

from napari_globalxai.attribution.precision import choose_batch_size
from napari_globalxai.errors import InputError
from napari_globalxai.faithfulness.evaluation import Evaluation
from napari_globalxai.faithfulness.fill_agreement import fill_agreement
from napari_globalxai.faithfulness.fills import fit_fill
from napari_globalxai.faithfulness.peppr import run_peppr
from napari_globalxai.faithfulness.result import PepprResult
from napari_globalxai.models.classifier import Classifier
from napari_globalxai.progress import JobProgress, Progress, ProgressCallback, ignore_progress
from napari_globalxai.runs.fill_fitting import fitting_of, share_of_fields
from napari_globalxai.runs.folder import PEPPR_FOLDER, file_stem
from napari_globalxai.runs.run import Run, open_run
from napari_globalxai.settings.peppr_settings import PepprSettings
from napari_globalxai.statistics.global_map import OVERALL
from napari_globalxai.storage import check_writable, hash_value


def peppr(
    run: Run | str | Path,
    map: str = OVERALL,
    settings: PepprSettings | None = None,
    *,
    model: str | Path | None = None,
    device: str = "auto",
    trust: bool = False,
    batch_size: int | None = None,
    out: str | Path | None = None,
    progress: ProgressCallback = ignore_progress,
    **keywords: Any,
) -> PepprResult:
    """Test whether a global map is faithful to the model, and keep the result in the run.

    Parameters
    ----------
    run : Run, str or pathlib.Path
        The run or its folder.
    map : str, optional
        ``overall``, a label, or a TIFF file with a map of the frame's size.
    settings : PepprSettings, optional
        What is chosen.
    model : str or pathlib.Path, optional
        Where the model is, if it has moved since.
    device, batch_size : optional
        As in `DeviceSettings`.
    trust : bool, optional
        As for `load_model`, where the model is not loaded yet.
    out : str or pathlib.Path, optional
        Folder to keep the result in, under ``peppr/``, in place of the run's.
    progress : callable, optional
        Receives `Progress`; may raise `Cancelled`. Controls that were finished are kept.
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
    kept = (run.folder if out is None else Path(out)) / PEPPR_FOLDER
    check_writable(kept, "give another folder with --out (out in Python)")
    name, image, judged = _find_map(run, map)
    told = JobProgress(progress)
    told(Progress("Loading the model", 0, 1))
    classifier = run.classifier(device=device, model=model, trust=trust)
    told(Progress("Loading the model", 1, 1))
    results = {}
    for fill in chosen.fills:
        settings = PepprSettings.of(chosen, {"fill": fill})
        evaluation = make_evaluation(
            run,
            fill=fill,
            valid_share=valid_share_of(settings),
            batch_size=batch_size,
            classifier=classifier,
            judged=judged,
            seed=settings.seed,
        )
        results[fill] = run_peppr(
            evaluation,
            name,
            image,
            judged,
            settings,
            cache=kept / "controls",
            progress=told,
        )
    agreement = fill_agreement(results) if len(results) > 1 else {}
    for result in results.values():
        result.settings.update(
            {
                "valid_share": share_of_fields(run, valid_share_of(chosen)),
                # Honest until maps and PEPPR can be given disjoint patients.
                "map_built_on_the_same_images": map in run.maps,
            }
        )
        if agreement:
            result.notes["fills"] = agreement
        result.save(kept)
    return next(iter(results.values()))


def make_evaluation(
    run: Run,
    *,
    fill: str = "mean-image",
    valid_share: float | None = None,
    batch_size: int | None = None,
    classifier: Classifier | None = None,
    judged: Sequence[str] | None = None,
    seed: int = 0,
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
    )


def valid_share_of(settings: PepprSettings) -> float | None:
    """Return the share of fields of view that must hold a pixel; 0 ranks the whole frame."""
    return 0.0 if settings.area == "frame" else settings.valid_share


def _find_map(run: Run, name: str) -> tuple[str, npt.NDArray[np.float32], tuple[str, ...]]:
    """Return a map's file name, the map, and the labels it is judged by."""
    if name in run.maps:
        return file_stem(name), run.maps[name], run.labels if name == OVERALL else (name,)
    path = Path(name)
    if not path.is_file():
        raise InputError(
            f"{name}: is neither a map of the run ({', '.join(run.maps)}) nor a TIFF file."
        )
    try:
        image = np.asarray(tifffile.imread(path), dtype=np.float32)
    except (tifffile.TiffFileError, ValueError) as why:
        raise InputError(f"{path}: cannot be read as a TIFF file ({why}).") from why
    if image.ndim != 2:
        raise InputError(f"{path}: a map is one grey image, this has shape {image.shape}.")
    stem = file_stem(path.stem)
    if stem in {file_stem(own) for own in run.maps}:
        # A file must not take the place of the run's own result.
        stem = f"file-{stem}"
    return stem, image, run.labels
