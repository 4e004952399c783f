"""Find the weights of a network in what training frameworks save around them.

Checkpoints hold weights under many keys, twice where a running average is kept, and with prefixes
of the wrappers that the network was trained in. Which weights are a network's is proved by names
and shapes: they must be its own, all of them.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from napari_globalxai.errors import InputError

# Inside these no network's weights are looked for.
_OTHERS = ("optim", "sched", "scaler", "callback", "loops", "hyper", "rng")
# Averages of weights, which are taken only where nothing else fits, or where they are asked for.
_AVERAGES = ("ema", "swa", "average", "shadow", "teacher")
# Parts of names that wrappers put in wherever they wrap.
_WRAPPERS = frozenset(
    ("_orig_mod", "module", "_fsdp_wrapped_module", "_checkpoint_wrapped_module", "_forward_module")
)
# PyTorch before 0.4.1 did not count batches; nothing depends on it.
_UNCOUNTED = "num_batches_tracked"
_WEIGHTS = (torch.float16, torch.bfloat16, torch.float32, torch.float64)
_DEEPEST = 4
_LISTED = 3


@dataclass(frozen=True)
class Weights:
    """Some weights of a checkpoint, fit for a network.

    Attributes
    ----------
    name : str
        The keys that lead to them, joined by dots, with what was stripped of their names.
    state : dict
        By the network's own names.
    stripped : str
        What was stripped of the names in the file; empty if nothing was.
    left_out : tuple of str
        Names beside them in the file that are not the network's.
    """

    name: str
    state: dict[str, Any]
    stripped: str = ""
    left_out: tuple[str, ...] = ()

    @property
    def is_average(self) -> bool:
        """Whether the name says that these are a running average of weights."""
        return any(word in self.name.lower() for word in _AVERAGES)


def load_checkpoint(
    module: nn.Module, checkpoint: Mapping[str, Any], path: Path, name: str, key: str | None = None
) -> list[str]:
    """Load the weights in a checkpoint into a network.

    Parameters
    ----------
    module : torch.nn.Module
        The network.
    checkpoint : mapping
        What the file holds.
    path : pathlib.Path
        The file, for messages.
    name : str
        The network's name, for messages.
    key : str, optional
        Which weights to take, where there are several: the card's ``weights_key``.

    Returns
    -------
    list of str
        What a person should know of the choice, a sentence each.

    Raises
    ------
    InputError
        When no weights fit, or none of that key.
    """
    groups = dict(_groups(checkpoint))
    if not groups:
        raise InputError(f"{path}: holds no state dict.")
    wanted = _own_shapes(module)
    fitting = [
        weights for place, state in groups.items() for weights in _fits(place, state, wanted)
    ]
    if key is not None:
        chosen = [each for each in fitting if _is_meant(each, key)]
        if not chosen:
            offered = ", ".join(each.name or "(top)" for each in fitting) or ", ".join(groups)
            raise InputError(
                f"{path}: the card's weights_key {key!r} names no weights that fit its network "
                f"{name}; there are {offered or 'none'}."
            )
        fitting = chosen
    if not fitting:
        return _load_as_it_is(module, groups, wanted, path, name)
    # The order of the file, but for averages.
    fitting.sort(key=lambda each: each.is_average)
    _check_numbers(module, fitting[0].state, path)
    module.load_state_dict(fitting[0].state)
    return _told(path, fitting)


def _check_numbers(module: nn.Module, state: Mapping[str, Any], path: Path) -> None:
    """Refuse numbers of another kind than the network's, which PyTorch would convert unsaid.

    Whole numbers in the place of weights are those of a quantised model without its scales.
    """
    own = module.state_dict()
    for key, value in state.items():
        is_weight = isinstance(value, Tensor) and isinstance(own.get(key), Tensor)
        if not is_weight or not own[key].is_floating_point():
            continue
        if value.dtype not in _WEIGHTS or value.layout != torch.strided or value.is_meta:
            kind = str(value.dtype).removeprefix("torch.")
            raise InputError(
                f"{path}: {key} is no dense tensor of float16, bfloat16, float32 or float64 but "
                f"of {kind} ({value.layout}, {value.device}); save the model in float32."
            )


def _load_as_it_is(
    module: nn.Module,
    groups: Mapping[str, Mapping[str, Any]],
    wanted: Mapping[str, tuple[int, ...]],
    path: Path,
    name: str,
) -> list[str]:
    """Leave it to the network, which may know names of former days; else say what does not fit."""
    for state in groups.values():
        _check_numbers(module, state, path)
        try:
            module.load_state_dict(dict(state))
        except (RuntimeError, KeyError, TypeError, AttributeError):
            continue
        return []
    raise InputError(f"{path}: does not fit the card's network {name} ({_misfit(groups, wanted)}).")


def _told(path: Path, fitting: list[Weights]) -> list[str]:
    taken, others = fitting[0], fitting[1:]
    told = []
    if others:
        names = [each.name or "those at its top" for each in fitting]
        told.append(
            f"{path.name} holds several sets of weights that fit; {names[0]} is taken, not "
            f"{' or '.join(names[1:])}: weights_key in the card chooses."
        )
    if taken.stripped:
        told.append(f"{path.name}: {taken.stripped} was stripped of the names of the weights.")
    if taken.left_out:
        told.append(
            f"{path.name}: {_listed(taken.left_out)} beside the weights "
            f"{'is' if len(taken.left_out) == 1 else 'are'} not the network's, and left out."
        )
    return told


def _groups(
    value: Any, place: str = "", depth: int = 0, seen: set[int] | None = None
) -> Iterator[tuple[str, dict[str, Any]]]:
    """Give each mapping that holds tensors, with the keys that lead to it."""
    # One mapping may stand in many places, each of which holds others of the kind.
    seen = set() if seen is None else seen
    if not isinstance(value, Mapping) or depth > _DEEPEST or id(value) in seen:
        return
    seen.add(id(value))
    # Keys of any other kind fit no network, but must not stop anything from saying so.
    named = {str(key): item for key, item in value.items()}
    if any(isinstance(item, Tensor) for item in named.values()):
        yield (
            place,
            # Some modules keep other things than tensors, under names like those of tensors.
            {
                key: item
                for key, item in named.items()
                if isinstance(item, Tensor) or ("." in key and not isinstance(item, Mapping))
            },
        )
    for key, item in named.items():
        if isinstance(item, Mapping) and not any(word in key.lower() for word in _OTHERS):
            yield from _groups(item, f"{place}.{key}".lstrip("."), depth + 1, seen)


def _own_shapes(module: nn.Module) -> dict[str, tuple[int, ...]]:
    return {key: _shape(value) for key, value in module.state_dict().items()}


def _shape(value: Any) -> tuple[int, ...]:
    return tuple(getattr(value, "shape", ()))


def _fits(
    place: str, state: Mapping[str, Any], wanted: Mapping[str, tuple[int, ...]]
) -> Iterator[Weights]:
    """Give what of some tensors are a network's weights, under each prefix that they may have."""
    taken: list[set[str]] = []
    for prefix in _prefixes(state, wanted):
        own: dict[str, Any] = {}
        stripped: set[str] = set()
        left_out = []
        for key, value in state.items():
            if not key.startswith(prefix):
                # Which `torch.optim.swa_utils` counts by.
                left_out += [key] if key != "n_averaged" else []
                continue
            short, wrappers = _unwrapped(key.removeprefix(prefix), wanted)
            own[short] = value
            stripped.update(wrappers)
        names = {key for key in state if key.startswith(prefix)}
        if _is_exact(own, wanted) and names not in taken:
            taken.append(names)
            told = [prefix] if prefix else []
            told += sorted(f"{each}." for each in stripped)
            name = f"{place}.{prefix}".strip(".")
            yield Weights(name, own, " and ".join(map(repr, told)), tuple(left_out))


