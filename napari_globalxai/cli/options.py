"""Options that several commands share, and what their texts mean."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from functools import wraps
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, get_type_hints

import typer

from napari_globalxai.cli.printing import say
from napari_globalxai.errors import InputError

if TYPE_CHECKING:
    from napari_globalxai.cohort.table import Cohort

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
# The options of every command that reads a cohort table, see `with_cohort`; keywords of
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


def with_cohort(command: Callable[..., None]) -> Callable[..., None]:
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
        options[several] = split_list(options[several])
    cohort = read_cohort(path, **options)
    say(f"{path}: {len(cohort)} images")
    for role, column in cohort.guesses.items():
        say(f"  {role}: {column}")
    return cohort


def size_of(text: str) -> tuple[int, int]:
    """Return height and width of a text such as 384x512."""
    sides = text.lower().replace("×", "x").split("x")
    if len(sides) != 2 or not all(side.strip().isdigit() and int(side) > 0 for side in sides):
        raise InputError(f"--size {text}: is not of the form HEIGHTxWIDTH, such as 384x512.")
    return int(sides[0]), int(sides[1])


def split_list(text: str | None) -> list[str] | None:
    """Return what commas separate."""
    return None if text is None else [part.strip() for part in text.split(",") if part.strip()]


def method_settings_of(texts: list[str] | None) -> dict[str, str]:
    """Return the parameters of ``--set name=value``; the method turns texts into its types."""
    settings = {}
    for text in texts or ():
        name, equals, value = text.partition("=")
        if not equals:
            raise InputError(f"--set {text}: is not of the form name=value.")
        settings[name.strip().replace("-", "_")] = value.strip()
    return settings
