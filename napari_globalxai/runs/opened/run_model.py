"""The model that a run was made with, loaded again, or refused where it is another one."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from napari_globalxai.errors import InputError
from napari_globalxai.models.classifier import Classifier
from napari_globalxai.models.loaders import OtherModelError, load_model
from napari_globalxai.progress import ProgressCallback, ignore_progress
from napari_globalxai.runs.opened.model_place import not_the_model

if TYPE_CHECKING:
    from napari_globalxai.runs.run import Run


def load_run_model(
    run: Run,
    device: str,
    model: str | Path | None,
    *,
    trust: bool,
    progress: ProgressCallback = ignore_progress,
) -> Classifier:
    """Load the model of a run: `Run.classifier`."""
    known = run.record.model
    source = model or known.source
    if source is None:
        raise InputError(f"{run.folder}: does not know its model; name it with --model.")
    other = InputError(not_the_model(run, source))
    try:
        loaded = load_model(
            source,
            device=device,
            precision=run.record.settings.precision,
            trust=trust,
            cam_layer=known.card.cam_layer,
            sha256=known.sha256,
            progress=progress,
        )
    except OtherModelError as why:
        raise other from why
    if not known.is_of(loaded.digest, loaded.card):
        raise other
    return loaded
