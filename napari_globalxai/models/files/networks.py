"""Build the architecture that a card names, with fresh weights."""

from __future__ import annotations

import importlib
import importlib.util
import inspect
import re
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

from torch import nn

from napari_globalxai.errors import InputError
from napari_globalxai.models.card.model_card import NetworkCard

# Goes behind a semicolon, wherever something is refused that would need trust.
TRUST = (
    "it can run code, so it is used only where you say that you trust it: --trust (trust=True in "
    "Python)"
)

_TIMM_LOADING = ("pretrained", "checkpoint", "cache_dir")
# Words in the names of arguments by which networks load something.
_REACHING = frozenset(
    (
        *("pretrained", "pretraining", "checkpoint", "ckpt", "weights", "url", "uri", "download"),
        *("cache", "path", "file", "filename", "dir", "directory", "folder", "hub", "hf"),
    )
)


def build_network(network: NetworkCard, source: Path, *, trust: bool = False) -> nn.Module:
    """Build a network from its card, with fresh weights.

    Of MONAI, only names in `monai.networks.nets` are looked up, of timm only those in its registry,
    so that a card cannot run other code or have something downloaded.

    Parameters
    ----------
    network : NetworkCard
        What to build.
    source : pathlib.Path
        The file that the card belongs to, for messages; a factory's file is looked for beside it.
    trust : bool, optional
        Whether a factory of somebody's own may be run.

    Raises
    ------
    InputError
        When there is no such network, it does not take the arguments, or is not trusted.
    """
    if network.factory is not None:
        factory, name = _own_factory(network.factory, source, trust), network.factory
    elif network.timm is not None:
        factory, name = _timm_factory(network, source), f"timm's {network.timm}"
    else:
        assert network.name is not None
        factory, name = _monai_factory(network.name, source), f"MONAI's {network.name}"
    arguments = dict(network.arguments)
    if network.factory is None:
        _refuse_reaching(arguments, name, source)
    if network.name is not None and "pretrained" in inspect.signature(factory).parameters:
        # The weights come from the card's file; MONAI would download others.
        arguments["pretrained"] = False
    try:
        module = factory(**arguments)
    # Networks check their arguments in as many ways as there are networks.
    except Exception as why:
        # What lacks is told with the traceback of its import.
        reason = " ".join(str(why).partition("Original traceback")[0].split())
        raise InputError(
            f"{source}: {name} does not take the card's arguments ({reason})."
        ) from why
    if not isinstance(module, nn.Module):
        raise InputError(f"{source}: {name} is not a network.")
    return module


def _refuse_reaching(arguments: Mapping[str, Any], name: str, source: Path) -> None:
    """Refuse arguments by which a network could load a file or something from the internet."""
    for key, value in arguments.items():
        words = set(key.casefold().split("_"))
        asks = bool(words & _REACHING) and (
            value is True or (isinstance(value, str) and value != "")
        )
        # MONAI's own switch is turned off anyway.
        if (asks and key != "pretrained") or _names_a_place(value):
            raise InputError(
                f"{source}: the argument {key} of {name} could load a file or something from the "
                "internet; the card's weights are all that is loaded, so leave it out."
            )


def _names_a_place(value: Any) -> bool:
    if isinstance(value, Mapping):
        return any(_names_a_place(each) for pair in value.items() for each in pair)
    if isinstance(value, list | tuple):
        return any(map(_names_a_place, value))
    return isinstance(value, str) and any(mark in value for mark in ("/", "\\", "~"))


def _monai_factory(name: str, source: Path) -> Callable[..., Any]:
    import monai.networks.nets as nets

    factory = getattr(nets, name, None)
    if name.startswith(("_", "get_")) or not callable(factory):
        raise InputError(f"{source}: MONAI has no network {name!r}.")
    result: Callable[..., Any] = factory
    return result


def _timm_factory(network: NetworkCard, source: Path) -> Callable[..., Any]:
    try:
        import timm
    # Where torchvision and torch do not fit each other, timm's import fails otherwise.
    except (ImportError, RuntimeError) as why:
        raise InputError(
            f"{source}: its network is of timm's, which cannot be imported ({why}); "
            "pip install 'napari-globalxai[timm]'."
        ) from why
    name = str(network.timm)
    # No colons or slashes: with those, timm would fetch a model from a hub or a folder.
    if not re.fullmatch(r"[\w.-]+", name) or not timm.is_model(name):
        raise InputError(f"{source}: timm has no model {name!r}.")
    loading = [each for each in network.arguments if each.startswith(_TIMM_LOADING)]
    if loading:
        raise InputError(
            f"{source}: the argument {loading[0]} of timm would load other weights than the card's."
        )
    return partial(timm.create_model, name, pretrained=False)


def _own_factory(name: str, source: Path, trust: bool) -> Callable[..., Any]:
    if not trust:
        raise InputError(f"{source}: its network is made by {name}; {TRUST}.")
    module_name, _, function = name.partition(":")
    try:
        if module_name.endswith(".py"):
            specification = importlib.util.spec_from_file_location(
                Path(module_name).stem, source.parent / module_name
            )
            assert specification is not None
            assert specification.loader is not None
            module = importlib.util.module_from_spec(specification)
            specification.loader.exec_module(module)
        else:
            module = importlib.import_module(module_name)
        factory: Callable[..., Any] = getattr(module, function)
    # Whatever the user's own code raises when it is imported.
    except Exception as why:
        reason = " ".join(str(why).split()) or type(why).__name__
        raise InputError(f"{source}: {name} cannot be imported ({reason}).") from why
    return factory
