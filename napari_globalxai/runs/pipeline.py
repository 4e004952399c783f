"""The main job: from a cohort and a model to global maps in a run folder."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from pydantic import ValidationError

from napari_globalxai.attribution.engine import attribute_stack
from napari_globalxai.attribution.method import Method, make_method
from napari_globalxai.attribution.precision import (
    Precision,
    choose_batch_size,
    choose_precision,
)
from napari_globalxai.cohort.table import Cohort, read_cohort
from napari_globalxai.errors import InputError
from napari_globalxai.frame.alignment import align
from napari_globalxai.frame.modality import modality_of
from napari_globalxai.frame.reuse import open_reusable
from napari_globalxai.frame.stack import AlignedStack
from napari_globalxai.maps.store import AttributionStore
from napari_globalxai.maps.upsampling import cells_inside
from napari_globalxai.models.classifier import Classifier
from napari_globalxai.models.loaders import load_model
from napari_globalxai.progress import Progress, ProgressCallback, ignore_progress
from napari_globalxai.runs import provenance
from napari_globalxai.runs.align_cohort import alignment_warnings
from napari_globalxai.runs.claim import claim_folder, without_circumstances
from napari_globalxai.runs.folder import RUN_FILE, STACK_FOLDER, file_stem
from napari_globalxai.runs.results import write_images, write_maps
from napari_globalxai.runs.run import Run
from napari_globalxai.settings.aggregation_settings import AggregationSettings
from napari_globalxai.settings.declared import Size
from napari_globalxai.settings.frame_settings import FrameSettings
from napari_globalxai.statistics.global_map import OVERALL, GlobalMap
from napari_globalxai.statistics.selection import select_rows
from napari_globalxai.statistics.similarity import spearman_to_global
from napari_globalxai.statistics.streaming import FullResolutionMaps
from napari_globalxai.storage import hash_value, write_json


def explain(
    cohort: Cohort | str | Path,
    model: Classifier | str | Path,
    out: str | Path,
    method: str = "grad-cam",
    *,
    labels: Sequence[str] | None = None,
    method_settings: Mapping[str, Any] | None = None,
    aggregation: Mapping[str, Any] | None = None,
    valid_share: float = 0.5,
    batch_size: int | None = None,
    pooling: int = 1,
    registration: str = "none",
    estimate_laterality: bool = False,
    template: str | Path | None = None,
    aligned: str | Path | None = None,
    seed: int = 0,
    resume: bool = False,
    trust: bool = False,
    cam_layer: str | None = None,
    progress: ProgressCallback = ignore_progress,
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
    method : str, optional
        Name of the attribution method.
    labels : sequence of str, optional
        Labels to explain; by default those of the model that the cohort knows.
    method_settings : mapping, optional
        Parameters of the method.
    aggregation : mapping, optional
        Fields of `AggregationSettings` that differ from the method's defaults.
    valid_share : float, optional
        Share of the cohort whose field of view must hold a pixel for it to be valid.
    batch_size : int, optional
        Images a forward; by default as many as are fastest and fit into memory.
    pooling : int, optional
        Pixel-level maps are averaged over squares of this side before they are stored, to save
        room; global maps keep the full resolution.
    registration : str, optional
        How images are moved onto the cohort's atlas: ``none``, ``landmarks``, ``similarity`` or
        ``affine``.
    estimate_laterality : bool, optional
        Whether sides that neither table, DICOM nor file name tell are estimated from the image.
    template : str or pathlib.Path, optional
        An image of the cohort's kind that the others are moved onto; by default the landmarks of
        all are moved to their median place.
    aligned : str or pathlib.Path, optional
        Folder of an alignment, a quality control or another run with the same frame, whose aligned
        images are taken over.
    seed : int, optional
        Of everything random.
    resume : bool, optional
        Go on with a run that was stopped, or whose table has got more rows at its end; nothing
        finished is computed again.
    trust, cam_layer : optional
        As for `load_model`, where the model is loaded here.
    progress : callable, optional
        Receives `Progress`; may raise `Cancelled`, after which the run can be resumed.

    Returns
    -------
    Run

    Raises
    ------
    InputError
        When an input cannot be used. Single images that fail do not raise: they are listed in
        ``images.csv`` with their error.
    """
    folder = Path(out)
    if isinstance(cohort, str | Path):
        cohort = read_cohort(cohort)
    progress(Progress("Loading the model", 0, 1))
    if isinstance(model, str | Path):
        model = load_model(model, trust=trust, cam_layer=cam_layer)
    if batch_size is not None:
        # Refuses what is no number of images before they are aligned.
        model = model.working_with(images_a_forward=batch_size)
    progress(Progress("Loading the model", 1, 1))
    chosen = _choose_labels(cohort, model, labels)
    maker = make_method(method, **dict(method_settings or {}))
    settings = _aggregation_settings(maker, aggregation)
    frame = FrameSettings(
        size=Size(model.frame_shape),
        channels=tuple(model.card.input.channels),
        registration=registration,
        estimate_laterality=estimate_laterality,
        template=Path(template) if template else None,
    )
    info: dict[str, Any] = {
        "status": "running",
        "started": provenance.now(),
        **provenance.environment(model),
        "cohort": provenance.describe_cohort(cohort),
        "model": provenance.describe_model(model),
        "frame": {"height": frame.height, "width": frame.width, "channels": list(frame.channels)},
        "settings": {
            "method": {"name": maker.name, **maker.settings.model_dump()},
            "labels": list(chosen),
            "aggregation": settings.model_dump(),
            "valid_share": valid_share,
            "precision": model.precision,
            "batch_size": batch_size,
            "pooling": pooling,
            "registration": registration,
            "estimate_laterality": estimate_laterality,
            # Of all of these, and of what the template shows.
            "alignment": frame.key,
            "seed": seed,
        },
    }
    if maker.needs_split:
        # A network that cannot be split fails here, before any image was read.
        maker.grid(model)
        info["model"]["cam_layer"] = model.split.layer
    grid = maker.grid(model)
    if pooling > 1 and not grid.is_frame:
        raise InputError(
            f"The maps of {maker.name} have {grid.shape[0]} × {grid.shape[1]} cells; only maps "
            "with a value a pixel are pooled."
        )
    reuse = None if aligned is None else Path(aligned) / STACK_FOLDER
    if reuse is not None:
        open_reusable(reuse, frame)
    before = claim_folder(folder, info, cohort, resume)
    stack = align(cohort, frame, folder / STACK_FOLDER, progress, reuse=reuse)
    errors = stack.status()
    rows = [row for row in range(len(cohort)) if not errors.get(row)]
    if not rows:
        raise InputError(
            f"{cohort.source}: none of the {len(cohort)} images could be read; the first: "
            f"{errors[0]}"
        )
    progress(Progress("Choosing number format and batch size", 0, 1))
    worker = _choose_arithmetic(model, maker, chosen, stack, rows, batch_size, before, info)
    write_json(folder / RUN_FILE, info)
    progress(Progress("Choosing number format and batch size", 1, 1))
    fingerprint = hash_value(
        [
            without_circumstances(info["model"]),
            info["settings"]["method"],
            list(chosen),
            info["frame"],
            worker.precision,
            pooling,
            frame.key,
        ]
    )
    truth = cohort.truth(model.labels)
    full = (
        FullResolutionMaps(
            chosen, grid.shape, truth[:, [model.labels.index(label) for label in chosen]], settings
        )
        if pooling > 1
        else None
    )
    store, logits = attribute_stack(
        stack,
        rows,
        worker,
        maker,
        chosen,
        folder / "attributions.zarr",
        fingerprint,
        pooling=pooling,
        observer=full,
        progress=progress,
    )
    probability = model.probabilities(logits)
    members = {
        label: select_rows(truth[:, index], probability[:, index], settings)
        for label in chosen
        for index in [model.labels.index(label)]
    }
    coverage = stack.coverage(rows)
    moments = None if full is None else full.moments(members)
    maps = write_maps(
        folder, store, members, moments, cohort.patients, settings, coverage, seed, progress
    )
    inside = cells_inside(coverage >= valid_share, store.grid)
    similarity = {}
    for number, label in enumerate(chosen):
        progress(Progress("Comparing images with their global maps", number, len(chosen)))
        values = np.full(len(cohort), np.nan)
        values[rows] = spearman_to_global(
            store, label, np.asarray(rows), members[label], inside, settings
        )
        similarity[label] = values
    write_images(folder, cohort, stack, model, truth, probability, logits, similarity)
    info["counts"] = {
        "images": len(cohort),
        "explained": len(rows),
        "failed": len(cohort) - len(rows),
        "constant_maps": {image.label: image.n_constant for image in maps},
    }
    info["warnings"] = [
        *_warnings(cohort, model, chosen, maps, settings, store),
        *alignment_warnings(
            frame, stack, modality_of(model.card.modality, cohort.guesses["laterality"])
        ),
    ]
    if full is not None and moments is None:
        info["warnings"].append(
            f"Truth or images have changed since the maps were made, so the global maps come from "
            f"the stored maps, pooled by {pooling}; explain into another folder for all details."
        )
    info["status"] = "finished"
    info["finished"] = provenance.now()
    write_json(folder / RUN_FILE, info)
    progress(Progress("Comparing images with their global maps", len(chosen), len(chosen)))
    return Run(folder, model)


