"""The commands, in the order of `napari-globalxai --help`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

import napari_globalxai
from napari_globalxai.catalogue import METHODS
from napari_globalxai.cli import (
    audit_command,
    check_command,
    compare_command,
    contrast_command,
    maps_command,
    outliers_command,
    sanity_command,
    stability_command,
    view_command,
)
from napari_globalxai.cli import machine_answers as answers
from napari_globalxai.cli.lent_folders import lend_folders
from napari_globalxai.cli.machine_output import tell, with_json
from napari_globalxai.cli.options import (
    CohortArgument,
    DeviceOption,
    ModelOption,
    OutOption,
    RunArgument,
    TrustOption,
    folder_option,
    with_settings,
)
from napari_globalxai.cli.peppr_questions import ask_peppr
from napari_globalxai.cli.plain_flags import App
from napari_globalxai.cli.printing import (
    ProgressPrinter,
    complain,
    read_table,
    say,
    say_alignment,
    say_problems,
    say_run,
)
from napari_globalxai.errors import InputError
from napari_globalxai.settings.cohort_settings import CohortSettings
from napari_globalxai.settings.execution_settings import DeviceSettings, WorkerSettings
from napari_globalxai.settings.explain_settings import ExplainSettings
from napari_globalxai.settings.frame_settings import CohortFrameSettings
from napari_globalxai.settings.peppr_question import PepprQuestion
from napari_globalxai.settings.peppr_settings import PepprPlaces, PepprSettings

if TYPE_CHECKING:
    from napari_globalxai.models.classifier import Classifier

app = App(
    name="napari-globalxai",
    help="Global explanations of image classifiers, and the proof that they are faithful.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)


def _version(asked: bool) -> None:
    if asked:
        typer.echo(napari_globalxai.__version__)
        raise typer.Exit


@app.callback()
def _main(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    """Global explanations of image classifiers, and the proof that they are faithful."""


@app.command()
@with_json
def card(
    model: Annotated[Path, typer.Argument(help="Weights in any format, or a MONAI bundle.")],
    out: Annotated[Path | None, typer.Option(help="Card to write.")] = None,
    force: Annotated[
        bool, typer.Option("--force", help="Write over a card that is there.")
    ] = False,
    trust: TrustOption = False,
) -> None:
    """Write a model card with what the model tells, to fill in what it does not."""
    from napari_globalxai.models.card.card_template import write_card_template

    path, missing = write_card_template(model, out, force=force, trust=trust)
    say(f"Card: {path}")
    if missing:
        say(f"  to fill in: {', '.join(missing)}")
    tell({"card": path, "to_fill_in": list(missing)})


@app.command()
@with_json
def demo(
    out: Annotated[Path, typer.Option(help="Where the results go.")] = Path("globalxai-demo"),
    headless: Annotated[bool, typer.Option(help="Do not open napari.")] = False,
    device: DeviceOption = "auto",
    seed: Annotated[int, typer.Option(help="Of everything random.")] = 0,
) -> None:
    """Run the main job on the bundled cohort: global maps, PEPPR, figures, report."""
    from napari_globalxai.demo import run_demo

    if not headless:
        lend_folders()
    run_demo(
        out, device=device, seed=seed, open_viewer=not headless, progress=ProgressPrinter(), say=say
    )
    tell(answers.of_demo(out))


@app.command()
@with_json
@with_settings(reading=CohortSettings, settings=CohortFrameSettings, workers=WorkerSettings)
def align(
    cohort: CohortArgument,
    out: Annotated[
        Path,
        folder_option("Folder for the stack and its transforms."),
    ],
    reading: CohortSettings,
    settings: CohortFrameSettings,
    workers: WorkerSettings,
    strict: Annotated[
        bool, typer.Option("--strict", help="Exit with status 1 if any image failed.")
    ] = False,
) -> None:
    """Bring a cohort into one frame: mirrored, resized, registered; with a transform an image."""
    from napari_globalxai.runs.inputs.align_cohort import align as run_align

    images = read_table(cohort, reading)
    say_problems(images)
    folder = run_align(images, out, settings, workers=workers, progress=ProgressPrinter())
    failed = say_alignment(folder)
    tell(answers.of_alignment(folder))
    if failed and strict:
        raise typer.Exit(1)


@app.command()
@with_json
@with_settings(reading=CohortSettings, settings=ExplainSettings)
def explain(
    cohort: CohortArgument,
    model: ModelOption,
    out: OutOption,
    reading: CohortSettings,
    settings: ExplainSettings,
    aligned: Annotated[
        Path | None,
        typer.Option(help="Folder of `align`, `check` or a run, to take aligned images from."),
    ] = None,
    trust: TrustOption = False,
    resume: Annotated[
        bool, typer.Option("--resume", help="Go on with a stopped run, its table read as it was.")
    ] = False,
    strict: Annotated[
        bool, typer.Option("--strict", help="Exit with status 1 if any image failed.")
    ] = False,
) -> None:
    """Explain a cohort: align, predict, attribute, average into global maps."""
    from napari_globalxai.runs.inputs.table_reading import gone_on_with
    from napari_globalxai.runs.pipeline import explain as run_explain

    images = read_table(cohort, gone_on_with(out, reading) if resume else reading)
    say_problems(images)
    run = run_explain(
        images,
        model,
        out,
        settings,
        aligned=aligned,
        resume=resume,
        trust=trust,
        progress=ProgressPrinter(),
    )
    failed = say_run(run)
    tell(answers.of_run(run))
    if failed and strict:
        raise typer.Exit(1)


@app.command()
@with_json
@with_settings(
    question=PepprQuestion,
    settings=PepprSettings,
    computing=DeviceSettings,
    places=PepprPlaces,
    workers=WorkerSettings,
)
def peppr(
    run: RunArgument,
    question: PepprQuestion,
    settings: PepprSettings,
    computing: DeviceSettings,
    places: PepprPlaces,
    workers: WorkerSettings,
    trust: TrustOption = False,
) -> None:
    """Test whether a global map is faithful: erase and restore along it, against controls."""
    said = ask_peppr(
        run,
        question,
        settings,
        map_from=places.map_from,
        model=places.model,
        device=computing.device,
        batch_size=computing.batch_size,
        trust=trust,
        out=places.out,
        workers=workers,
        progress=ProgressPrinter(),
    )
    tell(said)


app.command()(maps_command.maps)
app.command()(stability_command.stability)
app.command()(outliers_command.outliers)


app.command()(audit_command.audit)
app.command()(audit_command.slices)
app.command()(view_command.view)


app.command()(sanity_command.sanity)
app.command()(contrast_command.contrast)
app.command()(compare_command.compare)


@app.command()
@with_json
def report(
    run: RunArgument,
    out: Annotated[
        Path | None,
        folder_option("Folder for the report, in place of the run's."),
    ] = None,
    comparison: Annotated[
        list[Path] | None, typer.Option(help="Folder that compare wrote, to show; repeatable.")
    ] = None,
) -> None:
    """Draw the figures of a run and write its report.html."""
    from napari_globalxai.report.html import write_report
    from napari_globalxai.runs.run import open_run

    page = write_report(open_run(run), out, comparison or ())
    say(f"Report: {page}")
    tell({"report": page})


@app.command()
@with_json
def methods(
    name: Annotated[str | None, typer.Argument(help="A method, to list its parameters.")] = None,
) -> None:
    """List the attribution methods, or the parameters of one."""
    if name is None:
        for each, entry in METHODS.entries.items():
            say(f"{each}: {entry.summary}")
        tell({"methods": METHODS.summaries()})
        return
    from napari_globalxai.attribution.method import declared_parameters

    parameters = declared_parameters(name)
    for parameter in parameters:
        say(f"{parameter.name}={parameter.default}  {parameter.help}".rstrip())
    if not parameters:
        say(f"{name} has no parameters.")
    tell(
        {
            "method": name,
            "parameters": [
                {"name": each.name, "default": each.default, "help": each.help}
                for each in parameters
            ],
        }
    )


@app.command()
@with_json
def layers(model: ModelOption, device: DeviceOption = "auto", trust: TrustOption = False) -> None:
    """List the layers that can be a model's CAM layer, for --cam-layer and its card."""
    from napari_globalxai.models.loaders import load_model

    classifier = load_model(model, device=device, trust=trust)
    listed = classifier.cam_layers
    # Without a layer there is none to mark; a wrong one in the card must not hide the list.
    chosen = _chosen_layer(classifier)
    for layer in listed:
        say(f"{layer}{' <- CAM layer' if layer.name == chosen else ''}")
    if not listed:
        say("No layer of this model gives a map.")
    tell({"layers": [layer.name for layer in listed], "cam_layer": chosen})


app.command()(check_command.check)


def _chosen_layer(classifier: Classifier) -> str:
    try:
        return classifier.split.layer
    except InputError as why:
        complain(str(why))
        return ""
