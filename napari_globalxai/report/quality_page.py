"""The page of a quality control."""

from __future__ import annotations

from collections.abc import Hashable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from napari_globalxai.frame.modality import Modality
from napari_globalxai.frame.quality_measures import OUTLIER_SCORE
from napari_globalxai.report.page import ReportFigure, write_page
from napari_globalxai.report.quality_figures import cohort_figure, contact_sheet, distances_figure
from napari_globalxai.report.style import number
from napari_globalxai.runs.inputs.quality_control import Quality

QUALITY_PAGE = "quality.html"
_SHOWN = 12
_LISTED = 200


def write_quality_report(quality: Quality) -> Path:
    """Draw the figures of a quality control into ``figures/`` and write ``quality.html``.

    Parameters
    ----------
    quality : Quality
        A finished quality control.

    Returns
    -------
    pathlib.Path
        The page.
    """
    target = quality.folder / QUALITY_PAGE
    record = quality.record
    rows = _ranked(quality)
    write_page(
        target,
        "quality.html.j2",
        _figures(quality),
        title=Path(record.cohort.table).name,
        counts=quality.findings.counts,
        reasons=quality.findings.outlier_reasons,
        landmarks=quality.modality.landmarks,
        sides_compared=quality.findings.sides_compared,
        problems=quality.findings.problems,
        likeness=[number(value, 2) for value in quality.findings.likeness if value is not None],
        sharpness=number(quality.findings.sharpness, 3),
        frame=record.frame,
        settings=record.settings,
        rows=rows[:_LISTED],
        unlisted=max(0, len(rows) - _LISTED),
        score=OUTLIER_SCORE,
    )
    return target


def reasons_of(row: Mapping[Hashable, Any], words: Modality) -> str:
    """Return what is said of a row of `Quality.images`, separated by semicolons."""
    parts = [f"may be of {words.other_side}"] if row["laterality_suspected"] else []
    return "; ".join([*parts, *([row["outlier_reasons"]] if row["outlier_reasons"] else [])])


def _figures(quality: Quality) -> Iterator[ReportFigure]:
    channels = quality.stack.channels
    yield ReportFigure(
        "quality_cohort",
        "The cohort in its frame. The sharper the mean, the better the images lie on each other.",
        cohort_figure(
            quality.mean,
            quality.sd,
            quality.coverage,
            channels,
            _value(quality.findings.sharpness),
        ),
    )
    images, outliers = quality.images, quality.outliers
    yield ReportFigure(
        "quality_distances",
        "Distance of each image from the mean of all others: 1 less the correlation of their "
        "details.",
        distances_figure(
            images["distance"].to_numpy(float),
            images.index.isin(outliers.index),
            "distance from the other images",
        ),
    )
    if len(outliers):
        shown = outliers.head(_SHOWN)
        yield ReportFigure(
            "quality_outliers",
            f"The images that differ most, the first {len(shown)} of {len(outliers)}.",
            contact_sheet(
                list(quality.stack.read(shown.index.to_numpy())),
                list(shown["file"]),
                [reasons_of(row, quality.modality) for row in shown.to_dict("records")],
                channels,
            ),
        )


def _ranked(quality: Quality) -> Sequence[dict[str, str]]:
    return [
        {
            "file": row["file"],
            "patient": row["patient"],
            "laterality": row["laterality"] or "unknown",
            "reasons": reasons_of(row, quality.modality),
            "score": number(row["outlier_score"], 1),
            "distance": number(row["distance"], 2),
        }
        for row in quality.outliers.to_dict("records")
    ]


def _value(value: float | None) -> float:
    return np.nan if value is None else float(value)
