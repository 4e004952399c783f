"""The command line: it parses, calls the Python API and prints. It computes nothing.

Heavy packages are imported inside the commands, so that ``--help`` answers at once.
"""

from __future__ import annotations

import inspect
import sys
from collections.abc import Callable
from functools import wraps
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, get_type_hints

import typer

import napari_globalxai
from napari_globalxai.errors import Cancelled, InputError
from napari_globalxai.progress import Progress, RemainingTime, format_seconds

if TYPE_CHECKING:
    from napari_globalxai.cohort.table import Cohort
    from napari_globalxai.models.classifier import Classifier
    from napari_globalxai.runs.quality import Quality
    from napari_globalxai.runs.run import Run

app = typer.Typer(
    name="napari-globalxai",
    help="Global explanations of image classifiers, and the proof that they are faithful.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)

CohortArgument = Annotated[Path, typer.Argument(help="Table of images, CSV or TSV.")]
RunArgument = Annotated[Path, typer.Argument(help="Run folder.")]
ModelOption = Annotated[Path, typer.Option(help="Model card (model.yaml) or weights.")]
TrustOption = Annotated[
    bool,
    typer.Option(
        "--trust",
        help="Let code in the model's files run, as pickled modules and some bundles need; only "
        "for files whose origin you trust.",
    ),
]
RegisterOption = Annotated[
    str,
    typer.Option(
        help="Move images onto the cohort's median one: none, landmarks, similarity or affine."
    ),
]
EstimateLateralityOption = Annotated[
    bool, typer.Option(help="Estimate sides that nothing else tells from the images.")
]
TemplateOption = Annotated[
    Path | None,
    typer.Option(help="Image to move the others onto, in place of the cohort's median one."),
]
DEFAULT_SIZE = "384x512"
DeviceOption = Annotated[str, typer.Option(help="auto, cpu, cuda, mps …")]
# The options of every command that reads a cohort table, see `_with_cohort`; keywords of
# `read_cohort`.
_COHORT_OPTIONS: dict[str, Any] = {
    "image_root": Annotated[
        Path | None, typer.Option(help="Folder of the images; by default the table's.")
    ],
    "file_column": Annotated[str | None, typer.Option(help="Column of the image files.")],
    "laterality_column": Annotated[str | None, typer.Option(help="Column of L and R.")],
    "laterality_values": Annotated[
        str | None, typer.Option(help="What its values mean, such as 0=L,1=R.")
    ],
    "laterality_pattern": Annotated[
        str | None,
        typer.Option(
            metavar="REGEX",
            help="Finds the side in a file's name, such as (OD|OS); `none`: do not guess it.",
        ),
    ],
    "patient_column": Annotated[str | None, typer.Option(help="Column of patients.")],
    "label_columns": Annotated[
        str | None, typer.Option(help="0/1 columns to take as labels, comma separated.")
    ],
    "exclude_labels": Annotated[
        str | None, typer.Option(help="0/1 columns that are no labels, comma separated.")
    ],
    "class_column": Annotated[
        str | None, typer.Option(help="The one class column of a multi-class table.")
    ],
}

_MOST_LISTED = 20
_STOPPED = 130  # what shells expect after Ctrl-C, and what typer makes of it


def _with_cohort(command: Callable[..., None]) -> Callable[..., None]:
    """Let a command that takes a `Cohort` first be called with a table and the options for it."""

    @wraps(command)
    def called(**given: Any) -> None:
        options = {name: given.pop(name) for name in _COHORT_OPTIONS}
        command(_read_cohort(given.pop("cohort"), options), **given)

    first, *own = inspect.signature(command).parameters.values()
    called.__annotations__ = {
        **command.__annotations__,
        first.name: CohortArgument,
        **_COHORT_OPTIONS,
    }
    types = get_type_hints(called, include_extras=True)
    kind = inspect.Parameter.KEYWORD_ONLY
    # Typer makes its options from the signature, and evaluates none that was set.
    parameters = [
        first,
        *own,
        *(inspect.Parameter(name, kind, default=None) for name in _COHORT_OPTIONS),
    ]
    called.__signature__ = inspect.Signature(  # type: ignore[attr-defined]
        [each.replace(kind=kind, annotation=types[each.name]) for each in parameters]
    )
    return called


def _read_cohort(path: Path, options: dict[str, Any]) -> Cohort:
    """Read a table and print what was made of it."""
    from napari_globalxai.cohort.table import read_cohort

    for several in ("label_columns", "exclude_labels"):
        options[several] = _split(options[several])
    cohort = read_cohort(path, **options)
    _say(f"{path}: {len(cohort)} images")
    for role, column in cohort.guesses.items():
        _say(f"  {role}: {column}")
    return cohort


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
    _say(f"Card: {path}")
    if missing:
        _say(f"  to fill in: {', '.join(missing)}")


@app.command()
def demo(
    out: Annotated[Path, typer.Option(help="Where the results go.")] = Path("globalxai-demo"),
    headless: Annotated[bool, typer.Option(help="Do not open napari.")] = False,
    device: DeviceOption = "auto",
    seed: Annotated[int, typer.Option(help="Of everything random.")] = 0,
) -> None:
    """Run the main job on the bundled cohort: global maps, PEPPR, figures, report."""
    from napari_globalxai.demo import run_demo

    run_demo(out, device=device, seed=seed, open_viewer=not headless, progress=_Printer(), say=_say)


@app.command()
@_with_cohort
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
    from napari_globalxai.runs.alignment import align as run_align

    height, width = _size(size)
    _say_problems(cohort)
    folder = run_align(
        cohort,
        out,
        height=height,
        width=width,
        channels=tuple(_split(channels) or ()),
        registration=register,
        estimate_laterality=estimate_laterality,
        template=template,
        progress=_Printer(),
    )
    failed = _say_alignment(folder)
    if failed and strict:
        raise typer.Exit(1)


@app.command()
@_with_cohort
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

    _say_problems(cohort)
    wanted = {"selection": select, "part": part, "scale": scale}
    run = run_explain(
        cohort,
        load_model(model, device=device, precision=precision, trust=trust),
        out,
        method,
        labels=_split(labels),
        method_settings=_method_settings(settings),
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
        progress=_Printer(),
    )
    failed = _say_run(run)
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
        progress=_Printer(),
        fill=fill,
        steps=steps,
        controls=controls,
        seed=seed,
    )
    for label, verdict in result.verdict.items():
        _say(f"{result.map_name} for {label}: {verdict.word} ({verdict.reason})")
    _say(f"Results: {run / 'peppr' / result.map_name}.csv, .json")


