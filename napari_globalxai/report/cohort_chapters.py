"""What the report says of the model's performance and of how well the images are aligned."""

from __future__ import annotations

import numpy as np

from napari_globalxai.report.chapter import Chapter, ChapterTable, figure_text, interval_text
from napari_globalxai.report.style import number, percent
from napari_globalxai.runs import tables
from napari_globalxai.runs.run import Run

_ENDS = (0.0, 0.25, 0.5, 0.75, 1.0)


def performance_chapter(run: Run) -> Chapter:
    """Return how well the model tells each label apart."""
    title = "Performance of the model"
    found = run.performance
    if not found:
        return Chapter("performance", title, ["The run does not tell; explain the cohort again."])
    rows = [
        [
            each.label,
            *(figure_text(value) for value in (each.positives, each.negatives, each.unknown)),
            interval_text(each.roc_auc, each.ci_low, each.ci_high, 3),
            number(each.average_precision),
        ]
        for each in found
    ]
    columns = ["Label", "With the label", "without", "unknown", "ROC AUC", "Average precision"]
    return Chapter(
        "performance",
        title,
        [
            "On the explained images, 95 % intervals over patients. A map of a model that is fed "
            "wrongly, or tells nothing apart, explains nothing."
        ],
        warnings=[warning for each in found if (warning := each.warning)],
        tables=[ChapterTable(columns, rows)],
    )


def alignment_chapter(run: Run) -> Chapter:
    """Return how the images were brought onto each other, and how well they lie there."""
    images = run.images.iloc[run.finished_rows]
    settings = run.record.settings
    valid = f"{percent(float(run.valid.mean()))} of the frame"
    facts = [
        ["Registration", settings.registration],
        ["Valid area", f"{valid}, seen in at least {percent(settings.valid_share)} of the images"],
    ]
    if tables.REGISTERED in images:
        done = int(images[tables.REGISTERED].astype(bool).sum())
        facts.append(["Registered", f"{done} of {len(images)} images"])
    for name, column in (("before", tables.LIKENESS_BEFORE), ("after", tables.LIKENESS_AFTER)):
        if column in images and (known := images[column].dropna()).size:
            facts.append([f"Likeness to the others, {name}", _quantiles(known.to_numpy(float))])
    if tables.LATERALITY_SOURCE in images:
        counted = images[tables.LATERALITY_SOURCE].replace("", "unknown").value_counts()
        said = ", ".join(f"{source} {count}" for source, count in counted.items())
        facts.append(["Sides come from", said])
    return Chapter(
        "alignment",
        "Alignment of the images",
        [
            "Averaging pixel by pixel is only as good as the alignment: where the mean image is "
            "sharp, the images lie on each other."
        ],
        tables=[ChapterTable(["", ""], facts)],
        figures=["frame"],
    )


def _quantiles(values: np.ndarray) -> str:
    low, lower, middle, upper, high = np.quantile(values, _ENDS)
    return (
        f"median {number(middle, 2)}, middle half {number(lower, 2)} to {number(upper, 2)}, "
        f"from {number(low, 2)} to {number(high, 2)}"
    )
