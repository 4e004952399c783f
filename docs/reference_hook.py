"""Write the reference pages of the site from the code, each time that it is built.

So no page can say something else than ``--help`` or a form: all are made from one declaration.
"""

from __future__ import annotations

import importlib
import pkgutil
from pathlib import Path

import typer
from mkdocs.structure.files import File

import napari_globalxai
import napari_globalxai.settings
from napari_globalxai.cli.commands import app
from napari_globalxai.settings.declared import Declared, SettingsModel, declared_fields

ROOT = Path(__file__).resolve().parent.parent


def on_files(files, config):
    """Add the pages; called by MkDocs."""
    pages = {
        "reference/commands.md": commands_page(),
        "reference/settings.md": settings_page(),
        "reference/api.md": api_page(),
        "contributing.md": contributing_page(),
    }
    for path, text in pages.items():
        files.append(File.generated(config, path, content=text))
    return files


def commands_page() -> str:
    """Return every command with its arguments and options."""
    group = typer.main.get_command(app)
    lines = ["# Commands", ""]
    for name, command in sorted(group.commands.items()):
        lines += [f"## {name}", "", command.help or "", "", "| option | meaning |", "|---|---|"]
        for parameter in command.params:
            if parameter.name == "help":
                continue
            names = [*parameter.opts, *parameter.secondary_opts]
            if parameter.param_type_name == "argument":
                names = [(parameter.name or "").upper()]
            shown = ", ".join(f"`{each}`" for each in names)
            lines.append(f"| {shown} | {cell(getattr(parameter, 'help', '') or '')} |")
        lines.append("")
    return "\n".join(lines)


def settings_page() -> str:
    """Return every class of settings with its fields."""
    lines = [
        "# Settings",
        "",
        "Each is a field in Python, an option of the commands that take it, and a line of the "
        "panels' forms.",
        "",
    ]
    for model in settings_models():
        lines += [
            f"## {model.__name__}",
            "",
            (model.__doc__ or "").splitlines()[0],
            "",
            "| field | option | default | meaning |",
            "|---|---|---|---|",
        ]
        lines += [row(field) for field in declared_fields(model)] + [""]
    return "\n".join(lines)


def settings_models() -> list[type[SettingsModel]]:
    """Return the settings that people give, by the modules that declare them."""
    found: dict[str, type[SettingsModel]] = {}
    package = napari_globalxai.settings
    for module in pkgutil.iter_modules(package.__path__):
        loaded = importlib.import_module(f"{package.__name__}.{module.name}")
        for name, value in vars(loaded).items():
            is_settings = isinstance(value, type) and issubclass(value, SettingsModel)
            if is_settings and value.__module__ == loaded.__name__ and declared_fields(value):
                found[name] = value
    return [found[name] for name in sorted(found)]


def row(field: Declared) -> str:
    """Return a field as a row of a table."""
    default = field.placeholder or ("" if field.default is None else f"`{field.default}`")
    choices = "".join(
        f"<br>`{name}`" + (f": {text}" if text else "") for name, text in field.choices.items()
    )
    cells = (
        f"`{field.name}`",
        f"`--{field.option}`",
        cell(default),
        cell(field.help) + cell(choices),
    )
    return f"| {' | '.join(cells)} |"


def api_page() -> str:
    """Return the public names of the package."""
    lines = [
        "# Python",
        "",
        "Every name is imported from `napari_globalxai`, by custom as `gx`.",
        "",
    ]
    for name in napari_globalxai.__all__:
        home = napari_globalxai._HOME.get(name)
        if home is not None:
            lines += [f"::: {home}.{name}", ""]
    return "\n".join(lines)


def contributing_page() -> str:
    """Return the page for contributors, which stands at the top of the repository."""
    return (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")


def cell(text: str) -> str:
    """Return text as it may stand in a cell of a table."""
    return " ".join(text.split()).replace("|", "\\|")
