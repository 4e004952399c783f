"""HTML pages with their figures in them."""

from __future__ import annotations

import base64
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from matplotlib.figure import Figure

from napari_globalxai.report.style import save_figure, verdict_class
from napari_globalxai.storage import atomic_path


@dataclass(frozen=True)
class ReportFigure:
    """A figure with the words around it.

    Attributes
    ----------
    name : str
        File name without its suffix.
    caption : str
        What the figure shows.
    figure : Figure
        The figure.
    """

    name: str
    caption: str
    figure: Figure


@dataclass(frozen=True)
class EmbeddedFigure:
    """A figure as the page holds it: its PNG file as a data URI, and its caption."""

    source: str
    caption: str


def write_page(
    target: Path, template: str, figures: Iterable[ReportFigure], **values: Any
) -> dict[str, str]:
    """Write a page, and its figures into ``figures/`` beside it.

    Parameters
    ----------
    target : pathlib.Path
        The page.
    template : str
        Name of the template in this folder.
    figures : iterable of ReportFigure
        Drawn, written and forgotten one at a time.
    **values
        What the template shows.

    Returns
    -------
    dict of str to str
        Captions of the figures by name.
    """
    embedded = {}
    for drawn in figures:
        path = target.parent / "figures" / f"{drawn.name}.png"
        save_figure(drawn.figure, path)
        data = base64.b64encode(path.read_bytes()).decode("ascii")
        embedded[drawn.name] = EmbeddedFigure(f"data:image/png;base64,{data}", drawn.caption)
    # Names of files and labels are the user's, so everything is escaped.
    environment = Environment(
        loader=PackageLoader(__package__, "."),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["verdict_class"] = verdict_class
    page = environment.get_template(template).render(figures=embedded, **values)
    with atomic_path(target) as temporary:
        # A file name that is not valid Unicode must not cost the whole report.
        temporary.write_text(page, encoding="utf-8", errors="replace")
    return {name: figure.caption for name, figure in embedded.items()}
