"""Write the table of images of a run."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from napari_globalxai.cohort.table import Cohort
from napari_globalxai.frame.stack import AlignedStack
from napari_globalxai.runs import tables
from napari_globalxai.runs.folder import IMAGES_TABLE
from napari_globalxai.statistics.image_against_map import percentiles_among


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
    members : mapping of str to numpy.ndarray
        By explained label, the images that make its map.
    """

    labels: tuple[str, ...]
    truth: npt.NDArray[np.float64]
    probability: npt.NDArray[np.float64]
    logits: npt.NDArray[np.float32]
    similarity: Mapping[str, npt.NDArray[np.float64]]
    members: Mapping[str, npt.NDArray[np.int64]]


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
    for label, values in predictions.similarity.items():
        among = values[predictions.members[label]]
        columns[tables.percentile_column(label)] = percentiles_among(values, among)
    messages = [errors.get(row, "") for row in range(len(cohort))]
    columns[tables.STATUS] = [tables.FAILED if message else tables.OK for message in messages]
    columns[tables.ERROR] = messages
    tables.write_images(folder / IMAGES_TABLE, tables.with_table_columns(columns, cohort.table))
