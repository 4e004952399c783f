"""What commands print: results on stdout, progress on stderr."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from napari_globalxai.progress import Progress, RemainingTime, format_seconds

if TYPE_CHECKING:
    from napari_globalxai.cohort.table import Cohort
    from napari_globalxai.runs.quality_control import Quality
    from napari_globalxai.runs.run import Run

_MOST_LISTED = 20


def say(line: str) -> None:
    """Print a line."""
    typer.echo(line)


def say_problems(cohort: Cohort) -> None:
    """Print the warnings of a cohort and what else is wrong with it."""
    for problem in cohort.problems:
        word = "warning" if problem in cohort.warnings else "problem"
        say(f"  {word}: {problem}")


def say_run(run: Run) -> int:
    """Print what a run came to; return the number of images that failed."""
    failed = run.images[run.images["status"] == "failed"]
    counts = run.info["counts"]
    say(f"Explained {counts['explained']} of {counts['images']} images.")
    for message in failed["error"]:
        say(f"  failed: {message}")
    for warning in run.info["warnings"]:
        say(f"  warning: {warning}")
    for row in run.statistics.itertuples():
        say(f"  {row.map}: {row.n} images of {row.n_patients} patients")
    say(f"Run: {run.folder}")
    return len(failed)


def say_alignment(folder: Path) -> int:
    """Print what aligning came to; return the number of images that failed."""
    from napari_globalxai.storage import read_json, read_table

    info = read_json(folder / "run.json")
    counts = info["counts"]
    table = read_table(folder / "images.csv")
    say(f"Aligned {counts['aligned']} of {counts['images']} images.")
    for message in table.loc[table["status"] == "failed", "error"]:
        say(f"  failed: {message}")
    for warning in info["warnings"]:
        say(f"  warning: {warning}")
    say(f"  registered: {counts['registered']}")
    say(f"  sides estimated from the image: {counts['estimated_laterality']}")
    for name in table.loc[table["laterality_suspected"], "file"]:
        say(f"  suspected wrong side: {name}")
    say(f"Alignment: {folder}")
    return int(counts["failed"])


def say_quality(quality: Quality) -> None:
    """Print what quality control came to."""
    say(f"sharpness of the mean image: {quality.info['sharpness']:.3f}")
    for kind, number in quality.info["counts"].items():
        say(f"{kind}: {number}")
    from napari_globalxai.report.quality_page import reasons_of

    outliers = quality.outliers
    for row in outliers.head(_MOST_LISTED).to_dict("records"):
        say(f"  {row['file']}: {reasons_of(row, quality.modality)}")
    if len(outliers) > _MOST_LISTED:
        say(f"  and {len(outliers) - _MOST_LISTED} more, see quality.csv")


class ProgressPrinter:
    """Print progress on stderr: one live line in a terminal, a line a stage elsewhere."""

    def __init__(self) -> None:
        self._stage = ""
        self._remaining = RemainingTime()
        self._live = sys.stderr.isatty()

    def __call__(self, progress: Progress) -> None:
        """Print how far the work is."""
        left = self._remaining.seconds(progress)
        if self._live:
            tail = f", {format_seconds(left)} left" if left and progress.done else ""
            end = "\n" if progress.done >= progress.total else ""
            line = f"\r\033[K{progress.stage}: {progress.done} of {progress.total}{tail}"
            typer.echo(line + end, err=True, nl=False)
        elif progress.stage != self._stage:
            typer.echo(progress.stage, err=True)
        self._stage = progress.stage
