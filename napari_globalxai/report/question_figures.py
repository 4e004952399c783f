"""Figures of questions asked of the stored maps: stability, subgroups, contrasts, strategies."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

import numpy as np

from napari_globalxai.audit.strategy_files import AUDIT_FOLDER
from napari_globalxai.report.audit_chapters import clusters_in
from napari_globalxai.report.chapter import Damaged, entries, mapping_in, named_entries
from napari_globalxai.report.chapter_maps import (
    contrast_maps,
    image_in,
    selection_maps,
    strategy_maps,
)
from napari_globalxai.report.image_figures import Example, examples_figure
from napari_globalxai.report.map_figures import MapPanel, difference_figure, maps_figure
from napari_globalxai.report.page import ReportFigure
from napari_globalxai.report.question_chapters import contrast_side, selected_images
from napari_globalxai.report.style import BODY, SMALL, FloatImage, name_text, new_figure, plain
from napari_globalxai.runs.folder import (
    CONTRASTS_FOLDER,
    SELECTIONS_FOLDER,
    STABILITY_FOLDER,
)
from napari_globalxai.statistics.global_map import OVERALL

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure

    from napari_globalxai.runs.run import Run

_MOST_FINDINGS = 4
_MOST_GROUPS = 12
_NEUTRAL = 0.05
# More than there are patients anywhere, and less than figures can draw.
_MOST = 1e12


def draw_question_figures(run: Run, mean: FloatImage) -> Iterator[ReportFigure]:
    """Draw what `stability`, `maps`, `contrast` and `audit` left in a run, one figure at a time.

    Parameters
    ----------
    run : Run
        The run.
    mean : numpy.ndarray
        Mean image of the cohort, (channel, height, width).

    Yields
    ------
    ReportFigure
        ``findings``, ``stability``, ``selection_<name>``, ``contrast_<name>`` and ``strategies``,
        each where there is something to show. Files that are damaged or do not fit are left out:
        the chapters say so.
    """
    for draw in QUESTION_FIGURES.values():
        yield from draw(run, mean)


def _findings(run: Run, mean: FloatImage) -> Iterator[ReportFigure]:
    audit = mapping_in(run.folder / AUDIT_FOLDER / "audit.json")
    found = entries(audit.get("findings")) if isinstance(audit, dict) else []
    examples: list[tuple[str, Example | None, Example | None]] = []
    seen: set[tuple[str, int]] = set()
    for finding in found:
        label = str(finding.get("label"))
        rows = [each.get("row") for each in entries(finding.get("shown"))]
        known = [row for row in rows if isinstance(row, int) and row in run.finished_rows]
        # Several findings may be one fault, which the same images show.
        if label in run.labels and known and (label, known[0]) not in seen:
            seen |= {(label, row) for row in known}
            two = [_example(run, row, label) for row in known[:2]]
            examples.append((label, two[0], two[1] if len(two) > 1 else None))
    if examples:
        yield ReportFigure(
            "findings",
            "The images that show the first findings best, and where the model looked in them.",
            examples_figure(
                examples[:_MOST_FINDINGS],
                run.record.frame.channels,
                run.stack.shape,
                signed=run.aggregation.part == "signed",
                titles=("Shows it best", "Shows it next"),
            ),
        )


def _example(run: Run, row: int, label: str) -> Example:
    image = run.images.iloc[row]
    return Example(
        file=str(image["file"]),
        image=run.stack.read([row])[0],
        attribution=run.image_map(row, label),
        probability=float(image[f"probability_{label}"]),
        similarity=float(image.get(f"similarity_{label}", np.nan)),
    )


def _stability(run: Run, mean: FloatImage) -> Iterator[ReportFigure]:
    found = mapping_in(run.folder / STABILITY_FOLDER / "stability.json")
    if not isinstance(found, dict):
        return
    curves = {
        name: points
        for name, each in named_entries(found.get("labels")).items()
        if name in (OVERALL, *run.labels) and (points := _points(each.get("growth")))
    }
    if curves:
        settings = found.get("settings")
        settled = settings.get("settled") if isinstance(settings, dict) else None
        yield ReportFigure(
            "stability",
            "How alike the maps of two groups of patients are that share nobody, by the number of "
            "patients in each. Bands hold 95 % of the draws.",
            growth_figure(curves, settled if isinstance(settled, float) else None),
        )


def _points(value: object) -> list[tuple[float, float, float, float]]:
    points = []
    for each in entries(value):
        row = [each.get(name) for name in ("patients", "correlation", "low", "high")]
        numbers = [
            float(item) for item in row if isinstance(item, int | float) and abs(item) < _MOST
        ]
        if len(numbers) == len(row) and numbers[0] >= 1:
            points.append((numbers[0], numbers[1], numbers[2], numbers[3]))
    return points


def growth_figure(
    curves: dict[str, list[tuple[float, float, float, float]]], settled: float | None
) -> Figure:
    """Draw the agreement of maps against the number of patients.

    Parameters
    ----------
    curves : dict of str to list of tuple
        By map: patients, correlation, and its interval.
    settled : float or None
        Correlation from which a map is called settled.
    """
    figure = new_figure(3.6)
    axes = figure.subplots()
    plain(axes)
    for name, points in curves.items():
        patients, middle, low, high = np.array(points).T
        (line,) = axes.plot(patients, middle, marker="o", markersize=3, label=name_text(name, 24))
        axes.fill_between(patients, low, high, color=line.get_color(), alpha=0.12, linewidth=0)
    if settled is not None:
        axes.axhline(settled, color="#767676", linewidth=0.8, linestyle="--")
        axes.text(1.005, settled, "settled", transform=axes.get_yaxis_transform(), fontsize=SMALL)
    axes.set_xscale("log")
    sizes = sorted({int(point[0]) for points in curves.values() for point in points})
    shown = sizes[:: max(1, len(sizes) // 12)]
    axes.set_xticks(shown, [str(size) for size in shown])
    axes.minorticks_off()
    axes.set_xlabel("patients in each of the two groups", fontsize=BODY)
    axes.set_ylabel("Spearman’s correlation", fontsize=BODY)
    axes.legend(fontsize=SMALL, frameon=False, loc="lower right", ncols=2)
    return figure


def _selections(run: Run, mean: FloatImage) -> Iterator[ReportFigure]:
    for path in sorted((run.folder / SELECTIONS_FOLDER).glob("*/selection.json")):
        record = mapping_in(path)
        if not isinstance(record, dict):
            continue
        maps = selection_maps(path.parent, record)
        panels = [
            MapPanel(
                label, image, whole_number(each.get("n")), whole_number(each.get("n_patients"))
            )
            for label, each in named_entries(record.get("labels")).items()
            if (image := image_in(maps[label], run)) is not None
        ]
        if panels:
            settings = record.get("settings")
            part = settings.get("part") if isinstance(settings, dict) else ""
            shown = settings.get("statistic", "mean") if isinstance(settings, dict) else "mean"
            yield ReportFigure(
                f"selection_{path.parent.name}",
                f"Maps of the selection “{record.get('name')}” ({shown}): "
                f"{selected_images(record)}.",
                maps_figure(panels, mean, run.valid, signed=part == "signed"),
            )


def _contrasts(run: Run, mean: FloatImage) -> Iterator[ReportFigure]:
    for path in sorted((run.folder / CONTRASTS_FOLDER).glob("*/contrast.json")):
        record = mapping_in(path)
        if not isinstance(record, dict):
            continue
        panels, sure = [], []
        maps = contrast_maps(path.parent, record)
        for label, each in named_entries(record.get("labels")).items():
            difference, p = (image_in(each, run) for each in maps[label])
            if difference is None or p is None:
                continue
            counts = [
                whole_number(each.get(key)) for key in ("n_a", "n_b", "patients_a", "patients_b")
            ]
            panels.append(MapPanel(label, difference, counts[0] + counts[1], counts[2] + counts[3]))
            sure.append(np.nan_to_num(p, nan=1.0) <= _NEUTRAL)
        if panels:
            yield ReportFigure(
                f"contrast_{path.parent.name}",
                f"Difference of the mean maps, A ({contrast_side(record, 'a')}) minus B "
                f"({contrast_side(record, 'b')}). Black line: p ≤ 0.05, corrected for all places.",
                difference_figure(panels, mean, run.valid, sure),
            )


def _strategies(run: Run, mean: FloatImage) -> Iterator[ReportFigure]:
    folder = run.folder / AUDIT_FOLDER
    table = clusters_in(folder)
    if table is None or isinstance(table, Damaged):
        return
    sizes = _group_sizes(run, table)
    panels = [
        MapPanel(f"{group[0]}, group {group[1]}", image, *sizes.get(group, (0, 0)))
        for group, path in strategy_maps(folder, table, run).items()
        if (image := image_in(path, run)) is not None
    ]
    if panels:
        yield ReportFigure(
            "strategies",
            "Mean map of each group of images that are decided alike, each on the scale of its own "
            "maximum.",
            maps_figure(
                panels[:_MOST_GROUPS], mean, run.valid, signed=run.aggregation.part == "signed"
            ),
        )


# By chapter.
QUESTION_FIGURES: dict[str, Callable[[Run, FloatImage], Iterator[ReportFigure]]] = {
    "findings": _findings,
    "stability": _stability,
    "selections": _selections,
    "contrasts": _contrasts,
    "strategies": _strategies,
}


def _group_sizes(run: Run, table: pd.DataFrame) -> dict[tuple[str, int], tuple[int, int]]:
    patients = run.images["patient"].to_numpy()
    return {
        (str(label), int(str(number))): (len(rows), len(set(patients[rows["row"].to_numpy(int)])))
        for (label, number), rows in table.groupby(["label", "cluster"])
        if rows["row"].between(0, len(patients) - 1).all()
    }


def whole_number(value: object) -> int:
    """Return a whole number of a file, 0 where it is none."""
    return value if isinstance(value, int) else 0
