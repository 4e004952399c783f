"""The HTML report: one file that can be passed on, and its twin for machines."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict
from pathlib import Path

from napari_globalxai.addresses import place
from napari_globalxai.progress import Progress, ProgressCallback, ignore_progress
from napari_globalxai.report.chapters import collect_chapters
from napari_globalxai.report.facts import collect_facts
from napari_globalxai.report.figures import draw_figures
from napari_globalxai.report.page import ReportFigure, write_page
from napari_globalxai.runs.run import Run
from napari_globalxai.runs.turns import made_aside, reading
from napari_globalxai.storage import check_writable, write_json

REPORT_FILE = "report.html"
TWIN_FILE = "report.json"


def write_report(
    run: Run,
    out: Path | None = None,
    comparisons: Sequence[Path | str] = (),
    progress: ProgressCallback = ignore_progress,
) -> Path:
    """Draw the figures of a run into ``figures/`` and write ``report.html`` and ``report.json``.

    Parameters
    ----------
    run : Run
        A finished run; what other commands left in its folder is taken as it lies there.
    out : pathlib.Path, optional
        Where to write; by default the run's folder.
    comparisons : sequence of pathlib.Path or str, optional
        Folders that `compare` wrote outside of the run; those in its folder ``comparisons`` are
        taken anyway.
    progress : callable, optional
        Told of each figure; may raise `Cancelled`, which leaves an older report as it was.

    Returns
    -------
    pathlib.Path
        The report.

    Raises
    ------
    InputError
        When a folder holds no comparison, or nothing can be written there.
    """
    folder = run.folder if out is None else place(out)
    check_writable(folder, "give another folder with --out (out in Python)")
    others = [place(each) for each in comparisons]
    with made_aside(folder, whole=False) as aside, reading(run.folder):
        progress(Progress("Collecting results", 0, 1))
        facts, chapters = collect_facts(run), collect_chapters(run, others)
        figures = write_page(
            aside / REPORT_FILE,
            "report.html.j2",
            _counted(draw_figures(run, others), progress),
            facts=facts,
            chapters=chapters,
        )
        twin = {
            "format": 1,
            "kind": "report",
            "facts": asdict(facts),
            "chapters": {
                name: None if chapter is None else asdict(chapter)
                for name, chapter in chapters.items()
            },
            "figures": figures,
        }
        write_json(aside / TWIN_FILE, twin)
    return folder / REPORT_FILE


def _counted(figures: Iterable[ReportFigure], progress: ProgressCallback) -> Iterator[ReportFigure]:
    """Tell of each figure as it is drawn; how many there are is not known before."""
    for number, figure in enumerate(figures, start=1):
        progress(Progress(f"Drawing figures: {number}", 0, 1))
        yield figure
