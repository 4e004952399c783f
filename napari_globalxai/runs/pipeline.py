"""The main job: from a cohort and a model to global maps in a run folder."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import tifffile
from pydantic import ValidationError

from napari_globalxai.aggregation.global_map import (
    OVERALL,
    AggregationSettings,
    GlobalMap,
    label_map,
    overall_map,
    select_rows,
)
from napari_globalxai.aggregation.moments import Moments
from napari_globalxai.aggregation.similarity import spearman_to_global
from napari_globalxai.aggregation.streaming import FullResolutionMaps
from napari_globalxai.attribution.arithmetic import (
    Precision,
    choose_batch_size,
    choose_precision,
)
from napari_globalxai.attribution.engine import attribute_stack
from napari_globalxai.attribution.method import Method, make_method
from napari_globalxai.attribution.store import AttributionStore
from napari_globalxai.cohort.stack import AlignedStack, FrameSettings, align, continues
from napari_globalxai.cohort.table import Cohort, read_cohort
from napari_globalxai.errors import InputError
from napari_globalxai.models.classifier import Classifier
from napari_globalxai.models.loaders import load_model
from napari_globalxai.models.upsampling import cells_inside
from napari_globalxai.progress import Progress, ProgressCallback, ignore_progress
from napari_globalxai.runs import provenance
from napari_globalxai.runs.run import RUN_FILE, Run, file_stem
from napari_globalxai.storage import atomic_path, hash_value, read_json, write_json


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
    seed: int = 0,
    resume: bool = False,
    trust: bool = False,
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
        Images a forward; by default as many as the memory holds well.
    pooling : int, optional
        Pixel-level maps are averaged over squares of this side before they are stored, to save
        room; global maps keep the full resolution.
    seed : int, optional
        Of everything random.
    resume : bool, optional
        Go on with a run that was stopped, or whose table has got more rows at its end; nothing
        finished is computed again.
    trust : bool, optional
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
        model = load_model(model, trust=trust)
    progress(Progress("Loading the model", 1, 1))
    chosen = _choose_labels(cohort, model, labels)
    maker = make_method(method, **dict(method_settings or {}))
    settings = _aggregation_settings(maker, aggregation)
    frame = FrameSettings(*model.frame_shape, tuple(model.card.input.channels))
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
    before = _claim(folder, info, cohort, resume)
    stack = align(cohort, frame, folder / "aligned.zarr", progress)
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
            _without(info["model"]),
            info["settings"]["method"],
            list(chosen),
            info["frame"],
            worker.precision,
            pooling,
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
    maps = _write_maps(
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
    _write_images(folder, cohort, model, truth, probability, logits, similarity, errors)
    info["counts"] = {
        "images": len(cohort),
        "explained": len(rows),
        "failed": len(cohort) - len(rows),
        "constant_maps": {image.label: image.n_constant for image in maps},
    }
    info["warnings"] = _warnings(cohort, model, chosen, maps, settings, store)
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


def _claim(
    folder: Path, info: dict[str, Any], cohort: Cohort, resume: bool
) -> dict[str, Any] | None:
    """Take the run folder, or refuse: results of two runs are never mixed.

    Returns the provenance of the run that is gone on with, if any.
    """
    path = folder / RUN_FILE
    before: dict[str, Any] | None = None
    if path.is_file():
        if not resume:
            raise InputError(
                f"{folder}: holds a run already; use --resume to go on, or choose another folder."
            )
        before = read_json(path)
        assert before is not None
        for key in ("settings", "model", "frame"):
            if _without(before.get(key)) != _without(info[key]):
                raise InputError(
                    f"{folder}: its run was made with another {key}; choose another folder."
                )
        _check_cohort(folder, before["cohort"], info["cohort"], cohort)
    elif folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise InputError(f"{folder}: is not empty and not a run; choose another folder.")
    write_json(path, info)
    return before


def _check_cohort(
    folder: Path, before: Mapping[str, Any], now: Mapping[str, Any], cohort: Cohort
) -> None:
    """Refuse another cohort; put by what was computed on fewer images of a grown one."""
    if before["sha256"] == now["sha256"] and before["columns"] == now["columns"]:
        return
    if before["columns"] != now["columns"] or not continues(cohort, folder / "aligned.zarr"):
        raise InputError(
            f"{folder}: its run was made with another cohort; only rows at the end of its table "
            "may be new. Choose another folder."
        )
    results = folder / "peppr"
    if results.exists():
        results.rename(_unused(folder / f"peppr-of-{before['images']}-images"))


def _unused(path: Path) -> Path:
    """Return a path that does not exist, by a number at its end if need be."""
    candidates = (path.with_name(f"{path.name}-{number}") for number in range(2, 10_000))
    return next(found for found in (path, *candidates) if not found.exists())


def _without(value: Any) -> Any:
    """Leave out what may differ between equal runs: where files lie, how it was computed."""
    if isinstance(value, dict):
        skipped = ("batch_size", "precision", "source", "table", "trusted", "warnings")
        return {key: _without(item) for key, item in value.items() if key not in skipped}
    return list(value) if isinstance(value, tuple) else value


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
    batch_size = batch_size or choose_batch_size(model)
    info["precision"], info["precision_reason"] = precision.name, precision.reason
    info["settings"]["batch_size"] = batch_size
    return model.working_with(precision=precision.name, images_a_forward=batch_size)


def _write_maps(
    folder: Path,
    store: AttributionStore,
    members: Mapping[str, npt.NDArray[np.int64]],
    moments: Mapping[str, Moments] | None,
    patients: Sequence[str],
    settings: AggregationSettings,
    coverage: npt.NDArray[np.float32],
    seed: int,
    progress: ProgressCallback,
) -> list[GlobalMap]:
    maps = []
    for number, (label, rows) in enumerate(members.items()):
        progress(Progress("Averaging maps", number, len(members)))
        own = None if moments is None else moments[label]
        maps.append(label_map(store, label, rows, patients, settings, seed, own))
    overall = overall_map({image.label: image.mean for image in maps})
    write_tiff(folder / "coverage.tif", coverage)
    write_tiff(folder / "maps" / f"{OVERALL}.tif", overall)
    for image in maps:
        write_tiff(folder / "maps" / f"{file_stem(image.label)}.tif", image.mean)
        write_tiff(folder / "maps" / f"{file_stem(image.label)}.sd.tif", image.sd)
    chosen = settings.model_dump(include={"selection", "part", "scale", "smoothing"})
    rows_of_table: list[dict[str, Any]] = [
        {
            "map": OVERALL,
            "n": len(np.unique(np.concatenate(list(members.values())))),
            "n_patients": len({patients[row] for rows in members.values() for row in rows}),
            "n_constant": sum(image.n_constant for image in maps),
            "reliability": float("nan"),
            **chosen,
            "warning": "",
        }
    ]
    rows_of_table += [
        {
            "map": image.label,
            "n": image.n,
            "n_patients": image.n_patients,
            "n_constant": image.n_constant,
            "reliability": image.reliability,
            **chosen,
            "warning": image.warning(settings.fewest_images),
        }
        for image in maps
    ]
    with atomic_path(folder / "maps" / "maps.csv") as path:
        pd.DataFrame(rows_of_table).to_csv(path, index=False)
    progress(Progress("Averaging maps", len(members), len(members)))
    return maps


def write_tiff(path: Path, image: npt.NDArray[np.floating]) -> None:
    """Write a float32 map, atomically."""
    with atomic_path(path) as temporary:
        tifffile.imwrite(temporary, np.asarray(image, np.float32))


def _write_images(
    folder: Path,
    cohort: Cohort,
    model: Classifier,
    truth: npt.NDArray[np.float64],
    probability: npt.NDArray[np.float64],
    logits: npt.NDArray[np.float32],
    similarity: Mapping[str, npt.NDArray[np.float64]],
    errors: Mapping[int, str],
) -> None:
    columns: dict[str, Any] = {
        "file": cohort.names,
        "path": [str(path.absolute()) for path in cohort.files],
        "laterality": cohort.laterality,
        "patient": cohort.patients,
    }
    for index, label in enumerate(model.labels):
        columns[label] = pd.array(
            [None if np.isnan(value) else int(value) for value in truth[:, index]], dtype="Int8"
        )
    for index, label in enumerate(model.labels):
        columns[f"probability_{label}"] = probability[:, index]
    for index, label in enumerate(model.labels):
        columns[f"logit_{label}"] = logits[:, index]
    for label, values in similarity.items():
        columns[f"similarity_{label}"] = values
    messages = [errors.get(row, "") for row in range(len(cohort))]
    columns["status"] = ["failed" if message else "ok" for message in messages]
    columns["error"] = messages
    with atomic_path(folder / "images.csv") as path:
        pd.DataFrame(columns).to_csv(path, index_label="row")


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
