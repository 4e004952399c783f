"""Write what a run came to: global maps, and the table of images."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import tifffile

from napari_globalxai.cohort.table import Cohort
from napari_globalxai.frame.stack import AlignedStack
from napari_globalxai.runs import tables
from napari_globalxai.runs.folder import IMAGES_TABLE, MAPS_FOLDER, file_stem
from napari_globalxai.settings.aggregation_settings import AggregationSettings
from napari_globalxai.statistics.global_map import OVERALL, GlobalMap, overall_map
from napari_globalxai.storage import atomic_path


def write_maps(
    folder: Path,
    maps: Sequence[GlobalMap],
    members: Mapping[str, npt.NDArray[np.int64]],
    patients: Sequence[str],
    settings: AggregationSettings,
) -> None:
    """Write label-wise maps, the overall map made of them, and their table.

    Parameters
    ----------
    folder : pathlib.Path
        The run folder.
    maps : sequence of GlobalMap
        The label-wise maps.
    members : mapping of str to numpy.ndarray
        Rows that entered each of them.
    patients : sequence of str
        Patient of every image of the cohort.
    settings : AggregationSettings
        How they were made.
    """
    overall = overall_map({image.label: image.mean for image in maps})
    write_tiff(folder / MAPS_FOLDER / f"{OVERALL}.tif", overall)
    for image in maps:
        write_tiff(folder / MAPS_FOLDER / f"{file_stem(image.label)}.tif", image.mean)
        write_tiff(folder / MAPS_FOLDER / f"{file_stem(image.label)}.sd.tif", image.sd)
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
    with atomic_path(folder / MAPS_FOLDER / "maps.csv") as path:
        pd.DataFrame(rows_of_table).to_csv(path, index=False)


def write_tiff(path: Path, image: npt.NDArray[np.floating]) -> None:
    """Write a float32 map (height, width), or planes of one as pages, atomically."""
    with atomic_path(path) as temporary:
        tifffile.imwrite(temporary, np.asarray(image, np.float32), photometric="minisblack")


@dataclass(frozen=True)
class Predictions:
    """What is known of the images of a run beside how they were aligned.

    Attributes
    ----------
    labels : tuple of str
        All labels of the model.
    truth, probability, logits : numpy.ndarray
        (image, label); NaN where unknown or not predicted.
    similarity : mapping of str to numpy.ndarray
        By explained label, one value an image.
    """

    labels: tuple[str, ...]
    truth: npt.NDArray[np.float64]
    probability: npt.NDArray[np.float64]
    logits: npt.NDArray[np.float32]
    similarity: Mapping[str, npt.NDArray[np.float64]]


def write_explained_images(
    folder: Path, cohort: Cohort, stack: AlignedStack, predictions: Predictions
) -> None:
    """Write ``images.csv``, a row for each image of the cohort, whether it was explained or not.

    Parameters
    ----------
    folder : pathlib.Path
        The run folder.
    cohort : Cohort
        The images; all columns of its table are kept.
    stack : AlignedStack
        How they were aligned.
    predictions : Predictions
        Truth, predictions and similarities.
    """
    facts, errors = stack.facts(), stack.status()
    known = [facts.get(row, {}) for row in range(len(cohort))]
    columns: dict[str, Any] = {
        tables.FILE: cohort.names,
        tables.PATH: [str(path.absolute()) for path in cohort.files],
        # A side that the table lacks may have been found in the file.
        tables.LATERALITY: [
            each.get("laterality", side)
            for each, side in zip(known, cohort.laterality, strict=True)
        ],
        tables.LATERALITY_SOURCE: [
            each.get("laterality_source", source)
            for each, source in zip(known, cohort.laterality_source, strict=True)
        ],
        tables.PATIENT: cohort.patients,
    }
    if any("registered" in each for each in known):
        columns[tables.REGISTERED] = [each.get("registered") for each in known]
    for index, label in enumerate(predictions.labels):
        columns[tables.truth_column(label)] = pd.array(
            [None if np.isnan(value) else int(value) for value in predictions.truth[:, index]],
            dtype="Int8",
        )
    for index, label in enumerate(predictions.labels):
        columns[tables.probability_column(label)] = predictions.probability[:, index]
    for index, label in enumerate(predictions.labels):
        columns[tables.logit_column(label)] = predictions.logits[:, index]
    for label, values in predictions.similarity.items():
        columns[tables.similarity_column(label)] = values
    messages = [errors.get(row, "") for row in range(len(cohort))]
    columns[tables.STATUS] = [tables.FAILED if message else tables.OK for message in messages]
    columns[tables.ERROR] = messages
    tables.write_images(folder / IMAGES_TABLE, tables.with_table_columns(columns, cohort.table))
