"""The HTML report: one file that can be passed on, and its twin for machines."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from napari_globalxai.addresses import place
from napari_globalxai.report.chapters import collect_chapters
from napari_globalxai.report.facts import collect_facts
from napari_globalxai.report.figures import draw_figures
from napari_globalxai.report.page import write_page
from napari_globalxai.runs.run import Run
from napari_globalxai.runs.turns import made_aside, reading
from napari_globalxai.storage import check_writable, write_json

REPORT_FILE = "report.html"
TWIN_FILE = "report.json"


def write_report(run: Run, out: Path | None = None, comparisons: Sequence[Path | str] = ()) -> Path:
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
        facts, chapters = collect_facts(run), collect_chapters(run, others)
        figures = write_page(
            aside / REPORT_FILE,
            "report.html.j2",
            draw_figures(run, others),
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
