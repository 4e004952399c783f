"""The commands, in the order of `napari-globalxai --help`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

import napari_globalxai
from napari_globalxai.cli.options import (
    DEFAULT_SIZE,
    DeviceOption,
    EstimateLateralityOption,
    ModelOption,
    RegisterOption,
    RunArgument,
    TemplateOption,
    TrustOption,
    method_settings_of,
    size_of,
    split_list,
    with_cohort,
)
from napari_globalxai.cli.printing import (
    ProgressPrinter,
    say,
    say_alignment,
    say_problems,
    say_quality,
    say_run,
)
from napari_globalxai.errors import InputError

if TYPE_CHECKING:
    from napari_globalxai.cohort.table import Cohort
    from napari_globalxai.models.classifier import Classifier

app = typer.Typer(
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
def card(
    model: Annotated[Path, typer.Argument(help="Weights in any format, or a MONAI bundle.")],
    out: Annotated[Path | None, typer.Option(help="Card to write.")] = None,
    force: Annotated[
        bool, typer.Option("--force", help="Write over a card that is there.")
    ] = False,
    trust: TrustOption = False,
) -> None:
    """Write a model card with what the model tells, to fill in what it does not."""
    from napari_globalxai.models.card_template import write_card_template

    path, missing = write_card_template(model, out, force=force, trust=trust)
    say(f"Card: {path}")
    if missing:
        say(f"  to fill in: {', '.join(missing)}")


@app.command()
def demo(
    out: Annotated[Path, typer.Option(help="Where the results go.")] = Path("globalxai-demo"),
    headless: Annotated[bool, typer.Option(help="Do not open napari.")] = False,
    device: DeviceOption = "auto",
    seed: Annotated[int, typer.Option(help="Of everything random.")] = 0,
) -> None:
    """Run the main job on the bundled cohort: global maps, PEPPR, figures, report."""
    from napari_globalxai.demo import run_demo

    run_demo(
        out, device=device, seed=seed, open_viewer=not headless, progress=ProgressPrinter(), say=say
    )


@app.command()
@with_cohort
def align(
    cohort: Cohort,
    out: Annotated[Path, typer.Option(help="Folder for the stack and its transforms.")],
    size: Annotated[
        str, typer.Option(help="Height × width of the frame in pixels.")
    ] = DEFAULT_SIZE,
    channels: Annotated[
        str, typer.Option(help="Channels to keep, comma separated: red, green, blue or grey.")
    ] = "red,green,blue",
    register: RegisterOption = "landmarks",
    estimate_laterality: EstimateLateralityOption = True,
    template: TemplateOption = None,
    strict: Annotated[
        bool, typer.Option("--strict", help="Exit with status 1 if any image failed.")
    ] = False,
) -> None:
    """Bring a cohort into one frame: mirrored, resized, registered; with a transform an image."""
    from napari_globalxai.runs.align_cohort import align as run_align

    height, width = size_of(size)
    say_problems(cohort)
    folder = run_align(
        cohort,
        out,
        height=height,
        width=width,
        channels=tuple(split_list(channels) or ()),
        registration=register,
        estimate_laterality=estimate_laterality,
        template=template,
        progress=ProgressPrinter(),
    )
    failed = say_alignment(folder)
    if failed and strict:
        raise typer.Exit(1)


@app.command()
@with_cohort
def explain(
    cohort: Cohort,
    model: ModelOption,
    out: Annotated[Path, typer.Option(help="Run folder to make.")],
    method: Annotated[
        str, typer.Option(help="Name of an attribution method; `methods` lists them.")
    ] = "grad-cam",
    settings: Annotated[
        list[str] | None,
        typer.Option("--set", help="Parameter of the method, such as steps=50; may be repeated."),
    ] = None,
    cam_layer: Annotated[
        str | None,
        typer.Option(help="Layer for Grad-CAM in place of the card's; `layers` lists them."),
    ] = None,
    labels: Annotated[str | None, typer.Option(help="Labels to explain, comma separated.")] = None,
    register: RegisterOption = "none",
    estimate_laterality: EstimateLateralityOption = False,
    template: TemplateOption = None,
    aligned: Annotated[
        Path | None,
        typer.Option(help="Folder of `align`, `check` or a run, to take aligned images from."),
    ] = None,
    select: Annotated[
        str | None,
        typer.Option(
            help="Images in a label's map: positives, predicted-positives, true-positives, "
            "false-positives, false-negatives or all."
        ),
    ] = None,
    part: Annotated[str | None, typer.Option(help="positive, absolute or signed.")] = None,
    scale: Annotated[str | None, typer.Option(help="Per image: none, max or mass.")] = None,
    valid_share: Annotated[
        float, typer.Option(min=0, max=1, help="Share of images whose field holds a valid pixel.")
    ] = 0.5,
    device: DeviceOption = "auto",
    trust: TrustOption = False,
    precision: Annotated[
        str,
        typer.Option(help="float32, bfloat16, bfloat16-gradients, float16, or auto: by a trial."),
    ] = "auto",
    batch_size: Annotated[
        int | None, typer.Option(min=1, help="Images a forward; by default what is fastest.")
    ] = None,
    pool: Annotated[
        int,
        typer.Option(min=1, help="Store pixel-level maps averaged over squares of this side."),
    ] = 1,
    seed: Annotated[int, typer.Option(help="Of everything random.")] = 0,
    resume: Annotated[bool, typer.Option("--resume", help="Go on with a stopped run.")] = False,
    strict: Annotated[
        bool, typer.Option("--strict", help="Exit with status 1 if any image failed.")
    ] = False,
) -> None:
    """Explain a cohort: align, predict, attribute, average into global maps."""
    from napari_globalxai.models.loaders import load_model
    from napari_globalxai.runs.pipeline import explain as run_explain

    say_problems(cohort)
    wanted = {"selection": select, "part": part, "scale": scale}
    run = run_explain(
        cohort,
        load_model(model, device=device, precision=precision, trust=trust, cam_layer=cam_layer),
        out,
        method,
        labels=split_list(labels),
        method_settings=method_settings_of(settings),
        aggregation={key: value for key, value in wanted.items() if value is not None},
        valid_share=valid_share,
        batch_size=batch_size,
        pooling=pool,
        registration=register,
        estimate_laterality=estimate_laterality,
        template=template,
        aligned=aligned,
        seed=seed,
        resume=resume,
        progress=ProgressPrinter(),
    )
    failed = say_run(run)
    if failed and strict:
        raise typer.Exit(1)


@app.command()
def peppr(
    run: RunArgument,
    map_name: Annotated[
        str, typer.Option("--map", help="overall, a label, or a TIFF file.")
    ] = "overall",
    fill: Annotated[
        str, typer.Option(help="What erased pixels show: mean-image, mean-colour or black.")
    ] = "mean-image",
    steps: Annotated[int, typer.Option(help="Steps of the curves.")] = 30,
    controls: Annotated[int, typer.Option(help="Random and shifted orders each.")] = 19,
    seed: Annotated[int, typer.Option(help="Of ties, controls and resamples.")] = 0,
    valid_share: Annotated[
        float | None, typer.Option(help="As for explain; 0 ranks the full frame.")
    ] = None,
    model: Annotated[Path | None, typer.Option(help="The model, if it has moved.")] = None,
    device: DeviceOption = "auto",
    trust: TrustOption = False,
    batch_size: Annotated[
        int | None, typer.Option(min=1, help="Images a forward; by default what is fastest.")
    ] = None,
) -> None:
    """Test whether a global map is faithful: erase and restore along it, against controls."""
    from napari_globalxai.runs.evaluate import peppr as run_peppr

    result = run_peppr(
        run,
        map_name,
        model=model,
        device=device,
        trust=trust,
        batch_size=batch_size,
        valid_share=valid_share,
        progress=ProgressPrinter(),
        fill=fill,
        steps=steps,
        controls=controls,
        seed=seed,
    )
    for label, verdict in result.verdict.items():
        say(f"{result.map_name} for {label}: {verdict.word} ({verdict.reason})")
    say(f"Results: {run / 'peppr' / result.map_name}.csv, .json")


@app.command()
def report(run: RunArgument) -> None:
    """Draw the figures of a run and write its report.html."""
    from napari_globalxai.report.html import write_report
    from napari_globalxai.runs.run import open_run

    say(f"Report: {write_report(open_run(run))}")


@app.command()
def methods(
    name: Annotated[str | None, typer.Argument(help="A method, to list its parameters.")] = None,
) -> None:
    """List the attribution methods, or the parameters of one."""
    from napari_globalxai.catalogue import METHODS

    if name is None:
        for each, entry in METHODS.entries.items():
            say(f"{each}: {entry.summary}")
        return
    from napari_globalxai.attribution.method import make_method

    parameters = type(make_method(name).settings).model_fields
    for each, field in parameters.items():
        say(f"{each}={field.default}  {field.description or ''}".rstrip())
    if not parameters:
        say(f"{name} has no parameters.")


@app.command()
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


@app.command()
@with_cohort
def check(
    cohort: Cohort,
    model: Annotated[
        Path | None, typer.Option(help="Model card (model.yaml) or weights to check as well.")
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option(help="Folder for quality control: every image beside all others, a report."),
    ] = None,
    size: Annotated[
        str | None,
        typer.Option(help="Height × width of the frame in pixels; by default the model's."),
    ] = None,
    register: RegisterOption = "landmarks",
    estimate_laterality: EstimateLateralityOption = True,
    template: TemplateOption = None,
    device: DeviceOption = "auto",
    trust: TrustOption = False,
    strict: Annotated[
        bool, typer.Option("--strict", help="Exit with status 1 if any image would fail.")
    ] = False,
) -> None:
    """Read everything, say what would go wrong, and which images do not belong."""
    from napari_globalxai.runs.check import check_inputs

    classifier = None
    if model is not None:
        from napari_globalxai.models.loaders import load_model

        classifier = load_model(model, device=device, trust=trust)
    found = check_inputs(cohort, classifier, read_images=out is None, progress=ProgressPrinter())
    for line in found.facts:
        say(line)
    problems = found.problems
    if out is not None:
        from napari_globalxai.report.quality_page import write_quality_report
        from napari_globalxai.runs.quality_control import check_quality

        height, width = size_of(size or DEFAULT_SIZE)
        channels: tuple[str, ...] = ("red", "green", "blue")
        if classifier is not None:
            channels = classifier.card.input.channels
            height, width = (height, width) if size else classifier.frame_shape
        quality = check_quality(
            cohort,
            out,
            height=height,
            width=width,
            channels=channels,
            registration=register,
            estimate_laterality=estimate_laterality,
            template=template,
            problems=found.problems,
            progress=ProgressPrinter(),
        )
        say_quality(quality)
        problems = quality.info["problems"]
        report_file = write_quality_report(quality)
    for problem in problems:
        say(f"problem: {problem}")
    say("No problem was found." if not problems else f"{len(problems)} problems.")
    if out is not None:
        say(f"Quality control: {report_file}")
    if problems and strict:
        raise typer.Exit(1)


def _chosen_layer(classifier: Classifier) -> str:
    try:
        return classifier.split.layer
    except InputError as why:
        typer.echo(f"napari-globalxai: {why}", err=True)
        return ""
