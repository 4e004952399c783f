"""What the report of a run says of its comparisons with other runs."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from napari_globalxai.errors import InputError
from napari_globalxai.report.chapter import (
    Chapter,
    ChapterTable,
    Damaged,
    entries,
    figure_text,
    interval_text,
    mapping_in,
    named_entries,
    p_text,
    share_text,
    texts,
)
from napari_globalxai.report.chapter_maps import comparison_maps, image_in, unusable_maps
from napari_globalxai.report.map_figures import MapPanel, difference_figure
from napari_globalxai.report.page import ReportFigure
from napari_globalxai.report.question_figures import whole_number
from napari_globalxai.report.style import FloatImage
from napari_globalxai.runs.folder import file_stem
from napari_globalxai.storage import hash_value

if TYPE_CHECKING:
    from napari_globalxai.runs.run import Run

COMPARISONS_FOLDER = "comparisons"
_FILE = "comparison.json"


def find_comparisons(run: Run, others: Sequence[Path] = ()) -> tuple[Path, ...]:
    """Return the folders of comparisons that lie in a run, and of those that are named.

    Raises
    ------
    InputError
        When a named folder holds no comparison.
    """
    for folder in others:
        if not (folder / _FILE).is_file():
            raise InputError(f"{folder}: holds no comparison; name a folder that compare wrote.")
    own = sorted(path.parent for path in (run.folder / COMPARISONS_FOLDER).glob(f"*/{_FILE}"))
    known = {folder.resolve() for folder in own}
    return (*own, *(folder for folder in others if folder.resolve() not in known))


def comparisons_chapter(run: Run, folders: Sequence[Path]) -> Chapter | None:
    """Return what was compared with other runs; None where nothing was."""
    tables, warnings, figures = [], [], []
    for folder in folders:
        record = mapping_in(folder / _FILE)
        if isinstance(record, Damaged):
            warnings.append(f"{folder.name}: {record.sentence}")
        elif record is not None:
            name = _name(folder, record)
            tables.append(_labels_table(name, record))
            if peppr := entries(record.get("peppr")):
                tables.append(_peppr_table(name, peppr))
            warnings += [f"{name}: {each}" for each in texts(record.get("warnings"))]
            if run.folder.resolve().name in _run_names(record):
                lost = unusable_maps(comparison_maps(folder, record).values(), run)
                warnings += [f"{name}: {each}" for each in lost]
            else:
                # Of another frame, perhaps.
                warnings.append(f"{name}: compares other runs than this one.")
            figures.append(_figure_name(folder))
    if not tables and not warnings:
        return None
    said = "All differences are A minus B, over the images that both runs explained."
    title = "Comparison with other runs"
    return Chapter("comparisons", title, [said], [], warnings, tables, figures)


def draw_comparison_figures(
    run: Run, mean: FloatImage, folders: Sequence[Path]
) -> Iterator[ReportFigure]:
    """Draw the differences of maps that comparisons left.

    Parameters
    ----------
    run : Run
        The run.
    mean : numpy.ndarray
        Mean image of the cohort, (channel, height, width).
    folders : sequence of pathlib.Path
        Those of `find_comparisons`.
    """
    for folder in folders:
        record = mapping_in(folder / _FILE)
        if not isinstance(record, dict):
            continue
        panels, maps = [], comparison_maps(folder, record)
        for label, each in named_entries(record.get("labels")).items():
            image = image_in(maps[label], run) if label in maps else None
            images, patients = (whole_number(each.get(key)) for key in ("n", "patients"))
            if image is not None:
                panels.append(MapPanel(label, image, images, patients))
        if panels:
            yield ReportFigure(
                _figure_name(folder),
                f"{_name(folder, record)}: the maps of A minus those of B. Where maps are scaled "
                "to one mass, 1 is what an even map would have.",
                difference_figure(panels, mean, run.valid),
            )


def _figure_name(folder: Path) -> str:
    return f"comparison_{file_stem(folder.name)}-{hash_value(str(folder.resolve()))[:6]}"


def _run_names(record: Mapping[str, Any]) -> list[str]:
    # Runs may have been moved since, but seldom renamed.
    return [Path(str(record.get(key, ""))).name for key in ("run_a", "run_b")]


def _name(folder: Path, record: Mapping[str, Any]) -> str:
    names = _run_names(record)
    return f"{names[0]} (A) and {names[1]} (B)" if all(names) else folder.name


def _labels_table(name: str, record: Mapping[str, Any]) -> ChapterTable:
    rows = [
        [
            label,
            figure_text(each.get("n")),
            figure_text(each.get("spearman"), 2),
            share_text(each.get("moved_share")),
            p_text(each.get("min_p")),
            figure_text(each.get("auc_a")),
            figure_text(each.get("auc_b")),
            interval_text(each.get("auc_difference"), each.get("ci_low"), each.get("ci_high"), 3),
        ]
        for label, each in named_entries(record.get("labels")).items()
    ]
    columns = ["Label", "Images", "Spearman of maps", "Mass elsewhere", "Least p"]
    return ChapterTable([*columns, "AUC, A", "AUC, B", "Difference"], rows, name)


def _peppr_table(name: str, peppr: list[Mapping[str, Any]]) -> ChapterTable:
    rows = [
        [
            figure_text(each.get("map")),
            figure_text(each.get("label")),
            figure_text(each.get("fill")),
            figure_text(each.get("delta_a")),
            figure_text(each.get("delta_b")),
            interval_text(each.get("difference"), each.get("ci_low"), each.get("ci_high"), 3),
        ]
        for each in peppr
    ]
    columns = ["Map", "Label", "Fill", "Δ of A", "Δ of B", "Difference"]
    return ChapterTable(columns, rows, f"PEPPR of {name}")
