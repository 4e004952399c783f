"""The chain of MONAI transforms in a bundle's configuration: found, and its references replaced."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from napari_globalxai.models.files.transform_chain import plain_name

LOAD = "LoadImage"
_SWAPPED = ([0, 2, 1], [0, -1, -2])
# How many references may lead to each other.
_MOST_REFERENCES = 20
# Under this name MONAI's bundles keep what they do to images before their network.
_PREPROCESSING = "preprocessing"


@dataclass(frozen=True)
class Chain:
    """What a bundle does to an image before its network.

    Attributes
    ----------
    steps : tuple of mapping
        Its transforms, those that are switched off or do not touch the image left out.
    is_whole : bool
        False where some of it are expressions that were not read.
    """

    steps: tuple[Mapping[str, Any], ...]
    is_whole: bool


def find_chain(configs: Iterable[Mapping[str, Any]]) -> Chain | None:
    """Return the first chain of a bundle's configurations that begins by loading images.

    Parameters
    ----------
    configs : iterable of mapping
        The bundle's configurations, those that tell of inference first.

    Returns
    -------
    Chain or None
        None where there is none; without steps where there is one, but behind an expression.
    """
    for config in configs:
        for found in _chains(config):
            steps = [_replaced(step, config) for step in found]
            given = [step for step in steps if isinstance(step, Mapping)]
            key = _key_of_image(given)
            kept = [each for each in given if each.get("_disabled_") is not True]
            kept = [each for each in kept if _touches(each, key)]
            return Chain(tuple(kept), len(given) == len(steps))
        own = config.get(_PREPROCESSING)
        if isinstance(own.get("transforms") if isinstance(own, Mapping) else own, str):
            return Chain((), False)
    return None


def name_of(step: Mapping[str, Any]) -> str:
    """Return a transform's name without the module and without MONAI's mark of dictionaries."""
    return plain_name(str(step.get("_target_") or ""))


def target_of(step: Mapping[str, Any]) -> str:
    """Return a transform's name as the bundle writes it."""
    return str(step.get("_target_", "a step without _target_"))


def is_turned(transposed: bool, transforms: Iterable[Any]) -> bool:
    """Return whether a card's network takes the card's columns as rows.

    Parameters
    ----------
    transposed : bool
        The card's word.
    transforms : iterable
        The card's transforms, by name or as mappings.
    """
    turned = bool(transposed)
    for step in transforms:
        if isinstance(step, Mapping):
            name, quarters = name_of(step), step.get("k", 1)
            odd = name == "Rotate90" and isinstance(quarters, int) and quarters % 2 == 1
            turned ^= odd or (name == "Transpose" and is_swap(step))
    return turned


def is_swap(step: Mapping[str, Any]) -> bool:
    """Return whether a `Transpose` exchanges rows and columns."""
    return list(step.get("indices") or ()) in _SWAPPED


def _chains(value: Any) -> Iterator[Sequence[Any]]:
    """Give the chains of transforms in a configuration that begin by loading images."""
    if isinstance(value, Mapping):
        steps = value.get("transforms")
        if isinstance(steps, list) and any(
            isinstance(step, Mapping) and name_of(step) == LOAD for step in steps
        ):
            yield steps
        for item in value.values():
            yield from _chains(item)
    elif isinstance(value, list):
        for item in value:
            yield from _chains(item)


def _replaced(value: Any, config: Mapping[str, Any]) -> Any:
    """Return a value with the references replaced that lead to something.

    References within what one leads to stay as they are, or a file could make them many.
    """
    if isinstance(value, Mapping):
        return {name: _replaced(item, config) for name, item in value.items()}
    if isinstance(value, list):
        return [_replaced(item, config) for item in value]
    for _ in range(_MOST_REFERENCES):
        if not isinstance(value, str) or not value.startswith("@"):
            break
        found: Any = config
        for part in value[1:].replace("#", "::").split("::"):
            try:
                found = found[int(part)] if isinstance(found, list) else found[part]
            except (KeyError, IndexError, ValueError, TypeError):
                return value
        value = found
    return value


def _keys(step: Mapping[str, Any]) -> list[Any]:
    keys = step.get("keys", [])
    return keys if isinstance(keys, list) else [keys]


def _key_of_image(steps: Sequence[Mapping[str, Any]]) -> Any:
    """Return the entry of a dictionary that holds the image, or None."""
    loaded = [key for step in steps if name_of(step) == LOAD for key in _keys(step)]
    return "image" if "image" in loaded else next(iter(loaded), None)


def _touches(step: Mapping[str, Any], key: Any) -> bool:
    """Return whether a step is about the image, not about a label beside it."""
    keys = _keys(step)
    plain = all(isinstance(each, str) and not each.startswith(("$", "@")) for each in keys)
    return not keys or key is None or not plain or key in keys
