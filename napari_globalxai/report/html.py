"""The HTML report: one file that can be passed on, without anything from the network."""

from __future__ import annotations

from pathlib import Path

from napari_globalxai.report.facts import collect_facts
from napari_globalxai.report.figures import draw_figures
from napari_globalxai.report.page import write_page
from napari_globalxai.runs.run import Run

REPORT_FILE = "report.html"


def write_report(run: Run) -> Path:
    """Draw the figures of a run into ``figures/`` and write ``report.html``.

    Parameters
    ----------
    run : Run
        A finished run; results of PEPPR are taken as they lie in its folder.

    Returns
    -------
    pathlib.Path
        The report.
    """
    target = run.folder / REPORT_FILE
    write_page(target, "report.html.j2", draw_figures(run), facts=collect_facts(run))
    return target
