"""All chapters of a run's report beside its verdicts, in the order in which it answers."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from napari_globalxai.report.audit_chapters import (
    audit_chapter,
    findings_chapter,
    strategies_chapter,
)
from napari_globalxai.report.chapter import Chapter
from napari_globalxai.report.cohort_chapters import alignment_chapter, performance_chapter
from napari_globalxai.report.comparison_chapter import comparisons_chapter, find_comparisons
from napari_globalxai.report.drawn_chapter import drawn_chapter
from napari_globalxai.report.question_chapters import (
    contrasts_chapter,
    outliers_chapter,
    sanity_chapter,
    selections_chapter,
    stability_chapter,
)
from napari_globalxai.report.slice_chapter import slices_chapter
from napari_globalxai.runs.run import Run


def collect_chapters(run: Run, comparisons: Sequence[Path] = ()) -> dict[str, Chapter | None]:
    """Return the chapters by name; None where a command that would fill one was not run.

    Parameters
    ----------
    run : Run
        The run.
    comparisons : sequence of pathlib.Path, optional
        Folders of comparisons that lie elsewhere than in the run.
    """
    folder = run.folder
    return {
        "findings": findings_chapter(folder),
        "performance": performance_chapter(run),
        "alignment": alignment_chapter(run),
        "stability": stability_chapter(folder),
        "sanity": sanity_chapter(folder),
        "audit": audit_chapter(folder),
        "drawn": drawn_chapter(folder),
        "strategies": strategies_chapter(run),
        "slices": slices_chapter(run),
        "selections": selections_chapter(run),
        "contrasts": contrasts_chapter(run),
        "outliers": outliers_chapter(folder),
        "comparisons": comparisons_chapter(run, find_comparisons(run, comparisons)),
    }
