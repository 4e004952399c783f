"""Whether the model of a run is where it should be, found without loading it."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from napari_globalxai.addresses import local_path
from napari_globalxai.errors import InputError
from napari_globalxai.models.card.model_card import read_card
from napari_globalxai.models.files.weights_file import hash_weights

if TYPE_CHECKING:
    from napari_globalxai.runs.run import Run


def why_no_model(run: Run, model: str | Path | None = None) -> str:
    """Return why the model of a run cannot be loaded from its place; empty where nothing is wrong.

    Weights that are older than the run are taken for its own: to read them all takes long, and
    whoever loads them does so anyway.

    Parameters
    ----------
    run : Run
        The run.
    model : str or pathlib.Path, optional
        Where the model is, if not where the run tells.
    """
    source = model or run.record.model.source
    if source is None:
        return f"{run.folder}: does not know its model; name it with --model."
    try:
        path = local_path(source, "the model")
        if not path.exists():
            return f"{path}: the model is not there any more; name it with --model."
        # Of bundles, who loads them tells.
        if path.is_dir() or path.suffix.lower() == ".zip":
            return ""
        card, weights = read_card(path)
    except InputError as why:
        return str(why)
    known = run.record.model
    card = card.model_copy(update={"cam_layer": known.card.cam_layer})
    is_older = weights.stat().st_mtime < datetime.fromisoformat(run.record.started).timestamp()
    digest = known.sha256 if model is None and is_older else hash_weights(weights)
    return "" if known.is_of(digest, card) else not_the_model(run, source)


def not_the_model(run: Run, source: str | Path) -> str:
    """Return the sentence of a model that is another one than the run's."""
    return f"{source}: is not the model that {run.folder} was made with."