def _prefixes(state: Mapping[str, Any], wanted: Mapping[str, tuple[int, ...]]) -> list[str]:
    """Return what may stand before the network's names, the empty prefix first."""
    if not wanted:
        return []
    # Found again by the longest name, which says the most.
    probe = max(wanted, key=lambda key: (not key.endswith(_UNCOUNTED), len(key)))
    found = [""]
    for key in state:
        for start in [0, *(place + 1 for place, letter in enumerate(key) if letter == ".")]:
            if start and _unwrapped(key[start:], wanted)[0] == probe:
                found.append(key[:start])
                break
    return list(dict.fromkeys(found))


def _unwrapped(key: str, wanted: Mapping[str, tuple[int, ...]]) -> tuple[str, list[str]]:
    """Return a name without what wrappers put into it, where the network has it so, and those."""
    if key in wanted:
        return key, []
    parts = key.split(".")
    short = ".".join(part for part in parts if part not in _WRAPPERS)
    return (short, [part for part in parts if part in _WRAPPERS]) if short in wanted else (key, [])


def _is_exact(state: Mapping[str, Any], wanted: Mapping[str, tuple[int, ...]]) -> bool:
    missing, unexpected, shapes = _differences(state, wanted)
    return bool(state) and not (missing or unexpected or shapes)


def _differences(
    state: Mapping[str, Any], wanted: Mapping[str, tuple[int, ...]]
) -> tuple[list[str], list[str], list[str]]:
    missing = [key for key in wanted if key not in state and not key.endswith(_UNCOUNTED)]
    unexpected = [key for key in state if key not in wanted]
    shapes = [key for key in wanted if key in state and _shape(state[key]) != wanted[key]]
    return missing, unexpected, shapes


def _misfit(groups: Mapping[str, Mapping[str, Any]], wanted: Mapping[str, tuple[int, ...]]) -> str:
    """Say what is missing and what is too much, of the weights that come nearest."""
    candidates = []
    for state in groups.values():
        for prefix in _prefixes(state, wanted):
            named = {
                _unwrapped(key.removeprefix(prefix), wanted)[0]: value
                for key, value in state.items()
                if key.startswith(prefix)
            }
            candidates.append((named, _differences(named, wanted)))
    state, (missing, unexpected, shapes) = min(candidates, key=lambda each: sum(map(len, each[1])))
    said = []
    if missing:
        said.append(f"missing: {_listed(missing)}")
    if unexpected:
        said.append(f"unexpected: {_listed(unexpected)}")
    if shapes:
        key = shapes[0]
        sizes = " × ".join(map(str, _shape(state[key]))), " × ".join(map(str, wanted[key]))
        more = f", and {len(shapes) - 1} more" if len(shapes) > 1 else ""
        said.append(f"of another shape: {key} is {sizes[0]}, not {sizes[1]}{more}")
    return "; ".join(said)


def _listed(names: Iterable[str]) -> str:
    names = list(names)
    more = f" and {len(names) - _LISTED} more" if len(names) > _LISTED else ""
    return ", ".join(names[:_LISTED]) + more


def _is_meant(weights: Weights, key: str) -> bool:
    """Return whether a key names weights: by all keys that lead to them, or the first or last."""
    name = weights.name
    return key == name or name.startswith(f"{key}.") or name.endswith(f".{key}")