@app.command()
def report(run: RunArgument) -> None:
    """Draw the figures of a run and write its report.html."""
    from napari_globalxai.report.html import write_report
    from napari_globalxai.runs.run import open_run

    _say(f"Report: {write_report(open_run(run))}")


@app.command()
def methods(
    name: Annotated[str | None, typer.Argument(help="A method, to list its parameters.")] = None,
) -> None:
    """List the attribution methods, or the parameters of one."""
    from napari_globalxai.attribution.catalogue import method_entries

    if name is None:
        for each, entry in method_entries().items():
            _say(f"{each}: {entry.summary}")
        return
    from napari_globalxai.attribution.method import make_method

    parameters = type(make_method(name).settings).model_fields
    for each, field in parameters.items():
        _say(f"{each}={field.default}  {field.description or ''}".rstrip())
    if not parameters:
        _say(f"{name} has no parameters.")


@app.command()
def layers(model: ModelOption, device: DeviceOption = "auto") -> None:
    """List the layers that can be a model's CAM layer (cam_layer in its card)."""
    from napari_globalxai.models.loaders import load_model

    classifier = load_model(model, device=device)
    listed = classifier.cam_layers
    # Without a layer there is none to mark; a wrong one in the card must not hide the list.
    chosen = _chosen_layer(classifier)
    for layer in listed:
        _say(f"{layer}{' <- CAM layer' if layer.name == chosen else ''}")
    if not listed:
        _say("No layer of this model gives a map.")


@app.command()
@_with_cohort
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
    found = check_inputs(cohort, classifier, read_images=out is None, progress=_Printer())
    for line in found.facts:
        _say(line)
    problems = found.problems
    if out is not None:
        from napari_globalxai.report.quality import write_quality_report
        from napari_globalxai.runs.quality import check_quality

        height, width = _size(size or DEFAULT_SIZE)
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
            progress=_Printer(),
        )
        _say_quality(quality)
        problems = quality.info["problems"]
        report_file = write_quality_report(quality)
    for problem in problems:
        _say(f"problem: {problem}")
    _say("No problem was found." if not problems else f"{len(problems)} problems.")
    if out is not None:
        _say(f"Quality control: {report_file}")
    if problems and strict:
        raise typer.Exit(1)