def _choose_labels(
    cohort: Cohort, model: Classifier, labels: Sequence[str] | None
) -> tuple[str, ...]:
    truth = cohort.truth(model.labels)
    known = [
        label for index, label in enumerate(model.labels) if np.isfinite(truth[:, index]).any()
    ]
    if labels is None:
        chosen = known
    else:
        by_name = {label.casefold(): label for label in model.labels}
        unknown = [label for label in labels if label.casefold() not in by_name]
        if unknown:
            raise InputError(
                f"The model has no label {unknown[0]!r}; its labels are {', '.join(model.labels)}."
            )
        chosen = [by_name[label.casefold()] for label in labels]
    if not chosen:
        raise InputError("No label was chosen.")
    chosen = list(dict.fromkeys(chosen))
    taken = {OVERALL}
    for label in chosen:
        # Each label has a map and an SD; some file systems do not tell upper from lower case.
        files = {file_stem(f"{label}{kind}").casefold() for kind in ("", ".sd")}
        if files & taken:
            raise InputError(f"The label name {label!r} is taken by a file of the run folder.")
        taken |= files
    return tuple(chosen)


def _aggregation_settings(method: Method, changes: Mapping[str, Any] | None) -> AggregationSettings:
    values = {"part": method.default_part, "smoothing": method.default_smoothing}
    try:
        return AggregationSettings.model_validate({**values, **dict(changes or {})})
    except ValidationError as why:
        first = why.errors()[0]
        raise InputError(f"aggregation setting {first['loc'][0]}: {first['msg']}.") from why


