"""What commands print for machines: with ``--json`` one JSON object on stdout, and nothing else."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from contextvars import ContextVar
from functools import wraps
from typing import Annotated, Any, get_type_hints

import typer

from napari_globalxai.storage import json_text

_ASKED: ContextVar[bool] = ContextVar("json_asked", default=False)
_OPTION = Annotated[
    bool, typer.Option("--json", help="Print one JSON object, for machines, and nothing else.")
]
_NAME = "as_json"


def with_json(command: Callable[..., None]) -> Callable[..., None]:
    """Let a command take ``--json``: its `say` is silent then, and its `tell` is printed.

    It goes above `with_settings`.
    """

    @wraps(command)
    def called(**given: Any) -> None:
        token = _ASKED.set(given.pop(_NAME))
        try:
            command(**given)
        finally:
            _ASKED.reset(token)

    types = get_type_hints(command, include_extras=True)
    parameters = [
        each.replace(kind=inspect.Parameter.KEYWORD_ONLY, annotation=types[each.name])
        for each in inspect.signature(command).parameters.values()
    ]
    parameters.append(
        inspect.Parameter(_NAME, inspect.Parameter.KEYWORD_ONLY, default=False, annotation=_OPTION)
    )
    # Typer makes its options from the signature.
    called.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    called.__annotations__ = {each.name: each.annotation for each in parameters}
    return called


def for_machines() -> bool:
    """Return whether the command that runs was given ``--json``."""
    return _ASKED.get()


def tell(result: Mapping[str, Any]) -> None:
    """Print what a command came to as JSON, where ``--json`` asks for it.

    NaN becomes null, as JSON has none.
    """
    if for_machines():
        typer.echo(json_text(result))
