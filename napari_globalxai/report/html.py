"""The HTML report: one file that can be passed on, and its twin for machines."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

from napari_globalxai.report.chapters import collect_chapters
from napari_globalxai.report.facts import collect_facts
from napari_globalxai.report.figures import draw_figures
from napari_globalxai.report.page import write_page
from napari_globalxai.runs.run import Run
from napari_globalxai.storage import write_json

REPORT_FILE = "report.html"
TWIN_FILE = "report.json"


def write_report(run: Run) -> Path:
    """Draw the figures of a run into ``figures/`` and write ``report.html`` and ``report.json``.

    Parameters
    ----------
    run : Run
        A finished run; what other commands left in its folder is taken as it lies there.

    Returns
    -------
    pathlib.Path
        The report.
    """
    target = run.folder / REPORT_FILE
    facts, chapters = collect_facts(run), collect_chapters(run)
    figures = write_page(
        target, "report.html.j2", draw_figures(run), facts=facts, chapters=chapters
    )
    twin = {
        "format": 1,
        "kind": "report",
        "facts": asdict(facts),
        "chapters": {
            name: None if chapter is None else asdict(chapter) for name, chapter in chapters.items()
        },
        "figures": figures,
    }
    write_json(run.folder / TWIN_FILE, twin)
    return target
