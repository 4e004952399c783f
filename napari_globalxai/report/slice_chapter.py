"""What the report says of where the model fails: slices, calibration, thresholds."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_globalxai.report.chapter import (
    Chapter,
    ChapterTable,
    Damaged,
    entries,
    figure_text,
    mapping_in,
    p_text,
    table_in,
)
from napari_globalxai.report.chapter_maps import image_in, slice_maps, unusable_maps
from napari_globalxai.report.map_figures import MapPanel, maps_figure
from napari_globalxai.report.page import ReportFigure
from napari_globalxai.report.question_figures import whole_number
from napari_globalxai.report.style import (
    BLUE,
    BODY,
    GREY,
    SMALL,
    FloatImage,
    most_columns,
    name_text,
    new_figure,
    plain,
)

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure

    from napari_globalxai.runs.run import Run

SLICES_FOLDER = "slices"
_MEASURES = {"roc_auc": "ROC AUC", "calibration": "Calibration"}
_SHOWN_THRESHOLDS = (0.1, 0.3, 0.5, 0.7, 0.9)
_RATES = ("sensitivity", "specificity", "ppv", "npv")
_CURVE = ("label", "images", "mean_probability", "observed", "ci_low", "ci_high")
_MOST_MAPS = 12
_COLUMNS, _PANEL = 4, 2.5


def slices_chapter(run: Run) -> Chapter | None:
    """Return where the model is worse than in the rest; None where that was not searched."""
    folder = run.folder / SLICES_FOLDER
    found = mapping_in(folder / "slices.json")
    if found is None:
        return None
    title = "Where the model fails"
    if isinstance(found, Damaged):
        return Chapter("slices", title, warnings=[found.sentence])
    slices = entries(found.get("slices"))
    searched = f"{figure_text(found.get('searched'))} comparisons of slices with the rest"
    said = (
        f"{searched}, corrected for the whole search: these are worse, the surest first."
        if slices
        else f"{searched}: none in which the model is worse beyond chance and by enough to matter."
    )
    thresholds = _threshold_table(folder)
    read = thresholds, _calibration_in(folder)
    warnings = [each.sentence for each in read if isinstance(each, Damaged)]
    warnings += unusable_maps((path for _, path in slice_maps(folder, found)), run)
    tables = [_slice_table(slices)] if slices else []
    return Chapter(
        "slices",
        title,
        [said],
        points=[str(each.get("sentence", "")) for each in slices],
        warnings=warnings,
        tables=tables + ([thresholds] if isinstance(thresholds, ChapterTable) else []),
        figures=["slices", "calibration"],
    )


def _slice_table(slices: list[Mapping[str, Any]]) -> ChapterTable:
    columns = ["Label", "Where", "Measure", "There", "In the rest", "Difference, 95 %"]
    return ChapterTable(
        [*columns, "p, corrected", "Images", "Patients"],
        [
            [
                figure_text(each.get("label")),
                figure_text(each.get("query")),
                _MEASURES.get(str(each.get("measure")), str(each.get("measure"))),
                figure_text(each.get("value")),
                figure_text(each.get("rest")),
                f"{figure_text(each.get('ci_low'))} to {figure_text(each.get('ci_high'))}",
                p_text(each.get("p")),
                figure_text(each.get("images")),
                figure_text(each.get("patients")),
            ]
            for each in slices
        ],
    )


def _threshold_table(folder: Path) -> ChapterTable | Damaged | None:
    table = table_in(folder / "thresholds.csv", ("label", "threshold", *_RATES))
    if table is None or isinstance(table, Damaged):
        return table
    shown = table[table["threshold"].isin(_SHOWN_THRESHOLDS)]
    rows = [
        [str(row["label"]), *(figure_text(row[name], 2) for name in ("threshold", *_RATES))]
        for row in shown.to_dict("records")
    ]
    columns = ["Label", "From a probability of", "Sensitivity", "Specificity", "PPV", "NPV"]
    return ChapterTable(columns, rows, "What happens at each threshold; more in thresholds.csv")


def _calibration_in(folder: Path) -> pd.DataFrame | Damaged | None:
    return table_in(folder / "calibration.csv", _CURVE, _CURVE[1:])


def draw_slice_figures(run: Run, mean: FloatImage) -> Iterator[ReportFigure]:
    """Draw the maps of slices, and calibration curves, where there are any.

    Parameters
    ----------
    run : Run
        The run.
    mean : numpy.ndarray
        Mean image of the cohort, (channel, height, width).
    """
    folder = run.folder / SLICES_FOLDER
    found = mapping_in(folder / "slices.json")
    panels = []
    for each, path in slice_maps(folder, found) if isinstance(found, dict) else []:
        image = image_in(path, run)
        if image is not None:
            images, patients = (whole_number(each.get(key)) for key in ("images", "patients"))
            panels.append(
                MapPanel(f"{each.get('label')}: {each.get('query')}", image, images, patients)
            )
    if panels:
        yield ReportFigure(
            "slices",
            "Maps of the slices in which the model is worse, each on the scale of its own maximum.",
            maps_figure(
                panels[:_MOST_MAPS], mean, run.valid, signed=run.aggregation.part == "signed"
            ),
        )
    table = _calibration_in(folder)
    if table is not None and not isinstance(table, Damaged):
        table = table[table["label"].isin(run.record.model.card.labels)]
    if table is not None and not isinstance(table, Damaged) and len(table):
        yield ReportFigure(
            "calibration",
            "Calibration: the share of images that carry the label against the mean of the "
            "probabilities, in ten bins of equally many images, with Wilson’s 95 % interval. On "
            "the line, probabilities mean what they say.",
            calibration_figure(table),
        )


def calibration_figure(table: pd.DataFrame) -> Figure:
    """Draw a calibration curve for each label.

    Parameters
    ----------
    table : pandas.DataFrame
        Content of ``calibration.csv``.
    """
    labels = list(dict.fromkeys(table["label"].astype(str)))
    columns = most_columns(_COLUMNS)
    rows = -(-len(labels) // columns)
    figure = new_figure(rows * _PANEL)
    grid = figure.subplots(rows, columns, squeeze=False).ravel().tolist()
    for unused in grid[len(labels) :]:
        unused.remove()
    for axes, label in zip(grid, labels, strict=False):
        own = table[table["label"].astype(str) == label]
        x, y = own["mean_probability"].to_numpy(float), own["observed"].to_numpy(float)
        reach = np.abs(np.stack([y - own["ci_low"].to_numpy(float), own["ci_high"] - y]))
        plain(axes)
        axes.plot([0, 1], [0, 1], color=GREY, linewidth=0.8, linestyle="--")
        axes.errorbar(x, y, reach, color=BLUE, marker="o", markersize=3, linewidth=1.2)
        axes.set_xlim(-0.03, 1.03)
        axes.set_ylim(-0.03, 1.03)
        axes.set_title(name_text(label, 24), fontsize=BODY)
        axes.set_xlabel("mean probability", fontsize=SMALL)
        axes.set_ylabel("share with the label", fontsize=SMALL)
    return figure
