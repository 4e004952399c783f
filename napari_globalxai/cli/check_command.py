"""`check`: what would go wrong, before anything is computed, and which images do not belong."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from napari_globalxai.cli import machine_answers as answers
from napari_globalxai.cli.machine_output import tell, with_json
from napari_globalxai.cli.options import (
    CohortArgument,
    DeviceOption,
    TrustOption,
    folder_option,
    with_settings,
)
from napari_globalxai.cli.printing import ProgressPrinter, read_table, say, say_quality
from napari_globalxai.cohort.wording import counted
from napari_globalxai.settings.cohort_settings import CohortSettings
from napari_globalxai.settings.execution_settings import WorkerSettings
from napari_globalxai.settings.explain_settings import ExplainSettings, MethodChoice
from napari_globalxai.settings.frame_settings import CohortFrameSettings

if TYPE_CHECKING:
    from collections.abc import Sequence

    from napari_globalxai.cohort.table import Cohort
    from napari_globalxai.models.classifier import Classifier


@with_json
@with_settings(
    reading=CohortSettings,
    settings=CohortFrameSettings,
    method=MethodChoice,
    workers=WorkerSettings,
)
def check(
    cohort: CohortArgument,
    reading: CohortSettings,
    settings: CohortFrameSettings,
    method: MethodChoice,
    workers: WorkerSettings,
    model: Annotated[
        Path | None, typer.Option(help="Model card (model.yaml) or weights to check as well.")
    ] = None,
    out: Annotated[
        Path | None,
        folder_option("Folder for quality control: every image beside all others, a report."),
    ] = None,
    device: DeviceOption = "auto",
    trust: TrustOption = False,
    strict: Annotated[
        bool, typer.Option("--strict", help="Exit with status 1 if any image would fail.")
    ] = False,
) -> None:
    """Read everything, say what would go wrong, and which images do not belong."""
    from napari_globalxai.runs.inputs.check import check_inputs

    images = read_table(cohort, reading)
    classifier = None
    if model is not None:
        from napari_globalxai.models.loaders import load_model

        classifier = load_model(model, device=device, trust=trust, cam_layer=method.cam_layer)
    found = check_inputs(
        images,
        classifier,
        ExplainSettings(**method.given()),
        read_images=out is None,
        stored_bits=settings.stored_bits,
        workers=workers,
        progress=ProgressPrinter(),
    )
    for line in found.facts:
        say(line)
    problems = found.problems
    if out is not None:
        problems = _check_quality(images, classifier, out, (settings, workers), problems)
        if found.performance:
            from napari_globalxai.runs.performance import write_performance

            write_performance(out, found.performance)
    for problem in problems:
        say(f"problem: {problem}")
    say("No problem was found." if not problems else f"{counted(len(problems), 'problem')}.")
    if out is not None:
        say(f"Quality control: {out / 'quality.html'}")
    tell(answers.of_check(found, problems, out))
    if problems and strict:
        raise typer.Exit(1)


def _check_quality(
    images: Cohort,
    classifier: Classifier | None,
    out: Path,
    chosen: tuple[CohortFrameSettings, WorkerSettings],
    problems: Sequence[str],
) -> Sequence[str]:
    """Compare all images, write the report, and return all problems."""
    from napari_globalxai.report.quality_page import write_quality_report
    from napari_globalxai.runs.inputs.quality_control import check_quality

    settings, workers = chosen
    of_model = {} if classifier is None else classifier.card.input.frame
    # What was asked for goes before what the model takes.
    frame = CohortFrameSettings(**{**of_model, **settings.given()})
    quality = check_quality(
        images, out, frame, problems=problems, workers=workers, progress=ProgressPrinter()
    )
    say_quality(quality)
    write_quality_report(quality)
    return quality.findings.problems
