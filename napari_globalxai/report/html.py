"""The HTML report: one file that can be passed on, without anything from the network."""

from __future__ import annotations

from pathlib import Path

from napari_globalxai.report.facts import collect_facts
from napari_globalxai.report.figures import draw_figures
from napari_globalxai.report.page import write_page
from napari_globalxai.runs.run import Run
from napari_globalxai.storage import check_writable

REPORT_FILE = "report.html"


def write_report(run: Run, out: Path | None = None) -> Path:
    """Draw the figures of a run into ``figures/`` and write ``report.html``.

    Parameters
    ----------
    run : Run
        A finished run; results of PEPPR are taken as they lie in its folder.
    out : pathlib.Path, optional
        Where to write; by default the run's folder.

    Returns
    -------
    pathlib.Path
        The report.

    Raises
    ------
    InputError
        When nothing can be written there.
    """
    folder = run.folder if out is None else out
    check_writable(folder, "give another folder with --out (out in Python)")
    target = folder / REPORT_FILE
    write_page(target, "report.html.j2", draw_figures(run), facts=collect_facts(run))
    return target
