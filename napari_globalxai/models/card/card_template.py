"""Write a model card with what the model's files tell, and places for what they do not."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml
from pydantic import BaseModel
from torch import Tensor, nn

from napari_globalxai.addresses import is_remote, local_path, place
from napari_globalxai.errors import InputError
from napari_globalxai.models.card.model_card import FILL_IN, InputCard, ModelCard
from napari_globalxai.models.files.bundle import bundle_facts, is_bundle
from napari_globalxai.models.files.weights import read_weights
from napari_globalxai.models.files.weights_file import WeightsFile
from napari_globalxai.storage import atomic_path, check_regular


def write_card_template(
    model: str | Path, out: str | Path | None = None, *, force: bool = False, trust: bool = False
) -> tuple[Path, list[str]]:
    """Write a model card to fill in.

    Parameters
    ----------
    model : str or pathlib.Path
        Weights in any format that `load_model` reads, or a MONAI bundle.
    out : str or pathlib.Path, optional
        Where to write it; by default beside the weights, where it is looked for.
    force : bool, optional
        Whether to write over a card that is there.
    trust : bool, optional
        As for `load_model`; without it, less can be found out about some formats.

    Returns
    -------
    pathlib.Path
        The card.
    list of str
        Facts that must be filled in.

    Raises
    ------
    InputError
        When there is no such model, or there is a card already.
    """
    path = local_path(model, "the model")
    if not path.exists():
        raise InputError(f"{path}: the model does not exist.")
    if path.is_dir() and not is_bundle(path):
        raise InputError(f"{path}: is a folder but no MONAI bundle; name the file of the weights.")
    if not path.is_dir():
        check_regular(path)
    if out is None:
        target = place_of_card(path)
    elif is_remote(place(out)):
        raise InputError(f"{place(out)}: a card is written to this machine; name a file of it.")
    else:
        target = Path(out)
    if target.exists() and not force:
        raise InputError(f"{target}: is there already; --force writes over it.")
    card = suggested_card(path, trust)
    missing = [key for key in card if FILL_IN in str(card[key]) and key != "input"]
    missing += [f"input.{key}" for key, value in card["input"].items() if value == FILL_IN]
    lines = [f"# Model card. Replace every {FILL_IN} with what you know of the model."]
    if "modality" not in card:
        lines.append("# modality: chest X-ray  # what the images are, in the words of the report")
    with atomic_path(target) as temporary:
        temporary.write_text("\n".join([lines[0], card_text(card), *lines[1:], ""]), "utf-8")
    return target, missing


def place_of_card(path: Path) -> Path:
    """Return where the card of weights or of a bundle is looked for."""
    return path / "model.yaml" if path.is_dir() else path.with_suffix(".yaml")


def _weights_facts(path: Path, trust: bool) -> dict[str, Any]:
    """Return what weights tell: channels of the first layer, outputs of the last."""
    facts: dict[str, Any] = {"weights": path.name}
    try:
        found = read_weights(WeightsFile(path), trust)
    except InputError as why:
        if "--trust" not in str(why):
            raise
        return facts
    state = found.state_dict() if isinstance(found, nn.Module) else found
    tensors = [value for value in state.values() if isinstance(value, Tensor)]
    kernels = [value for value in tensors if value.ndim == 4]
    matrices = [value for value in tensors if value.ndim == 2]
    if path.suffix.lower() == ".safetensors":
        # Sorted by name, not by place: only what can be nothing else tells something.
        kernels = [value for value in kernels if 1 < value.shape[1] <= 4]
        kernels, matrices = (each if len(each) == 1 else [] for each in (kernels, matrices))
    if kernels:
        facts["input"] = {"channels": int(kernels[0].shape[1])}
    if matrices:
        facts["labels"] = [f"{FILL_IN} {number}" for number in range(1, len(matrices[-1]) + 1)]
    if not isinstance(found, nn.Module):
        facts["network"] = {"name": FILL_IN, "arguments": {}}
    return facts


def suggested_card(path: Path, trust: bool = False) -> dict[str, Any]:
    """Return the content of a card with what a model's files tell, and `FILL_IN` for the rest."""
    known = bundle_facts(path) if is_bundle(path) else _weights_facts(path, trust)
    given = dict(known.get("input", {}))
    card: dict[str, Any] = {
        "weights": known.get("weights", "model"),
        "labels": known.get("labels", [FILL_IN]),
        "activation": known.get("activation", "sigmoid"),
        "orientation": "L",
        "input": {
            "channels": given.get("channels") or FILL_IN,
            "height": given.get("height", FILL_IN),
            "width": given.get("width", FILL_IN),
            "range": given.get("range", [0, 1]),
            "mean": given.get("mean", FILL_IN),
            "std": given.get("std", FILL_IN),
        },
    }
    for key in ("per_image", "transposed", "fit", "transforms"):
        if key in given:
            card["input"][key] = given[key]
    if given.get("per_image", {}).get("scaling") == "z-score" or "transforms" in given:
        for key in ("range", "mean", "std"):
            card["input"].pop(key)
    if "network" in known:
        card["network"] = known["network"]
    return card


def card_text(content: Mapping[str, Any]) -> str:
    """Return a card as YAML, with a word on each fact that a card has; others stay as they are."""
    return "\n".join(
        line for key, value in content.items() for line in _entry(key, value, ModelCard)
    )


def _entry(key: Any, value: Any, model: type[BaseModel]) -> list[str]:
    known = model.model_fields.get(key) if isinstance(key, str) else None
    if known is None:
        text = yaml.safe_dump({key: value}, allow_unicode=True, sort_keys=False, width=10_000)
        return text.rstrip().splitlines()
    comment = f"  # {known.description}"
    if key == "input" and isinstance(value, Mapping):
        inside = [line for name, each in value.items() for line in _entry(name, each, InputCard)]
        return [f"{key}:{comment}", *(f"  {line}" for line in inside)]
    # In a list, because alone a word would be followed by the end of a document.
    text = yaml.safe_dump([value], default_flow_style=True, allow_unicode=True, width=10_000)
    return [f"{key}: {text.strip()[1:-1]}{comment}"]
