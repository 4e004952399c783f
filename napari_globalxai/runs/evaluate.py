"""PEPPR on a run: which map, which images, where the results go."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import tifffile
from pydantic import ValidationError

from napari_globalxai.attribution.precision import choose_batch_size
from napari_globalxai.errors import InputError
from napari_globalxai.faithfulness.evaluation import Evaluation
from napari_globalxai.faithfulness.fills import fit_fill
from napari_globalxai.faithfulness.peppr import run_peppr
from napari_globalxai.faithfulness.result import PepprResult
from napari_globalxai.models.classifier import Classifier
from napari_globalxai.progress import Progress, ProgressCallback, ignore_progress
from napari_globalxai.runs.folder import file_stem
from napari_globalxai.runs.run import Run, open_run
from napari_globalxai.settings.peppr_settings import PepprSettings
from napari_globalxai.statistics.global_map import OVERALL
from napari_globalxai.storage import hash_value


def peppr(
    run: Run | str | Path,
    map: str = OVERALL,
    *,
    model: str | Path | None = None,
    device: str = "auto",
    trust: bool = False,
    batch_size: int | None = None,
    valid_share: float | None = None,
    progress: ProgressCallback = ignore_progress,
    **settings: Any,
) -> PepprResult:
    """Test whether a global map is faithful to the model, and keep the result in the run.

    Parameters
    ----------
    run : Run, str or pathlib.Path
        The run or its folder.
    map : str, optional
        ``overall``, a label, or a TIFF file with a map of the frame's size.
    model : str or pathlib.Path, optional
        Where the model is, if it has moved since.
    device : str, optional
        ``auto`` or a torch device.
    trust : bool, optional
        As for `load_model`, where the model is not loaded yet.
    batch_size : int, optional
        Images a forward; by default as many as are fastest and fit into memory.
    valid_share : float, optional
        As for `explain`, whose value is the default; 0 ranks the full frame.
    progress : callable, optional
        Receives `Progress`; may raise `Cancelled`. Controls that were finished are kept.
    **settings
        Fields of `PepprSettings`.

    Returns
    -------
    PepprResult

    Raises
    ------
    InputError
        When the map, the model or a setting cannot be used.
    """
    if not isinstance(run, Run):
        run = open_run(run)
    try:
        chosen = PepprSettings.model_validate(settings)
    except ValidationError as why:
        first = why.errors()[0]
        raise InputError(f"PEPPR setting {first['loc'][0]}: {first['msg']}.") from why
    name, image, judged = _find_map(run, map)
    progress(Progress("Loading the model", 0, 1))
    classifier = run.classifier(device=device, model=model, trust=trust)
    progress(Progress("Loading the model", 1, 1))
    evaluation = make_evaluation(
        run, fill=chosen.fill, valid_share=valid_share, batch_size=batch_size, classifier=classifier
    )
    result = run_peppr(
        evaluation,
        name,
        image,
        judged,
        chosen,
        cache=run.folder / "peppr" / "controls",
        progress=progress,
    )
    result.settings.update(
        {
            "valid_share": _valid_share(run, valid_share),
            # Honest until maps and PEPPR can be given disjoint patients.
            "map_built_on_the_same_images": map in run.maps,
        }
    )
    result.save(run.folder / "peppr")
    return result


def make_evaluation(
    run: Run,
    *,
    fill: str = "mean-image",
    valid_share: float | None = None,
    batch_size: int | None = None,
    classifier: Classifier | None = None,
) -> Evaluation:
    """Return what PEPPR evaluates orders on: the finished images of a run."""
    model = classifier or run.classifier()
    at_once = choose_batch_size(model) if batch_size is None else batch_size
    rows = run.finished_rows
    patients = run.images["patient"].tolist()
    return Evaluation(
        classifier=model.working_with(images_a_forward=at_once),
        stack=run.stack,
        rows=rows,
        truth=run.truth(model.labels)[rows],
        patients=tuple(patients[row] for row in rows),
        valid=run.coverage >= _valid_share(run, valid_share),
        fill=fit_fill(fill, run.stack, rows),
        batch_size=at_once,
        key=hash_value(
            [run.info["model"]["sha256"], run.info["model"]["card"], model.precision, run.stack.key]
        ),
    )


def _valid_share(run: Run, asked: float | None) -> float:
    return float(run.info["settings"]["valid_share"] if asked is None else asked)


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