def _choose_arithmetic(
    model: Classifier,
    method: Method,
    labels: Sequence[str],
    stack: AlignedStack,
    rows: Sequence[int],
    batch_size: int | None,
    before: Mapping[str, Any] | None,
    info: dict[str, Any],
) -> Classifier:
    """Return the model at the precision and batch size to explain with, and note them.

    A run that is gone on with keeps what it began with, so that it ends with the same bits.
    """
    earlier = before if before is not None and "precision_reason" in before else None
    if model.precision != "auto":
        precision = Precision(model.precision, "as asked")
    elif earlier is not None:
        precision = Precision(earlier["precision"], earlier["precision_reason"])
    else:
        some = [rows[index] for index in np.linspace(0, len(rows) - 1, 4).astype(int)]
        indices = [model.labels.index(label) for label in labels]
        precision = choose_precision(model, method, stack.read(some), indices, len(rows))
    if batch_size is None and earlier is not None:
        batch_size = earlier["settings"]["batch_size"]
    worker = model.working_with(precision=precision.name)
    if batch_size is None:
        batch_size = choose_batch_size(worker)
    info["precision"], info["precision_reason"] = precision.name, precision.reason
    info["settings"]["batch_size"] = batch_size
    return worker.working_with(images_a_forward=batch_size)


def _warnings(
    cohort: Cohort,
    model: Classifier,
    labels: Sequence[str],
    maps: Sequence[GlobalMap],
    settings: AggregationSettings,
    store: AttributionStore,
) -> list[str]:
    warnings = [*cohort.warnings, *model.warnings]
    missing = [label for label in model.labels if label not in labels]
    if missing:
        warnings.append(f"Not explained: {', '.join(missing)}.")
    warnings += [
        f"{image.label}: {message}."
        for image in maps
        if (message := image.warning(settings.fewest_images))
    ]
    if not store.grid.measured:
        warnings.append(
            "The centres of the CAM cells could not be measured on this network; they are assumed "
            "to tile the image evenly, which can shift maps by half a cell."
        )
    return warnings
