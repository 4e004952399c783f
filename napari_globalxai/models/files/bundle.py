"""Read MONAI bundles: a folder or a zip file with metadata, configuration and weights.

A bundle's configuration is a small programming language: values that begin with ``$`` are Python,
and ``_target_`` calls anything that can be imported. Unless the user trusts the bundle, only a
network of MONAI's with plain arguments is built from it, by `build_network`.
"""

from __future__ import annotations

import stat
import zipfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any, Protocol

from torch import nn

from napari_globalxai.errors import InputError
from napari_globalxai.models.card.model_card import ModelCard, NetworkCard, validate_card
from napari_globalxai.models.files.archive_sizes import DAMAGED_ARCHIVE, check_archive
from napari_globalxai.models.files.bundle_chain import is_turned
from napari_globalxai.models.files.bundle_preprocessing import (
    preprocessing_differences,
    preprocessing_facts,
    preprocessing_notes,
)
from napari_globalxai.models.files.importing import importable
from napari_globalxai.models.files.networks import TRUST
from napari_globalxai.models.files.weights_file import WeightsFile
from napari_globalxai.models.files.yaml_text import parse_text
from napari_globalxai.storage import check_regular, is_regular, read_bytes

_METADATA = "configs/metadata.json"
_CONFIGS = tuple(
    f"configs/{name}.{kind}" for name in ("inference", "evaluate", "train")
    for kind in ("json", "yaml", "yml")
)  # fmt: skip
_WEIGHTS = ("models/model.safetensors", "models/model.pt", "models/model.ts")
_SCALES = ("range", "mean", "std", "per_image")
_NETWORKS = "monai.networks.nets."
# Names under which configurations define their network.
_NETWORK_KEYS = ("network_def", "network", "net")


@dataclass(frozen=True)
class Bundle:
    """What a bundle holds.

    Attributes
    ----------
    card : ModelCard
        Its facts, from its metadata and, before that, its ``model.yaml``.
    weights : WeightsFile
        Its weights.
    network : NetworkCard or torch.nn.Module or None
        Its architecture; None for TorchScript.
    notes : tuple of str
        What a person should know of it, a sentence each.
    """

    card: ModelCard
    weights: WeightsFile
    network: NetworkCard | nn.Module | None
    notes: tuple[str, ...] = ()


class _Files(Protocol):
    path: Path

    def read(self, name: str) -> bytes | None:
        """Return a file's content by its path in the bundle, or None where there is none."""


class _Folder:
    def __init__(self, path: Path) -> None:
        self.path = path

    def read(self, name: str) -> bytes | None:
        file = self.path / name
        return read_bytes(file) if is_regular(file) else None


class _Archive:
    """Files of a zip archive, read into memory: nothing is ever unpacked."""

    def __init__(self, path: Path) -> None:
        self.path = path
        try:
            with zipfile.ZipFile(path) as archive:
                for entry in archive.infolist():
                    self._check(entry)
                check_archive(archive, path.stat().st_size, path)
                names = archive.namelist()
        except DAMAGED_ARCHIVE as why:
            raise InputError(f"{path}: is not a zip file ({why}).") from why
        # Most archives hold one folder with everything in it.
        found = next((name for name in names if name.endswith(_METADATA)), _METADATA)
        self._top = found.removesuffix(_METADATA)

    def _check(self, entry: zipfile.ZipInfo) -> None:
        """Refuse entries that would lie outside the archive's folder, though nothing is unpacked.

        An archive that has them was made to do harm; no other part of it is to be believed.
        """
        name = entry.filename.replace("\\", "/")
        outside = name.startswith("/") or ".." in PurePosixPath(name).parts or ":" in name
        if outside or stat.S_ISLNK(entry.external_attr >> 16):
            raise InputError(
                f"{self.path}: its entry {entry.filename!r} leads out of the archive; it is not "
                "opened."
            )

    def read(self, name: str) -> bytes | None:
        with zipfile.ZipFile(self.path) as archive:
            try:
                entry = archive.getinfo(self._top + name)
            except KeyError:
                return None
            try:
                return archive.read(entry)
            except (*DAMAGED_ARCHIVE, RuntimeError) as why:
                raise InputError(
                    f"{self.path}: its entry {entry.filename!r} is damaged ({why}); get the bundle "
                    "anew."
                ) from why


def is_bundle(path: Path) -> bool:
    """Return whether a path is a MONAI bundle: a folder or zip file with ``configs``."""
    if path.is_dir():
        return is_regular(path / _METADATA)
    return path.suffix.lower() == ".zip"


