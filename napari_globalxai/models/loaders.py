"""Read a classifier from the files in which people save them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import nn

from napari_globalxai.addresses import local_path
from napari_globalxai.errors import InputError, is_out_of_memory
from napari_globalxai.models.card.model_card import ModelCard, NetworkCard, read_card, validate_card
from napari_globalxai.models.classifier import Classifier, choose_device
from napari_globalxai.models.files.bundle import is_bundle, read_bundle
from napari_globalxai.models.files.checkpoints import load_checkpoint
from napari_globalxai.models.files.memory_limit import limited_memory
from napari_globalxai.models.files.networks import build_network
from napari_globalxai.models.files.weights import read_weights
from napari_globalxai.models.files.weights_file import WeightsFile, hash_weights
from napari_globalxai.models.prepared import KnownNetwork
from napari_globalxai.models.running.building import bounded_building
from napari_globalxai.progress import Progress, ProgressCallback, ignore_progress

_LOADING = "Loading the model"
# A hundred times what classifiers of images take.
_MOST_MEMORY = 8 << 30
_TIMES_ITS_SIZE = 8


class OtherModelError(InputError):
    """The weights are not those that are expected; they were not opened."""


@dataclass(frozen=True)
class LoadedNetwork:
    """A network as it was saved.

    Attributes
    ----------
    module : torch.nn.Module
        The network with its weights.
    card : ModelCard
        The facts about it.
    weights : pathlib.Path
        The file that is hashed for its identity.
    sha256 : str or None
        The file's hash before it was read, as `Classifier.digest` gives it.
    notes : tuple of str
        What a person should know of how it was read, a sentence each.
    """

    module: nn.Module
    card: ModelCard
    weights: Path
    sha256: str | None
    notes: tuple[str, ...]


def load_model(
    path: str | Path,
    *,
    device: str = "auto",
    precision: str = "auto",
    trust: bool = False,
    cam_layer: str | None = None,
    sha256: str | None = None,
    content: Mapping[str, Any] | None = None,
    progress: ProgressCallback = ignore_progress,
) -> Classifier:
    """Load a classifier and check its card against it.

    Parameters
    ----------
    path : str or pathlib.Path
        The model card, or the weights with the card beside them: TorchScript, ONNX, a program of
        `torch.export`, a pickled module, or safetensors or a state dict of a network that the card
        names. Or a MONAI bundle, as a folder or a zip file.
    device : str, optional
        ``auto`` (CUDA, else Apple's MPS, else the CPU) or a torch device.
    precision : str, optional
        As for `Classifier`.
    trust : bool, optional
        Whether code from the model's files may run. Pickled modules, programs of `torch.export`,
        networks made by somebody's own function and expressions in bundles need it; give it only
        for files whose origin you trust.
    cam_layer : str, optional
        Dotted name of the CAM layer, in place of the card's.
    sha256 : str, optional
        The hash that the file of weights must have, as `Classifier.digest` gives it; another one is
        not opened.
    content : mapping, optional
        What the card is to say, in place of what is written; of weights, not of bundles.
    progress : callable, optional
        Told once the files are there and as they must be.

    Returns
    -------
    Classifier

    Raises
    ------
    InputError
        When the files are missing, cannot be read, do not fit each other, would have to be trusted,
        or want more memory than 8 GiB and eight times their size, where the system can tell.
    OtherModelError
        When the hash is another.
    """
    loaded = load_network(
        path, trust=trust, cam_layer=cam_layer, sha256=sha256, content=content, progress=progress
    )
    classifier = make_classifier(loaded, path, device=device, precision=precision, trust=trust)
    progress(Progress(_LOADING, 1, 1))
    return classifier


def make_classifier(
    loaded: LoadedNetwork,
    path: str | Path,
    *,
    device: str,
    precision: str,
    trust: bool,
    known: KnownNetwork | None = None,
) -> Classifier:
    """Check a loaded network against its card.

    Parameters
    ----------
    loaded : LoadedNetwork
        From `load_network`.
    path, device, precision, trust
        As for `load_model`.
    known : KnownNetwork, optional
        What is known of the network; it is not tried again.
    """
    # Drivers of other devices map memory as they like.
    on_cpu = choose_device(device).type == "cpu"
    with _bounded(Path(path), loaded.weights.stat().st_size) if on_cpu else nullcontext():
        classifier = Classifier(
            loaded.module,
            loaded.card,
            source=Path(path),
            weights=loaded.weights,
            device=device,
            precision=precision,
            trusted=trust,
            known=known,
        )
    if classifier.digest != loaded.sha256:
        # It would be recorded as another model than the one that explains.
        raise InputError(
            f"{loaded.weights}: changed while it was read; give the command again when it is whole."
        )
    for sentence in loaded.notes:
        classifier.warn(sentence)
    return classifier


def load_network(
    path: str | Path,
    *,
    trust: bool = False,
    cam_layer: str | None = None,
    sha256: str | None = None,
    content: Mapping[str, Any] | None = None,
    progress: ProgressCallback = ignore_progress,
) -> LoadedNetwork:
    """Load a network and its card, and hold neither against the other; see `load_model`."""
    given = local_path(path, "the model")
    digest = None
    if is_bundle(given):
        if not given.is_dir():
            digest = _check_hash(given, sha256)
        bundle = read_bundle(given, trust)
        card, weights, network = bundle.card, bundle.weights, bundle.network
        notes = bundle.notes
    else:
        if content is None:
            card, weights_path = read_card(given)
        else:
            card, weights_path = validate_card(content, given), given
        weights, network, notes = WeightsFile(weights_path), card.network, ()
    if weights.content is None:
        digest = _check_hash(weights.path, sha256)
    if cam_layer is not None:
        card = card.model_copy(update={"cam_layer": cam_layer})
    file = weights.path if weights.content is None else given
    progress(Progress(_LOADING, 0, 1))
    with _bounded(given, weights.size):
        module, told = _assemble(weights, network, trust, card.weights_key)
    return LoadedNetwork(module, card, file, digest, (*notes, *told))


def _check_hash(path: Path, sha256: str | None) -> str | None:
    """Return the hash of weights that are those expected, None where they cannot be hashed."""
    try:
        digest = hash_weights(path)
    except InputError:
        raise
    # Whatever ONNX makes of a damaged file; who reads it will say so.
    except Exception:
        return None
    if sha256 is not None and digest != sha256:
        raise OtherModelError(f"{path}: has other content than is expected.")
    return digest


@contextmanager
def _bounded(path: Path, size: int) -> Iterator[None]:
    """Let a network take what one with weights of this size may, and no more."""
    try:
        with limited_memory(_MOST_MEMORY + _TIMES_ITS_SIZE * size):
            yield
    except (MemoryError, RuntimeError) as why:
        if not is_out_of_memory(why):
            raise
        raise InputError(
            f"{path}: wants more memory than a network of its size may; use a smaller one."
        ) from why


def _assemble(
    weights: WeightsFile, network: NetworkCard | nn.Module | None, trust: bool, key: str | None
) -> tuple[nn.Module, list[str]]:
    """Return the network with its weights, and what a person should know of their choice."""
    found = read_weights(weights, trust)
    if isinstance(found, nn.Module):
        if key is not None:
            raise InputError(
                f"{weights.path}: is a whole network, so the card's weights_key {key!r} has "
                "nothing to choose from; leave it out."
            )
        return found, []
    if network is None:
        raise InputError(
            f"{weights.path}: is a state dict, so the card must name its network under 'network'."
        )
    if isinstance(network, NetworkCard):
        with nullcontext() if trust else bounded_building(weights.size):
            module = build_network(network, weights.path, trust=trust)
        name = network.name or network.timm or network.factory
    else:
        module, name = network, type(network).__name__
    return module, load_checkpoint(module, found, weights.path, str(name), key)
