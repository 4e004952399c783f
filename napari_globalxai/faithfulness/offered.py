"""What other packages offer under a name, held against what it must declare."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from napari_globalxai.catalogue import Catalogue
from napari_globalxai.errors import InputError


def offered_class(catalogue: Catalogue, name: str, parts: Sequence[str]) -> Any:
    """Return a class by name.

    Parameters
    ----------
    catalogue : Catalogue
        Where it is listed.
    name : str
        Its name.
    parts : sequence of str
        Attributes and methods that it must have.

    Raises
    ------
    InputError
        When there is none of that name, it cannot be imported, or it lacks a part.
    """
    found = catalogue.load(name)
    lacking = [part for part in parts if not hasattr(found, part)]
    if lacking:
        raise InputError(
            f"The {catalogue.noun} {name!r} declares no {lacking[0]}; mend the package that offers "
            "it, or remove it."
        )
    return found