def read_bundle(path: Path, trust: bool) -> Bundle:
    """Read a bundle.

    Parameters
    ----------
    path : pathlib.Path
        Folder or zip file.
    trust : bool
        Whether the code in its configuration may run.

    Raises
    ------
    InputError
        When a part is missing or wrong, or would have to be trusted.
    """
    files = _open(path)
    content = card_content(files, trust)
    weights = next(
        (
            WeightsFile(path / name, found if isinstance(files, _Archive) else None)
            for name in dict.fromkeys((str(content.get("weights", "")), *_WEIGHTS))
            if name and (found := files.read(name)) is not None
        ),
        None,
    )
    if weights is None:
        raise InputError(f"{path}: the bundle has no weights; looked for {', '.join(_WEIGHTS)}.")
    content["weights"] = weights.path.name
    missing = [fact for fact in ("labels", "input") if fact not in content]
    if missing:
        raise InputError(
            f"{path}: the bundle's metadata do not tell its {' and '.join(missing)}; this writes a "
            f"card to fill in: napari-globalxai card {path.name}"
        )
    card = validate_card(content, path)
    network: NetworkCard | nn.Module | None = card.network
    if network is None and weights.path.suffix != ".ts":
        network = _network_of(files, trust)
    notes = preprocessing_notes(_configs(files), card.input)
    unlike = preprocessing_differences(_configs(files), card.input)
    if unlike and not _says_input(_own_card(files)):
        raise InputError(
            f"{path}: its preprocessing has what is not known here: {'; '.join(unlike)}; say in a "
            "model.yaml in it, under input, what the network takes (transposed, fit, transforms or "
            f"range, mean and std), or let its transforms run: {TRUST}."
        )
    return Bundle(card, weights, network, tuple(notes))


def _configs(files: _Files) -> Iterator[dict[str, Any]]:
    """Give the bundle's configurations, those that tell of inference first."""
    for name in _CONFIGS:
        if (config := _read_mapping(files, name)) is not None:
            yield config


def bundle_facts(path: Path) -> dict[str, Any]:
    """Return what a bundle tells of its model, in the form of a card."""
    return card_content(_open(path))


def card_content(files: _Files, trust: bool = False) -> dict[str, Any]:
    """Return the content of a bundle's card; what ``model.yaml`` says comes first."""
    try:
        content = _facts(_read_mapping(files, _METADATA) or {})
    except (AttributeError, TypeError, ValueError) as why:
        raise InputError(
            f"{files.path / _METADATA}: is not as MONAI's metadata are ({why})."
        ) from why
    own = _own_card(files)
    shape = content.get("input", {})
    size = [shape["height"], shape["width"]] if "height" in shape else []
    _add_chain(content, own, preprocessing_facts(_configs(files), size, trust))
    for key, value in own.items():
        if isinstance(value, Mapping) and isinstance(content.get(key), Mapping):
            content[key] = {**content[key], **value}
        else:
            content[key] = value
    return content


def _own_card(files: _Files) -> dict[str, Any]:
    """Return the card in a bundle, or beside its zip file; empty where there is none."""
    own = _read_mapping(files, "model.yaml")
    beside = files.path.with_suffix(".yaml")
    if own is None and isinstance(files, _Archive) and is_regular(beside):
        own = _parse(read_bytes(beside), beside)
    return own or {}


def _says_input(own: Mapping[str, Any]) -> bool:
    """Return whether a bundle's card says itself what the network takes."""
    told = own.get("input")
    return isinstance(told, Mapping) and any(
        key in told for key in (*_SCALES, "transposed", "fit", "transforms")
    )


def _add_chain(content: dict[str, Any], own: Mapping[str, Any], chain: Mapping[str, Any]) -> None:
    """Add what the bundle's chain of transforms tells, unless its ``model.yaml`` says otherwise."""
    given = content.get("input")
    told = own.get("input")
    if not chain or given is None:
        return
    facts, told = dict(chain), told if isinstance(told, Mapping) else {}
    if any(key in told for key in (*_SCALES, "transforms")):
        facts = {key: facts[key] for key in ("transposed", "fit") if key in facts}
    elif "transforms" in facts or facts.get("per_image", {}).get("scaling") == "z-score":
        given.pop("range", None)
    if is_turned(
        told.get("transposed", facts.get("transposed", False)),
        told.get("transforms", facts.get("transforms", ())),
    ):
        # Metadata tell the shape that the network sees.
        given["height"], given["width"] = given["width"], given["height"]
    given.update(facts)


def _open(path: Path) -> _Files:
    if path.is_dir():
        return _Folder(path)
    check_regular(path)
    return _Archive(path)


