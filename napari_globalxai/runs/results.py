"""Write what a run came to: global maps, and the table of images."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import tifffile

from napari_globalxai.cohort.table import Cohort
from napari_globalxai.frame.stack import AlignedStack
from napari_globalxai.maps.moments import Moments
from napari_globalxai.maps.store import AttributionStore
from napari_globalxai.models.classifier import Classifier
from napari_globalxai.progress import Progress, ProgressCallback
from napari_globalxai.runs.folder import file_stem
from napari_globalxai.settings.aggregation_settings import AggregationSettings
from napari_globalxai.statistics.global_map import OVERALL, GlobalMap, label_map, overall_map
from napari_globalxai.storage import atomic_path


def write_maps(
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
    """Make the global maps and write them with their table; see `explain` for what goes in."""
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
    """Write a float32 map (height, width), or planes of one as pages, atomically."""
    with atomic_path(path) as temporary:
        tifffile.imwrite(temporary, np.asarray(image, np.float32), photometric="minisblack")


def write_images(
    folder: Path,
    cohort: Cohort,
    stack: AlignedStack,
    model: Classifier,
    truth: npt.NDArray[np.float64],
    probability: npt.NDArray[np.float64],
    logits: npt.NDArray[np.float32],
    similarity: Mapping[str, npt.NDArray[np.float64]],
) -> None:
    """Write ``images.csv``, a row for each image of the cohort, whether it was explained or not."""
    facts, errors = stack.facts(), stack.status()
    known = [facts.get(row, {}) for row in range(len(cohort))]
    columns: dict[str, Any] = {
        "file": cohort.names,
        "path": [str(path.absolute()) for path in cohort.files],
        # A side that the table lacks may have been found in the file.
        "laterality": [
            each.get("laterality", side)
            for each, side in zip(known, cohort.laterality, strict=True)
        ],
        "laterality_source": [
            each.get("laterality_source", source)
            for each, source in zip(known, cohort.laterality_source, strict=True)
        ],
        "patient": cohort.patients,
    }
    if any("registered" in each for each in known):
        columns["registered"] = [each.get("registered") for each in known]
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
