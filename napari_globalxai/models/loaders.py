"""Read a classifier from the files in which people save them, without running code from them."""

from __future__ import annotations

import inspect
import pickle
import warnings
import zipfile
from pathlib import Path
from typing import Any

import torch
from torch import nn

from napari_globalxai.errors import InputError
from napari_globalxai.models.card import ModelCard, NetworkCard, read_card
from napari_globalxai.models.classifier import Classifier


def load_model(path: str | Path, *, device: str = "auto", precision: str = "auto") -> Classifier:
    """Load a classifier from its card or its weights and check one against the other.

    Parameters
    ----------
    path : str or pathlib.Path
        The model card, or the weights with the card beside them: TorchScript, or safetensors or a
        state dict of a MONAI network that the card names.
    device : str, optional
        ``auto`` (CUDA, else Apple's MPS, else the CPU) or a torch device.
    precision : str, optional
        As for `Classifier`.

    Returns
    -------
    Classifier

    Raises
    ------
    InputError
        When the files are missing, cannot be read, or do not fit each other.
    """
    card, weights = read_card(path)
    module = _load_module(card, weights)
    return Classifier(
        module, card, source=Path(path), weights=weights, device=device, precision=precision
    )


def build_network(network: NetworkCard, source: Path) -> nn.Module:
    """Build a MONAI network from its card, with fresh weights.

    Only names in `monai.networks.nets` are looked up, so that a card cannot run other code.
    """
    import monai.networks.nets as nets

    factory = getattr(nets, network.name, None)
    if network.name.startswith(("_", "get_")) or not callable(factory):
        raise InputError(f"{source}: MONAI has no network {network.name!r}.")
    arguments = dict(network.arguments)
    if "pretrained" in inspect.signature(factory).parameters:
        # The weights come from the card's file; MONAI would download others.
        arguments["pretrained"] = False
    try:
        module = factory(**arguments)
    # MONAI checks arguments in as many ways as it has networks.
    except Exception as why:
        reason = " ".join(str(why).split())
        raise InputError(
            f"{source}: MONAI's {network.name} does not take the card's arguments ({reason})."
        ) from why
    if not isinstance(module, nn.Module):
        raise InputError(f"{source}: MONAI's {network.name!r} is not a network.")
    return module


def _load_module(card: ModelCard, weights: Path) -> nn.Module:
    if weights.suffix.lower() == ".safetensors":
        from safetensors import SafetensorError
        from safetensors.torch import load_file

        try:
            state: Any = load_file(weights)
        except (SafetensorError, OSError, ValueError) as why:
            raise InputError(f"{weights}: is not a safetensors file ({why}).") from why
    elif _is_torchscript(weights):
        return _load_torchscript(weights)
    else:
        try:
            with warnings.catch_warnings():
                # torch warns of pickles that it did not write, and then refuses them.
                warnings.simplefilter("ignore", UserWarning)
                state = torch.load(weights, map_location="cpu", weights_only=True)
        except (pickle.UnpicklingError, RuntimeError, EOFError, ValueError, OSError) as why:
            raise InputError(
                f"{weights}: is not TorchScript, safetensors or a plain state dict; other pickles "
                "are not opened because they can run code."
            ) from why
    if isinstance(state, dict):
        # Training frameworks wrap the weights of the network.
        for key in ("state_dict", "model_state_dict", "model"):
            if isinstance(state.get(key), dict):
                state = state[key]
    if not isinstance(state, dict):
        raise InputError(f"{weights}: holds no state dict.")
    if card.network is None:
        raise InputError(
            f"{weights}: is a state dict, so the card must name its MONAI network under 'network'."
        )
    module = build_network(card.network, weights)
    # Keys of any other kind fit no network, but must not stop PyTorch from saying so.
    state = {str(key): value for key, value in state.items()}
    if all(key.startswith("module.") for key in state):
        state = {key.removeprefix("module."): value for key, value in state.items()}
    try:
        module.load_state_dict(state)
    except RuntimeError as why:
        reason = " ".join(str(why).split())[:300]
        raise InputError(
            f"{weights}: does not fit the card's network {card.network.name} ({reason})."
        ) from why
    return module


def _is_torchscript(weights: Path) -> bool:
    """TorchScript archives hold a `constants.pkl`; state dicts saved by torch do not."""
    if not zipfile.is_zipfile(weights):
        return False
    with zipfile.ZipFile(weights) as archive:
        return any(name.endswith("/constants.pkl") for name in archive.namelist())


def _load_torchscript(weights: Path) -> nn.Module:
    try:
        with warnings.catch_warnings():
            # torch.jit is deprecated for new models, but it is how existing ones are published.
            warnings.simplefilter("ignore", DeprecationWarning)
            module: nn.Module = torch.jit.load(str(weights), map_location="cpu")
    except (RuntimeError, ValueError) as why:
        reason = str(why).strip().splitlines()[0]
        raise InputError(f"{weights}: cannot be read as TorchScript ({reason}).") from why
    return module