def _facts(metadata: Mapping[str, Any]) -> dict[str, Any]:
    """Return what metadata tell, in the form of a card; they may lack any of it."""
    formats = metadata.get("network_data_format", {})
    given: Mapping[str, Any] = next(iter(formats.get("inputs", {}).values()), {})
    answer: Mapping[str, Any] = next(iter(formats.get("outputs", {}).values()), {})
    facts: dict[str, Any] = {"name": str(metadata.get("name", ""))}
    shape = given.get("spatial_shape", ())
    if len(shape) == 2 and all(isinstance(size, int) for size in shape):
        facts["input"] = {"height": shape[0], "width": shape[1]}
        channels = [str(name).lower() for _, name in sorted(given.get("channel_def", {}).items())]
        known = channels and set(channels) <= {"red", "green", "blue", "grey"}
        facts["input"]["channels"] = channels if known else given.get("num_channels")
        if len(given.get("value_range", ())) == 2:
            facts["input"]["range"] = given["value_range"]
    labels = {int(index): str(name) for index, name in answer.get("channel_def", {}).items()}
    if labels and len(labels) == answer.get("num_channels", len(labels)):
        facts["labels"] = [labels[index] for index in sorted(labels)]
    return facts


def _network_of(files: _Files, trust: bool) -> NetworkCard | nn.Module:
    for name in _CONFIGS:
        config = _read_mapping(files, name)
        if config is None:
            continue
        for key in _NETWORK_KEYS:
            if key in config:
                if trust:
                    return _run_config(files, config, key)
                return _plain_network(config, key, files.path / name)
    raise InputError(
        f"{files.path}: the bundle's configuration defines no network_def; name the network in a "
        "model.yaml in it."
    )


def _plain_network(config: Mapping[str, Any], key: str, source: Path) -> NetworkCard:
    """Return the network of a configuration that says no more than its name and arguments."""
    definition = _plain(config[key], config, key, source)
    if not isinstance(definition, dict) or not isinstance(definition.get("_target_"), str):
        raise InputError(f"{source}: {key} names no _target_.")
    target = str(definition.pop("_target_"))
    name = target.rpartition(".")[2]
    if "." in target and not target.startswith(_NETWORKS):
        raise InputError(
            f"{source}: {key} calls {target}, which is no network of MONAI's; {TRUST}."
        )
    special = [name for name in definition if name.startswith("_") and name != "_desc_"]
    if special:
        raise InputError(f"{source}: {key} uses {special[0]}; {TRUST}.")
    definition.pop("_desc_", None)
    return NetworkCard(name=name, arguments=definition)


def _plain(value: Any, config: Mapping[str, Any], key: str, source: Path, depth: int = 0) -> Any:
    """Return a value with its references replaced, or refuse what would run code."""
    if depth > 20:
        raise InputError(f"{source}: {key} refers to itself.")
    if isinstance(value, str) and value.startswith(("$", "%")):
        raise InputError(f"{source}: {key} holds the expression {value[:60]!r}; {TRUST}.")
    if isinstance(value, str) and value.startswith("@"):
        found: Any = config
        for part in value[1:].replace("#", "::").split("::"):
            try:
                found = found[int(part)] if isinstance(found, list) else found[part]
            except (KeyError, IndexError, ValueError, TypeError) as why:
                raise InputError(
                    f"{source}: {key} refers to {value!r}, which is not there."
                ) from why
        return _plain(found, config, f"{key} ({value})", source, depth + 1)
    if isinstance(value, dict):
        if depth > 0 and "_target_" in value:
            raise InputError(f"{source}: {key} calls {value['_target_']!r}; {TRUST}.")
        return {
            name: _plain(item, config, f"{key}.{name}", source, depth + 1)
            for name, item in value.items()
        }
    if isinstance(value, list):
        return [_plain(item, config, key, source, depth + 1) for item in value]
    return value


def _run_config(files: _Files, config: Mapping[str, Any], key: str) -> nn.Module:
    """Let MONAI build the network, running what the configuration holds."""
    from monai.bundle import ConfigParser

    parser = ConfigParser(dict(config))
    parser["bundle_root"] = str(files.path)
    try:
        with importable(files.path):
            network = parser.get_parsed_content(key)
    # Whatever the bundle's own code raises.
    except Exception as why:
        reason = " ".join(str(why).split())[:200] or type(why).__name__
        raise InputError(f"{files.path}: its {key} cannot be built ({reason}).") from why
    if not isinstance(network, nn.Module):
        raise InputError(f"{files.path}: its {key} is not a network.")
    return network


def _read_mapping(files: _Files, name: str) -> dict[str, Any] | None:
    content = files.read(name)
    return None if content is None else _parse(content, files.path / name)


def _parse(content: bytes, source: Path) -> dict[str, Any]:
    try:
        value = parse_text(content, is_json=source.suffix == ".json")
    except ValueError as why:
        raise InputError(f"{source}: cannot be read ({why}).") from why
    if not isinstance(value, dict):
        raise InputError(f"{source}: holds no mapping.")
    return value
