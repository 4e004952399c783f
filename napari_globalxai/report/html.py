"""The HTML report: one file that can be passed on, without anything from the network."""

from __future__ import annotations

import base64
from dataclasses import dataclass
from importlib import resources
from pathlib import Path

from jinja2 import Environment, StrictUndefined

from napari_globalxai.report.facts import collect_facts
from napari_globalxai.report.figures import draw_figures
from napari_globalxai.report.style import save_figure
from napari_globalxai.runs.run import Run
from napari_globalxai.storage import atomic_path

REPORT_FILE = "report.html"


@dataclass(frozen=True)
class EmbeddedFigure:
    """A figure as the page holds it: its PNG file as a data URI, and its caption."""

    source: str
    caption: str


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
    figures = {}
    for drawn in draw_figures(run):
        path = run.folder / "figures" / f"{drawn.name}.png"
        save_figure(drawn.figure, path)
        data = base64.b64encode(path.read_bytes()).decode("ascii")
        figures[drawn.name] = EmbeddedFigure(f"data:image/png;base64,{data}", drawn.caption)
    # Names of files and labels are the user's, so everything is escaped.
    environment = Environment(
        autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    source = resources.files(__package__).joinpath("report.html.j2").read_text(encoding="utf-8")
    page = environment.from_string(source).render(facts=collect_facts(run), figures=figures)
    target = run.folder / REPORT_FILE
    with atomic_path(target) as temporary:
        # A file name that is not valid Unicode must not cost the whole report.
        temporary.write_text(page, encoding="utf-8", errors="replace")
    return target
