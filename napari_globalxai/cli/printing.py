"""What commands print: results on stdout, progress on stderr."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from napari_globalxai.cli.machine_output import for_machines
from napari_globalxai.cohort.wording import counted
from napari_globalxai.plain_text import printable
from napari_globalxai.progress import Progress, format_seconds

if TYPE_CHECKING:
    from napari_globalxai.cohort.table import Cohort
    from napari_globalxai.runs.inputs.quality_control import Quality
    from napari_globalxai.runs.run import Run
    from napari_globalxai.settings.cohort_settings import CohortSettings

_MOST_LISTED = 20


def say(line: str) -> None:
    """Print a line for people."""
    if not for_machines():
        typer.echo(printable(line))


def complain(sentence: str) -> None:
    """Print what is wrong on stderr."""
    typer.echo(f"napari-globalxai: {printable(sentence)}", err=True)


def say_problems(cohort: Cohort) -> None:
    """Print the warnings of a cohort and what else is wrong with it."""
    # Imports pandas, for which --help need not wait.
    from napari_globalxai.cohort.problems import side_note

    for problem in cohort.problems:
        word = "warning" if problem in cohort.warnings else "problem"
        say(f"  {word}: {problem}")
    if note := side_note(cohort):
        say(f"  note: {note}")


def say_run(run: Run) -> int:
    """Print what a run came to; return the number of images that failed."""
    from napari_globalxai.runs import tables

    failed = run.images[run.images[tables.STATUS] == tables.FAILED]
    counts = run.record.counts
    say(f"Explained {counts.explained} of {counts.images} images.")
    for message in failed[tables.ERROR]:
        say(f"  failed: {message}")
    for warning in run.record.warnings:
        say(f"  warning: {warning}")
    for each in run.performance:
        say(f"  {each}")
    for row in run.statistics.itertuples():
        say(f"  map {row.map}: {counted(row.n, 'image')} of {counted(row.n_patients, 'patient')}")
    say(f"Run: {run.folder}")
    return len(failed)


def say_alignment(folder: Path) -> int:
    """Print what aligning came to; return the number of images that failed."""
    from napari_globalxai.runs import tables
    from napari_globalxai.runs.folder import IMAGES_TABLE
    from napari_globalxai.runs.record import AlignRecord, read_record_of

    record = read_record_of(folder, AlignRecord)
    counts = record.counts
    table = tables.read_images(folder / IMAGES_TABLE)
    say(f"Aligned {counts.aligned} of {counts.images} images.")
    for message in table.loc[table[tables.STATUS] == tables.FAILED, tables.ERROR]:
        say(f"  failed: {message}")
    for warning in record.warnings:
        say(f"  warning: {warning}")
    say(f"  registered: {counts.registered}")
    say(f"  sides estimated from the image: {counts.estimated_laterality}")
    for name in table.loc[table[tables.LATERALITY_SUSPECTED], tables.FILE]:
        say(f"  suspected wrong side: {name}")
    say(f"Alignment: {folder}")
    return counts.failed


def say_quality(quality: Quality) -> None:
    """Print what quality control came to."""
    from napari_globalxai.report.quality_page import reasons_of
    from napari_globalxai.report.style import number

    say(f"sharpness of the mean image: {number(quality.findings.sharpness)}")
    for kind, count in quality.findings.counts.items():
        say(f"{kind}: {count}")

    outliers = quality.outliers
    for row in outliers.head(_MOST_LISTED).to_dict("records"):
        say(f"  {row['file']}: {reasons_of(row, quality.modality)}")
    if len(outliers) > _MOST_LISTED:
        say(f"  and {len(outliers) - _MOST_LISTED} more, see quality.csv")


class ProgressPrinter:
    """Print progress on stderr: one live line in a terminal, a line a stage elsewhere."""

    def __init__(self) -> None:
        self._stage = ""
        self._live = sys.stderr.isatty()

    def __call__(self, progress: Progress) -> None:
        """Print how far the work is."""
        if self._live:
            left = progress.remaining
            tail = f", {format_seconds(left)} left" if left else ""
            end = "\n" if progress.done >= progress.total else ""
            stage = printable(progress.stage)
            line = f"\r\033[K{stage}: {progress.done} of {progress.total}{tail}"
            typer.echo(line + end, err=True, nl=False)
        elif progress.stage != self._stage:
            typer.echo(printable(progress.stage), err=True)
        self._stage = progress.stage


def read_table(path: Path, reading: CohortSettings) -> Cohort:
    """Read a table and print what was made of it."""
    from napari_globalxai.cohort.table import read_cohort

    cohort = read_cohort(path, reading)
    say(f"{path}: {len(cohort)} images")
    for role, column in cohort.guesses.items():
        say(f"  {role}: {column}")
    return cohort
