"""Commands whose help names no type behind a flag: it takes none."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import typer
from typer.core import TyperCommand, TyperGroup, TyperOption

Function = TypeVar("Function", bound=Callable[..., Any])


class _Command(TyperCommand):
    def get_params(self, ctx: Any) -> list[Any]:
        return _without_types(super().get_params(ctx))


class _Group(TyperGroup):
    def get_params(self, ctx: Any) -> list[Any]:
        return _without_types(super().get_params(ctx))


class App(typer.Typer):
    """A `typer.Typer` of such commands."""

    def __init__(self, **settings: Any) -> None:
        super().__init__(cls=_Group, **settings)

    def command(self, *names: Any, **settings: Any) -> Callable[[Function], Function]:
        """Return what makes a command of a function."""
        made: Callable[[Function], Function] = super().command(*names, cls=_Command, **settings)
        return made


def _without_types(parameters: list[Any]) -> list[Any]:
    for each in parameters:
        if isinstance(each, TyperOption) and each.is_flag:
            # Else --trust <bool>, which reads as if a value were to follow.
            each.metavar = ""
    return parameters