def main() -> None:
    """Run the command line; an error that the user can mend is one line on stderr."""
    try:
        # Left to itself, typer frames usage errors in a box and says nothing on Ctrl-C.
        status = app(standalone_mode=False)
    except InputError as why:
        typer.echo(f"napari-globalxai: {why}", err=True)
        sys.exit(2)
    except Cancelled:
        status = _STOPPED
    except Exception as why:
        # The class of usage errors has moved between releases of typer.
        if not hasattr(why, "format_message"):
            raise
        if message := " ".join(why.format_message().split()):
            typer.echo(f"napari-globalxai: {message.rstrip('.')}; try --help.", err=True)
        sys.exit(2)
    if status == _STOPPED:
        typer.echo("napari-globalxai: stopped; go on with --resume.", err=True)
    sys.exit(status)


def _chosen_layer(classifier: Classifier) -> str:
    try:
        return classifier.split.layer
    except InputError as why:
        typer.echo(f"napari-globalxai: {why}", err=True)
        return ""


def _say(line: str) -> None:
    typer.echo(line)


def _say_problems(cohort: Cohort) -> None:
    """Print the warnings of a cohort and what else is wrong with it."""
    for problem in cohort.problems:
        word = "warning" if problem in cohort.warnings else "problem"
        _say(f"  {word}: {problem}")


def _say_run(run: Run) -> int:
    """Print what a run came to; return the number of images that failed."""
    failed = run.images[run.images["status"] == "failed"]
    counts = run.info["counts"]
    _say(f"Explained {counts['explained']} of {counts['images']} images.")
    for message in failed["error"]:
        _say(f"  failed: {message}")
    for warning in run.info["warnings"]:
        _say(f"  warning: {warning}")
    for row in run.statistics.itertuples():
        _say(f"  {row.map}: {row.n} images of {row.n_patients} patients")
    _say(f"Run: {run.folder}")
    return len(failed)


def _say_alignment(folder: Path) -> int:
    """Print what aligning came to; return the number of images that failed."""
    from napari_globalxai.storage import read_json, read_table

    info = read_json(folder / "run.json")
    counts = info["counts"]
    table = read_table(folder / "images.csv")
    _say(f"Aligned {counts['aligned']} of {counts['images']} images.")
    for message in table.loc[table["status"] == "failed", "error"]:
        _say(f"  failed: {message}")
    for warning in info["warnings"]:
        _say(f"  warning: {warning}")
    _say(f"  registered: {counts['registered']}")
    _say(f"  sides estimated from the image: {counts['estimated_laterality']}")
    for name in table.loc[table["laterality_suspected"], "file"]:
        _say(f"  suspected wrong side: {name}")
    _say(f"Alignment: {folder}")
    return int(counts["failed"])


def _say_quality(quality: Quality) -> None:
    """Print what quality control came to."""
    _say(f"sharpness of the mean image: {quality.info['sharpness']:.3f}")
    for kind, number in quality.info["counts"].items():
        _say(f"{kind}: {number}")
    from napari_globalxai.report.quality import reasons_of

    outliers = quality.outliers
    for row in outliers.head(_MOST_LISTED).to_dict("records"):
        _say(f"  {row['file']}: {reasons_of(row)}")
    if len(outliers) > _MOST_LISTED:
        _say(f"  and {len(outliers) - _MOST_LISTED} more, see quality.csv")


def _size(text: str) -> tuple[int, int]:
    sides = text.lower().replace("×", "x").split("x")
    if len(sides) != 2 or not all(side.strip().isdigit() and int(side) > 0 for side in sides):
        raise InputError(f"--size {text}: is not of the form HEIGHTxWIDTH, such as 384x512.")
    return int(sides[0]), int(sides[1])


def _split(text: str | None) -> list[str] | None:
    return None if text is None else [part.strip() for part in text.split(",") if part.strip()]


def _method_settings(texts: list[str] | None) -> dict[str, str]:
    """Return the parameters of ``--set name=value``; the method turns texts into its types."""
    settings = {}
    for text in texts or ():
        name, equals, value = text.partition("=")
        if not equals:
            raise InputError(f"--set {text}: is not of the form name=value.")
        settings[name.strip().replace("-", "_")] = value.strip()
    return settings


class _Printer:
    """Print progress on stderr: one live line in a terminal, a line a stage elsewhere."""

    def __init__(self) -> None:
        self._stage = ""
        self._remaining = RemainingTime()
        self._live = sys.stderr.isatty()

    def __call__(self, progress: Progress) -> None:
        left = self._remaining.seconds(progress)
        if self._live:
            tail = f", {format_seconds(left)} left" if left and progress.done else ""
            end = "\n" if progress.done >= progress.total else ""
            line = f"\r\033[K{progress.stage}: {progress.done} of {progress.total}{tail}"
            typer.echo(line + end, err=True, nl=False)
        elif progress.stage != self._stage:
            typer.echo(progress.stage, err=True)
        self._stage = progress.stage
