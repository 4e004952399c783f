"""How well a model tells the labels apart: the numbers that expose most faults of input.

An image that is fed transposed, on another scale or with swapped channels costs performance before
it costs anything else, so it is told wherever there are predictions.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pandas as pd

from napari_globalxai.faithfulness.scores.auc_scores import average_precision, roc_auc
from napari_globalxai.faithfulness.scores.intervals import auc_interval
from napari_globalxai.storage import read_table, write_table
from napari_globalxai.unusable import as_we_write

PERFORMANCE_TABLE = "performance.csv"
_ADVICE = (
    "is the model fed as it was trained: orientation, channels, range, mean and SD of its card, "
    "and the order of its labels?"
)


@dataclass(frozen=True)
class LabelPerformance:
    """How well one label is told apart.

    Attributes
    ----------
    label : str
        The label.
    positives, negatives, unknown : int
        Predicted images by their true label.
    roc_auc, ci_low, ci_high : float
        ROC AUC with its 95 % interval over patients; NaN with one class only.
    average_precision : float
        Average precision; NaN with one class only.
    """

    label: str
    positives: int
    negatives: int
    unknown: int
    roc_auc: float
    ci_low: float
    ci_high: float
    average_precision: float

    def __str__(self) -> str:
        counts = f"{self.positives} with, {self.negatives} without"
        if self.unknown:
            counts += f", {self.unknown} unknown"
        if not np.isfinite(self.roc_auc):
            return f"{self.label}: no ROC AUC ({counts})"
        ends = self.ci_low, self.ci_high
        known = np.isfinite(ends).all()
        interval = "{:.3f} to {:.3f}".format(*ends) if known else "no interval: too few patients"
        return f"{self.label}: ROC AUC {self.roc_auc:.3f} ({interval}; {counts})"

    @property
    def warning(self) -> str:
        """A sentence where the label is told apart the wrong way round, else an empty text."""
        if np.isfinite(self.roc_auc) and self.roc_auc < 0.5:
            certain = "below chance" if self.ci_high < 0.5 else "below chance, if not certainly"
            return f"{self.label}: ROC AUC {self.roc_auc:.3f} is {certain}; {_ADVICE}"
        return ""


def measure_performance(
    labels: Sequence[str],
    truth: npt.NDArray[np.float64],
    ranking: npt.NDArray[np.float64],
    patients: Sequence[str],
) -> list[LabelPerformance]:
    """Return how well each label is told apart.

    Parameters
    ----------
    labels : sequence of str
        The labels.
    truth : numpy.ndarray
        (image, label): 1, 0 or NaN.
    ranking : numpy.ndarray
        (image, label): what images are ranked by; NaN where there is no prediction.
    patients : sequence of str
        Patient of each image; the interval is over whole patients.
    """
    return [
        _measure_label(label, truth[:, index], ranking[:, index], patients)
        for index, label in enumerate(labels)
    ]


def _measure_label(
    label: str,
    truth: npt.NDArray[np.float64],
    ranking: npt.NDArray[np.float64],
    patients: Sequence[str],
) -> LabelPerformance:
    predicted = np.isfinite(ranking)
    known = predicted & np.isfinite(truth)
    carries, scores = truth[known] == 1, ranking[known]
    counts = int(carries.sum()), int((~carries).sum()), int((predicted & ~known).sum())
    nan = float("nan")
    if not (counts[0] and counts[1]):
        return LabelPerformance(label, *counts, nan, nan, nan, nan)
    owners = [patients[row] for row in np.flatnonzero(known).tolist()]
    low, high = auc_interval(carries, scores, owners)
    precision = average_precision(carries, scores)
    return LabelPerformance(
        label, *counts, roc_auc(carries, scores), float(low), float(high), precision
    )


def arg_max_warning(
    labels: Sequence[str], truth: npt.NDArray[np.float64], logits: npt.NDArray[np.floating]
) -> str:
    """Return a sentence where the label with the highest output is no better than chance.

    Parameters
    ----------
    labels : sequence of str
        Labels that exclude each other.
    truth, logits : numpy.ndarray
        (image, label); images without exactly one true label, or without a prediction, do not
        count.

    Returns
    -------
    str
        Empty where the mean of the labels' accuracies is above chance by more than chance itself
        explains (two standard errors), or too few images tell.
    """
    known = np.isfinite(logits).all(axis=1) & (np.nansum(truth, axis=1) == 1)
    answer = np.nan_to_num(truth[known]).argmax(axis=1)
    present = np.unique(answer)
    if len(labels) < 2 or len(present) < 2:
        return ""
    right = logits[known].argmax(axis=1) == answer
    counts = np.array([(answer == index).sum() for index in present])
    accuracy = float(np.mean([right[answer == index].mean() for index in present]))
    chance = 1 / len(labels)
    error = float(np.sqrt(chance * (1 - chance) * (1 / counts).sum())) / len(present)
    if accuracy > chance + 2 * error:
        return ""
    return (
        f"The label with the highest output is right in {100 * accuracy:.0f} % of the images (mean "
        f"over labels; chance is {100 * chance:.0f} %); {_ADVICE}"
    )


def performance_warnings(
    performance: Sequence[LabelPerformance],
    truth: npt.NDArray[np.float64],
    logits: npt.NDArray[np.floating],
    activation: str,
) -> list[str]:
    """Return what performance says about how the model was fed, a sentence each.

    Parameters
    ----------
    performance : sequence of LabelPerformance
        Of all labels of the model.
    truth, logits : numpy.ndarray
        (image, label).
    activation : str
        With ``softmax`` labels exclude each other, so that the highest output is the answer.
    """
    warnings = [each.warning for each in performance if each.warning]
    if activation == "softmax":
        sentence = arg_max_warning([each.label for each in performance], truth, logits)
        warnings += [sentence] if sentence else []
    return warnings


def write_performance(folder: Path, performance: Sequence[LabelPerformance]) -> None:
    """Write ``performance.csv``, a row a label."""
    columns = [field.name for field in fields(LabelPerformance)]
    table = pd.DataFrame([asdict(each) for each in performance], columns=columns)
    write_table(folder / PERFORMANCE_TABLE, table)


def read_performance(folder: Path) -> list[LabelPerformance]:
    """Read what `write_performance` wrote; nothing where it is not there."""
    path = folder / PERFORMANCE_TABLE
    if not path.is_file():
        return []
    table = read_table(path, dtype={"label": str})
    with as_we_write(path):
        return [
            LabelPerformance(**{str(name): value for name, value in row.items()})
            for row in table.to_dict("records")
        ]
