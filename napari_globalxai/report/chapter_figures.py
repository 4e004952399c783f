"""Figures of one chapter of a run's report, for a page of any width."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

from napari_globalxai.report.comparison_chapter import draw_comparison_figures, find_comparisons
from napari_globalxai.report.page import ReportFigure
from napari_globalxai.report.question_figures import QUESTION_FIGURES
from napari_globalxai.report.slice_chapter import draw_slice_figures
from napari_globalxai.report.style import PAGE_WIDTH, FloatImage, page_of

if TYPE_CHECKING:
    from napari_globalxai.runs.run import Run


def _comparisons(run: Run, mean: FloatImage) -> Iterator[ReportFigure]:
    return draw_comparison_figures(run, mean, find_comparisons(run))


_DRAWN: dict[str, Callable[[Run, FloatImage], Iterator[ReportFigure]]] = {
    **QUESTION_FIGURES,
    "slices": draw_slice_figures,
    "comparisons": _comparisons,
}


def has_figures(chapter: str) -> bool:
    """Tell whether a chapter, by its name in `collect_chapters`, may have figures."""
    return chapter in _DRAWN


def draw_chapter(
    run: Run, chapter: str, mean: FloatImage, width: float = PAGE_WIDTH
) -> list[ReportFigure]:
    """Draw the figures of a chapter as the report has them.

    Parameters
    ----------
    run : Run
        The run.
    chapter : str
        Its name in `collect_chapters`.
    mean : numpy.ndarray
        Mean image of the cohort, (channel, height, width).
    width : float, optional
        Width of the page in inches; panels go on below each other where it is narrow.
    """
    with page_of(width):
        return list(_DRAWN[chapter](run, mean))
