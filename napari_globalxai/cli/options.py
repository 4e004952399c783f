"""Options made from the settings as they are declared, and those that several commands share."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from functools import wraps
from pathlib import Path
from typing import Annotated, Any, get_type_hints

import typer

from napari_globalxai.addresses import place
from napari_globalxai.errors import InputError
from napari_globalxai.runs.folder import whole_folder
from napari_globalxai.settings.declared import (
    Declared,
    SettingError,
    SettingsModel,
    declared_fields,
)
from napari_globalxai.settings.execution_settings import DeviceSettings
from napari_globalxai.settings.lists import split_names

# A name that no setting has.
_CONTEXT = "typer_context"

CohortArgument = Annotated[
    Path,
    typer.Argument(
        help="Table of images, CSV or TSV; or a folder with a folder of images for each class."
    ),
]


def _run_folder(text: str) -> Path:
    return whole_folder(place(text))


RunArgument = Annotated[
    Path,
    typer.Argument(
        help="Run folder, or its address such as s3://bucket/run.",
        parser=_run_folder,
        metavar="RUN",
    ),
]
ModelOption = Annotated[Path, typer.Option(help="Model card (model.yaml) or weights.")]
DeviceOption = Annotated[str, typer.Option(help=DeviceSettings.model_fields["device"].description)]
TrustOption = Annotated[
    bool,
    typer.Option(
        "--trust",
        help="Let code in the model's files run, as pickled modules and some bundles need; only "
        "for files whose origin you trust.",
    ),
]


def folder_option(help: str) -> Any:
    """Return the option of a folder that is made, or of its address."""
    return typer.Option(help=help, parser=place, metavar="PATH")


OutOption = Annotated[
    Path, folder_option("Run folder to make, or its address such as s3://bucket/run.")
]


def with_settings(
    **models: type[SettingsModel],
) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Let a command that takes settings be called with an option for each of their fields.

    Parameters
    ----------
    **models
        Class of the settings by the name of the command's parameter.
    """

    def wrap(command: Callable[..., None]) -> Callable[..., None]:
        fields = {name: declared_fields(model) for name, model in models.items()}

        @wraps(command)
        def called(**given: Any) -> None:
            source = given.pop(_CONTEXT).get_parameter_source
            for name, model in models.items():
                values = {
                    each.name: value
                    for each in fields[name]
                    # What is asked for may be the default where others leave it open.
                    if (value := given.pop(each.name)) is not None
                    and source(each.name).name != "DEFAULT"
                }
                given[name] = _settings(model, fields[name], values)
            command(**given)

        types = get_type_hints(command, include_extras=True)
        own = inspect.signature(command).parameters.values()
        parameters = [
            each.replace(kind=inspect.Parameter.KEYWORD_ONLY, annotation=types[each.name])
            for each in own
            if each.name not in models
        ]
        parameters += [_parameter(each) for name in models for each in fields[name]]
        parameters.append(
            inspect.Parameter(_CONTEXT, inspect.Parameter.KEYWORD_ONLY, annotation=typer.Context)
        )
        # Typer makes its options from the signature.
        called.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
        called.__annotations__ = {each.name: each.annotation for each in parameters}
        return called

    return wrap


def _settings(
    model: type[SettingsModel], fields: tuple[Declared, ...], values: dict[str, Any]
) -> SettingsModel:
    """Return the settings that options make; what is refused is named as the option is."""
    try:
        return model(**_chosen(fields, values))
    except SettingError as why:
        options = {field.name: f"--{field.option}" for field in fields}
        if why.field not in options:
            raise
        raise InputError(f"{options[why.field]}: {why.reason}.") from why


def _parameter(field: Declared) -> inspect.Parameter:
    """Return a field as a parameter that typer makes an option of."""
    kinds: dict[str, Any] = {"flag": bool, "whole": int, "number": float, "path": Path}
    option = f"--{field.option}"
    several = field.kind == "pairs" or field.repeatable
    plain: Any = list[str] if several else kinds.get(field.kind, str)
    default = _default(field)
    help_text = f"{field.help}{_choices(field)}."
    names = [f"{option}/--no-{field.option}"] if field.kind == "flag" else [option]
    return inspect.Parameter(
        field.name,
        inspect.Parameter.KEYWORD_ONLY,
        default=default,
        annotation=Annotated[
            plain if default is not None else plain | None,
            typer.Option(*names, help=help_text, rich_help_panel=field.heading),
        ],
    )


def _default(field: Declared) -> Any:
    """Return a field's default as it is written on the command line."""
    if field.kind == "pairs" or field.default is None:
        return None
    if field.repeatable:
        return list(field.default) if field.kind == "names" else [field.default]
    if field.kind == "names":
        return ",".join(field.default)
    return str(field.default) if field.kind == "size" else field.default


def _choices(field: Declared) -> str:
    if field.kind == "names" and not field.choices:
        return "" if field.repeatable else ", comma separated"
    if not field.choices:
        return ""
    *most, last = field.choices
    words = f"{', '.join(most)} or {last}" if most else last
    return f": {words}" if field.kind != "names" else f", comma separated: {words}"


def _chosen(fields: tuple[Declared, ...], values: dict[str, Any]) -> dict[str, Any]:
    """Return what was asked for, as the settings take it."""
    chosen: dict[str, Any] = {}
    for field in fields:
        if field.name not in values:
            continue
        value = values[field.name]
        if field.repeatable:
            is_one = len(value) == 1 and field.kind != "names"
            value = value[0] if is_one else tuple(value)
        elif field.kind == "names":
            value = tuple(split_names(value))
        elif field.kind == "pairs":
            value = _pairs(field.option, value)
        chosen[field.name] = value
    return chosen


def _pairs(option: str, texts: list[str]) -> dict[str, str]:
    """Return the names and values of texts such as ``steps=50``."""
    pairs = {}
    for text in texts:
        name, equals, value = text.partition("=")
        if not equals:
            raise InputError(f"--{option} {text}: is not of the form name=value.")
        pairs[name.strip().replace("-", "_")] = value.strip()
    return pairs
