"""Write the table of images of a run."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from napari_globalxai.cohort.table import Cohort
from napari_globalxai.frame.stack import AlignedStack
from napari_globalxai.models.classifier import Classifier
from napari_globalxai.storage import atomic_path


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
